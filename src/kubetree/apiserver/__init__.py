"""kube-apiserver: the one component that talks to the store."""
