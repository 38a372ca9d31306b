"""A cluster on this machine: certificates, kubeconfigs, processes, images. What `kubetree up` does."""
