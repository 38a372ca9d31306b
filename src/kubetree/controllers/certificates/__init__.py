"""CertificateSigningRequests: approved for kubelets that may, signed with the cluster's CA, cleaned up when they are old."""
