"""kube-controller-manager: one duty, one file."""
