"""The embedded engine: one SQLite file, every acknowledged write on disk, one process at a time."""

from kubetree.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
