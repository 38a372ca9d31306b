"""kubelet: the pods of one node, run through CRI."""
