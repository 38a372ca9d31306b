"""The engines under test, each opened on a fresh, empty store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Store
from kubetree.store.sqlite import SQLiteStore

Opener = Callable[[Path], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Store]:
    store = MemoryStore()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[Store]:
    store = await SQLiteStore.open(directory / "store.db")
    try:
        yield store
    finally:
        await store.close()


ENGINES: dict[str, Opener] = {"memory": memory, "sqlite": sqlite}
