"""One Protocol for a versioned key-value store, and its engines: memory, SQLite, etcd."""
