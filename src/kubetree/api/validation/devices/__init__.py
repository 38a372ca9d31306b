"""resource.k8s.io: devices, the classes they come in, the claims on them."""
