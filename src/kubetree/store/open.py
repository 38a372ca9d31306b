"""From the URL of a store to the engine that serves it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

from kubetree.grpc import TLS
from kubetree.store.etcd import EtcdStore
from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Store
from kubetree.store.sqlite import SQLiteStore


async def open_store(url: str) -> Store:
    """`memory://`, `sqlite:///absolute/path`, `etcd://host:port,host:port` or, with TLS, `etcds://host:port?ca=file&cert=file&key=file`
    (without `ca`: the authorities of this machine). Raises ValueError, StoreUnavailable."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "memory":
        return MemoryStore()
    if scheme == "sqlite" and rest.startswith("/"):
        return await SQLiteStore.open(Path(rest))
    if scheme in ("etcd", "etcds") and rest:
        return await _connect(rest, secure=scheme == "etcds")
    raise ValueError(f"cannot open the store {url!r}: use memory://, sqlite:///path or etcd://host:port,host:port")


async def _connect(rest: str, *, secure: bool) -> Store:
    addresses, _, query = rest.partition("?")
    files = {name: Path(values[-1]) for name, values in parse_qs(query).items()}
    unknown = files.keys() - {"ca", "cert", "key"}
    if unknown:
        raise ValueError(f"an etcd URL takes ca, cert and key, not {', '.join(sorted(unknown))}")
    tls = TLS(files.get("ca"), files.get("cert"), files.get("key")) if files or secure else None
    return await EtcdStore.connect([a for a in addresses.rstrip("/").split(",") if a], tls)
