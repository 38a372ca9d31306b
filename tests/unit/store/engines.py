"""The engines under test, each opened on a fresh, empty store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from kubetree.store.etcd import EtcdStore
from kubetree.store.memory import MemoryStore
from kubetree.store.prefixed import PrefixedStore
from kubetree.store.protocol import Store
from kubetree.store.sqlite import SQLiteStore
from unit.store import etcd_server

Opener = Callable[[Path], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Store]:
    store = MemoryStore()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def prefixed(directory: Path) -> AsyncIterator[Store]:
    """Part of a store in which others write as well."""
    async with memory(directory) as store:
        for neighbour in ("/part", "/partner/a/1", "/parts/k", "/"):
            await store.create(neighbour, b"theirs")
        yield PrefixedStore(store, "part/", root="")


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[Store]:
    store = await SQLiteStore.open(directory / "store.db")
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def etcd(_: Path) -> AsyncIterator[Store]:
    store = await EtcdStore.connect([etcd_server.shared().address])
    try:
        for entry in (await store.range("")).entries:
            await store.delete(entry.key, entry.revision)
        yield store
    finally:
        await store.close()


ENGINES: dict[str, Opener] = {"memory": memory, "prefixed": prefixed, "sqlite": sqlite} | (
    {"etcd": etcd} if etcd_server.available() else {}
)
