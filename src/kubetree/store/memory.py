"""The memory engine: every version of every key in this process, for tests and throw-away clusters. Nothing survives a restart."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sortedcontainers import SortedDict

from kubetree.store.expiry import Expiry
from kubetree.store.fanout import MAX_PENDING, Hub, LocalWatch
from kubetree.store.protocol import Compacted, Entry, Page, StoreEvent, StoreUnavailable, Written

FIRST_REVISION = 1
"""Of an empty store, as in etcd: the first write makes 2."""


@dataclass(frozen=True, slots=True)
class _Version:
    """What a key became at `revision`; `entry` None: it was deleted."""

    revision: int
    entry: Entry | None


class MemoryStore:
    """`clock` gives seconds; it only has to advance as the event loop's timers do."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, max_pending: int = MAX_PENDING) -> None:
        self._clock = clock
        self._versions: SortedDict[str, list[_Version]] = SortedDict()
        self._log: list[StoreEvent] = []
        self._revision, self._compacted = FIRST_REVISION, 0
        self._hub = Hub(self._revision, max_pending)
        self._expiry = Expiry(clock, lambda key, _: self._expire(key))
        self._closed = False

    async def revision(self) -> int:
        self._check_open()
        return self._revision

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        at = self._read_revision(revision)
        return self._entry_at(key, at), at

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        at = self._read_revision(revision)
        entries: list[Entry] = []
        remaining = 0
        for key in self._keys(prefix, after):
            entry = self._entry_at(key, at)
            if entry is None:
                continue
            if limit and len(entries) == limit:
                remaining += 1
            else:
                entries.append(entry)
        return Page(entries, at, remaining)

    async def count(self, prefix: str) -> int:
        self._check_open()
        return sum(self._entry_at(key, self._revision) is not None for key in self._keys(prefix, ""))

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        return self._write(key, value, 0, ttl)

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        return self._write(key, value, expected, ttl)

    async def delete(self, key: str, expected: int) -> Written:
        current = self._current(key)
        if current is None or current.revision != expected:
            return Written(False, self._revision, current)
        return Written(True, self._put(key, None, 0), current)

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[LocalWatch]:
        self._check_open()
        watch = self._hub.open(prefix, after)
        if after < self._compacted:
            watch.fail(Compacted(after, self._compacted))
        else:
            first = bisect_right(self._log, after, key=lambda event: event.revision)
            watch.replay([event for event in self._log[first:] if event.key.startswith(prefix)])
        try:
            yield watch
        finally:
            self._hub.close(watch)

    @property
    def oldest(self) -> int:
        return self._compacted

    async def compact(self, revision: int) -> None:
        self._check_open()
        revision = min(revision, self._revision)
        if revision <= self._compacted:
            return
        self._compacted = revision
        end = bisect_right(self._log, revision, key=lambda event: event.revision)
        for key in {event.key for event in self._log[:end]}:
            self._forget_before(key, revision)
        del self._log[:end]

    async def size(self) -> int:
        return 0

    async def close(self) -> None:
        self._closed = True
        self._expiry.close()
        self._hub.shut()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _read_revision(self, revision: int) -> int:
        self._check_open()
        if not revision:
            return self._revision
        if revision < self._compacted:
            raise Compacted(revision, self._compacted)
        if revision > self._revision:
            raise ValueError(f"revision {revision} is in the future; the store is at {self._revision}")
        return revision

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        inclusive = after < prefix
        for key in self._versions.irange(prefix if inclusive else after, inclusive=(inclusive, True)):
            if not key.startswith(prefix):
                return
            yield key

    def _entry_at(self, key: str, revision: int) -> Entry | None:
        versions: list[_Version] | None = self._versions.get(key)
        if versions is None:
            return None
        newest: _Version = versions[-1]
        if newest.revision <= revision:
            return newest.entry
        at = bisect_right(versions, revision, key=lambda version: version.revision)
        return versions[at - 1].entry if at else None

    def _current(self, key: str) -> Entry | None:
        self._check_open()
        versions: list[_Version] | None = self._versions.get(key)
        return versions[-1].entry if versions else None

    def _write(self, key: str, value: bytes, expected: int, ttl: int) -> Written:
        current = self._current(key)
        if (current.revision if current is not None else 0) != expected:
            return Written(False, self._revision, current)
        revision = self._put(key, value, current.created if current is not None else 0)
        if ttl:
            self._expiry.set(key, revision, self._clock() + ttl)
        return Written(True, revision)

    def _put(self, key: str, value: bytes | None, created: int) -> int:
        self._revision = revision = self._revision + 1
        entry = None if value is None else Entry(key, value, revision, created or revision)
        self._versions.setdefault(key, []).append(_Version(revision, entry))
        self._expiry.clear(key)
        event = StoreEvent(revision, key, value, entry.created if entry is not None else 0)
        self._log.append(event)
        self._hub.publish((event,))
        return revision

    def _forget_before(self, key: str, revision: int) -> None:
        versions = self._versions[key]
        at = bisect_right(versions, revision, key=lambda version: version.revision) - 1
        if at >= 0 and versions[at].entry is None:
            at += 1
        del versions[: max(at, 0)]
        if not versions:
            del self._versions[key]

    def _expire(self, key: str) -> None:
        self._put(key, None, 0)
