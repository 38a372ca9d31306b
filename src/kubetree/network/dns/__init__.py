"""Cluster DNS: the names of services and pods by the Kubernetes DNS specification 1.1.0, everything else from the host's resolvers."""
