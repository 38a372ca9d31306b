"""The kernel as the components on a node use it: nftables, connection tracking, routes, sysctls. Knows nothing of Kubernetes."""
