"""What the API servers of a test keep their objects in: memory, SQLite, etcd, or one etcd for two servers.

Each test gets a place of its own: an empty store, a new file, a prefix of one etcd that serves the whole run. `conftest.py` sets the mode.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubetree.store import Store, open_store
from kubetree.store.memory import MemoryStore
from kubetree.store.prefixed import PrefixedStore
from kubetree.testing import Cluster
from unit.store import etcd_server


@dataclass(frozen=True, slots=True)
class Mode:
    engine: str
    servers: int = 1

    @property
    def lacking(self) -> str:
        """Why it cannot be had on this machine; '' when it can."""
        return "etcd is not installed (Debian: etcd-server)" if self.engine == "etcd" and not etcd_server.available() else ""


MODES = {"memory": Mode("memory"), "sqlite": Mode("sqlite"), "etcd": Mode("etcd"), "two-on-etcd": Mode("etcd", servers=2)}
EVERYTHING: dict[str, Any] = {"runtime_config": {"api/all": "true"}, "feature_gates": {"AllAlpha": True, "AllBeta": True}}
"""Of a server or a cluster that serves what is off by default too."""
mode = MODES["memory"]
"""That of the test that runs."""


class Place:
    """Where the servers of one test keep everything. It outlives them, so that others can go on with it."""

    settings: dict[str, Any] = {}
    """Fields of the servers' Config."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """For a test to look into beside its servers. A connection of its own where the engine has such."""
        raise NotImplementedError
        yield

    @asynccontextmanager
    async def for_servers(self) -> AsyncIterator[Store | None]:
        """What servers are given; None: each opens the store by itself."""
        async with self.opened() as store:
            yield store

    def remove(self) -> None:
        pass


class Given(Place):
    """A store that the test has made, for all servers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        yield self._store


class SQLite(Place):
    """Only one may have the file open: all share it, and when the last has left it is closed."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="kubetree-sqlite-", dir=etcd_server.TMPFS))
        self.settings = {"storage": f"sqlite://{self._directory / 'store.db'}"}
        self._store: Store | None = None
        self._users = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        if self._store is None:
            self._store = await open_store(self.settings["storage"])
        self._users += 1
        try:
            yield self._store
        finally:
            self._users -= 1
            if not self._users:
                closing, self._store = self._store, None
                await closing.close()

    def remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


class Etcd(Place):
    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self._etcd = etcd_server.shared()
        self._prefix = f"/test-{next(self._numbers)}"
        self.settings = {"storage": f"etcd://{self._etcd.address}", "etcd_prefix": self._prefix}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = await open_store(self.settings["storage"])
        try:
            yield PrefixedStore(store, self._prefix)
        finally:
            await store.close()

    @asynccontextmanager
    async def for_servers(self) -> AsyncIterator[Store | None]:
        yield None

    def remove(self) -> None:
        first, last = (base64.b64encode(f"{self._prefix}{end}".encode()).decode() for end in "/0")
        body = json.dumps({"key": first, "range_end": last}).encode()
        urllib.request.urlopen(f"http://{self._etcd.address}/v3/kv/deleterange", body, timeout=60).close()


_PLACES: dict[str, Callable[[], Place]] = {"memory": lambda: Given(MemoryStore()), "sqlite": SQLite, "etcd": Etcd}


@contextmanager
def new_place() -> Iterator[Place]:
    place = _PLACES[mode.engine]()
    try:
        yield place
    finally:
        place.remove()


@asynccontextmanager
async def cluster(**options: Any) -> AsyncIterator[Cluster]:
    """A whole cluster (see kubetree.testing), with as many API servers as the mode has."""
    with new_place() as place:
        async with Cluster(**{"servers": mode.servers, **place.settings, **options}) as running:
            yield running
