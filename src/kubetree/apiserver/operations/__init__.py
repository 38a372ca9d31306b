"""What a write does to the registry, apart from HTTP: create, guaranteed update and graceful deletion, as upstream's generic store."""
