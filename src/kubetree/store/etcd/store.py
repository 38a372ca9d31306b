"""The etcd engine. A write is one transaction: compare the key's mod_revision, then put or delete, else read how the key stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

from kubetree.grpc import TLS
from kubetree.store.etcd.endpoints import Endpoints
from kubetree.store.etcd.follower import Follower
from kubetree.store.etcd.leases import Leases
from kubetree.store.etcd.messages import (
    COMPACT,
    RANGE,
    STATUS,
    TXN,
    Range,
    compaction_request,
    delete_request,
    put_request,
    range_request,
    read_range,
    read_size,
    read_txn,
)
from kubetree.store.fanout import MAX_PENDING, Hub, LocalWatch
from kubetree.store.protocol import Compacted, Entry, Page, StoreUnavailable, Written

T = TypeVar("T")
_NO_KEY = b"\0"
"""Reading this tells the revision and nothing else."""


class EtcdStore:
    """Made by `connect`. Reads are linearizable; watches are served from one stream (see follower.py)."""

    def __init__(self, endpoints: Endpoints, revision: int, clock: Callable[[], float], max_pending: int) -> None:
        self._endpoints = endpoints
        self._hub = Hub(revision, max_pending)
        self._leases = Leases(endpoints, clock)
        self._follower = Follower(endpoints, self._hub)
        self._following = asyncio.create_task(self._follower.run(), name="follower of etcd")
        self._revision = _SharedCalls(self._read_revision)
        self._writing: dict[str, _Writing] = {}
        self._compacted = 0
        self._closed = False

    @classmethod
    async def connect(
        cls,
        addresses: Sequence[str],
        tls: TLS | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_pending: int = MAX_PENDING,
    ) -> EtcdStore:
        """`addresses` are host:port of the members. Raises StoreUnavailable when none answers."""
        endpoints = Endpoints(addresses, tls)
        try:
            answer = await endpoints.call(RANGE, range_request(_NO_KEY, count_only=True), repeatable=True)
        except BaseException:
            await endpoints.close()
            raise
        return cls(endpoints, read_range(answer).revision, clock, max_pending)

    async def revision(self) -> int:
        self._check_open()
        return await self._revision.result()

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        found = await self._range(range_request(key.encode(), revision=revision), revision)
        return (found.entries[0] if found.entries else None), revision or found.revision

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        start = max(prefix.encode(), after.encode() + b"\0") if after else prefix.encode()
        found = await self._range(range_request(start or b"\0", _end_of(prefix), limit=limit, revision=revision), revision)
        return Page(found.entries, revision or found.revision, found.total - len(found.entries))

    async def count(self, prefix: str) -> int:
        return (await self._range(range_request(prefix.encode() or b"\0", _end_of(prefix), count_only=True), 0)).total

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        return await self._write(key, value, 0, ttl)

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        return await self._write(key, value, expected, ttl)

    async def delete(self, key: str, expected: int) -> Written:
        if expected == 0:
            entry, revision = await self.get(key)
            return Written(False, revision, entry)
        return await self._swap(key, expected, delete_request(key.encode(), expected))

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[LocalWatch]:
        self._check_open()
        watch, upto = self._hub.open(prefix, after), self._hub.revision
        try:
            if after < upto:
                try:
                    history = await self._follower.recent(after, prefix, upto) if after >= self._compacted else None
                    watch.replay(history if history is not None else await self._follower.history(after, prefix, upto))
                except Compacted as error:
                    watch.fail(error)
            yield watch
        finally:
            self._hub.close(watch)

    @property
    def oldest(self) -> int:
        return self._compacted

    async def compact(self, revision: int) -> None:
        self._check_open()
        revision = min(revision, await self.revision())
        with suppress(Compacted):  # another API server did it
            await self._endpoints.call(COMPACT, compaction_request(revision), repeatable=True)
        self._compacted = max(revision, self._compacted)

    async def size(self) -> int:
        """Of the member that answers."""
        return read_size(await self._endpoints.call(STATUS, b"", repeatable=True))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._following.cancel()
        await asyncio.wait((self._following,))
        self._hub.shut()
        await self._endpoints.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._following.done():
            self._following.result()

    async def _read_revision(self) -> int:
        return (await self._range(range_request(_NO_KEY, count_only=True), 0)).revision

    async def _range(self, request: bytes, revision: int) -> Range:
        self._check_open()
        try:
            return read_range(await self._endpoints.call(RANGE, request, repeatable=True))
        except Compacted:
            raise Compacted(revision, self._compacted) from None

    async def _write(self, key: str, value: bytes, expected: int, ttl: int) -> Written:
        self._check_open()
        lease = await self._leases.lease(ttl) if ttl else 0
        return await self._swap(key, expected, put_request(key.encode(), value, expected, lease))

    async def _swap(self, key: str, expected: int, request: bytes) -> Written:
        """One write of this process to a key at a time. Those that wait, and by then cannot succeed any more, share a read: etcd would
        bring each of them before all its members and on its disk, to find that the key has changed."""
        while (before := self._writing.get(key)) is not None:
            await before.over()
            if before.revision > expected:
                entry, revision = await before.current.result()
                return Written(False, revision, entry)
        self._check_open()
        writing = self._writing[key] = _Writing(self, key)
        try:
            done = read_txn(await self._endpoints.call(TXN, request, repeatable=False))
            if done.ok:
                writing.revision = done.revision
            elif done.current is not None:
                writing.revision = done.current.revision
            return done
        finally:
            del self._writing[key]
            writing.finish()


class _Writing:
    """A write under way. `revision`: afterwards, one at which the key is known to have stood or gone; 0 when nothing is known."""

    __slots__ = ("_key", "_over", "_store", "current", "revision")

    def __init__(self, store: EtcdStore, key: str) -> None:
        self._store, self._key = store, key
        self._over: asyncio.Future[None] | None = None
        self.current: _SharedCalls[tuple[Entry | None, int]]
        self.revision = 0

    async def over(self) -> None:
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
            self.current = _SharedCalls(lambda: self._store.get(self._key), any_will_do=True)
        await asyncio.wait((self._over,))

    def finish(self) -> None:
        if self._over is not None:
            self._over.set_result(None)


class _SharedCalls(Generic[T]):
    """Many callers, few calls: all who ask while one is under way share the next, which starts after they asked; or the one under way,
    where `any_will_do`."""

    def __init__(self, call: Callable[[], Awaitable[T]], *, any_will_do: bool = False) -> None:
        self._call, self._any_will_do = call, any_will_do
        self._running: asyncio.Future[T | None] | None = None
        self._next: asyncio.Future[T | None] | None = None

    async def result(self) -> T:
        while (shared := self._running if self._any_will_do else self._next) is not None:
            found = await asyncio.shield(shared)
            if found is not None:
                return found
        return await self._lead()

    async def _lead(self) -> T:
        """Makes the next call for all who ask until it starts; when this caller goes away, one of them leads (their result is None)."""
        mine: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._next = mine
        try:
            while self._running is not None:
                await asyncio.wait((self._running,))
            self._running, self._next = mine, None
            found = await self._call()
            mine.set_result(found)
            return found
        except Exception as error:
            mine.set_exception(error)
            mine.exception()
            raise
        finally:
            if self._running is mine:
                self._running = None
            if self._next is mine:
                self._next = None
            if not mine.done():
                mine.set_result(None)


def _end_of(prefix: str) -> bytes:
    """etcd's range_end for a prefix: the first key after it; a zero byte for everything."""
    key = prefix.encode().rstrip(b"\xff")
    return key[:-1] + bytes((key[-1] + 1,)) if key else b"\0"
