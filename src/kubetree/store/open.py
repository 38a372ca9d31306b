"""From the URL of a store to the engine that serves it."""

from __future__ import annotations

from pathlib import Path

from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Store
from kubetree.store.sqlite import SQLiteStore


async def open_store(url: str) -> Store:
    """`memory://`, `sqlite:///absolute/path` or `etcd://host:port,host:port`. Raises ValueError, StoreUnavailable."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "memory":
        return MemoryStore()
    if scheme == "sqlite" and rest.startswith("/"):
        return await SQLiteStore.open(Path(rest))
    raise ValueError(f"cannot open the store {url!r}: use memory://, sqlite:///path or etcd://host:port,host:port")
