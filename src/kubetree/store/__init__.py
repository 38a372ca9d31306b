"""One Protocol for a versioned key-value store, and its engines: memory, SQLite, etcd."""

from kubetree.store.open import open_store
from kubetree.store.protocol import Compacted, Entry, Page, Progress, Refused, Store, StoreEvent, StoreUnavailable, Watch, Written

__all__ = [
    "Compacted",
    "Entry",
    "Page",
    "Progress",
    "Refused",
    "Store",
    "StoreEvent",
    "StoreUnavailable",
    "Watch",
    "Written",
    "open_store",
]
