"""Pod volumes: one plugin a file, each turning a volume of the pod spec into a directory on this node."""
