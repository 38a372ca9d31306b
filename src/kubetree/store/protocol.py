"""The store: etcd's model behind one Protocol. One integer revision, compare-and-swap on it, reads at a revision, gap-free watches.

A failed compare-and-swap is a result, not an exception. Keys are str, values are bytes; the engines look into neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as it stands at some revision. `revision` is the one that wrote this value, `created` the one that created the key.

    `stale`: the value is good, but would be written differently now (with another encryption key); engines know nothing of it.
    """

    key: str
    value: bytes
    revision: int
    created: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a range in key order, read at `revision`. `remaining` counts the keys after it, 0 when it is the last page."""

    entries: Sequence[Entry]
    revision: int
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did. `ok` False: the key did not stand at the expected revision; `current` is how it stands (None: no such key).

    `revision` is that of the write, or of the store when it failed.
    """

    ok: bool
    revision: int
    current: Entry | None = None


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """A change, in revision order. `value` is None for a delete. `created` is the revision that created the key (0 for a delete)."""

    revision: int
    key: str
    value: bytes | None
    created: int = 0

    @property
    def deleted(self) -> bool:
        return self.value is None

    @property
    def is_create(self) -> bool:
        return self.created == self.revision


@dataclass(frozen=True, slots=True)
class Progress:
    """No event at or below `revision` is still to come on this watch."""

    revision: int


class Compacted(Exception):
    """The revision asked for is older than the last compaction. `oldest` is the oldest that can still be read."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} has been compacted; the oldest available is {oldest}")
        self.revision, self.oldest = revision, oldest


class StoreUnavailable(Exception):
    """The store cannot answer now (disk full, no quorum, closed); the write that got this was not acknowledged."""


class Refused(Exception):
    """The store will never take this write, which is too large for it: in the store's own words."""


class Watch(Protocol):
    """An open watch: `async for batch in watch`, or `wait` and `take` where the reader wants to choose when.

    Batches are in revision order and events of one revision come in one batch. Reading raises Compacted when the start is too old or
    the reader fell so far behind that events were dropped, and StoreUnavailable when the store was closed.
    """

    def take(self) -> Sequence[StoreEvent | Progress]:
        """All that has come since the last call, without waiting. Engines in this process end it with the Progress of the moment."""
        ...

    async def wait(self) -> None:
        """Returns once `take` has something to give (or to raise)."""
        ...

    def request_progress(self, revision: int = 0) -> None:
        """Asks for a Progress as soon as the store has told of everything up to `revision`; 0: what it has told of so far."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent | Progress]]: ...


class Store(Protocol):
    """About what kube-apiserver needs of etcd. All methods may raise StoreUnavailable; all are safe to call concurrently."""

    async def revision(self) -> int:
        """The current revision. A linearizable read: at least that of every write acknowledged before the call."""
        ...

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        """The key now, or at `revision`, and the revision of the read. Raises Compacted."""
        ...

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Keys that start with `prefix`, in order, after the key `after`; at `revision` (0: now). Raises Compacted."""
        ...

    async def count(self, prefix: str) -> int:
        """How many keys start with `prefix` now."""
        ...

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        """Writes a key that must not exist. `ttl` seconds later it expires (a delete that watchers see); 0: never."""
        ...

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        """Replaces the value if the key stands at revision `expected` (0: there is none). `ttl` sets or, when 0, clears the expiry."""
        ...

    async def delete(self, key: str, expected: int) -> Written:
        """Deletes the key if it stands at revision `expected`. `current` of a success is what was deleted."""
        ...

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[Watch]:
        """Every change below `prefix` with a revision greater than `after`, none lost, none twice."""
        ...

    @property
    def oldest(self) -> int:
        """The oldest revision that can be read, as far as this process knows; 0 before the first compaction."""
        ...

    async def compact(self, revision: int) -> None:
        """Forgets what was overwritten or deleted before `revision`; reads and watches from before it raise Compacted."""
        ...

    async def size(self) -> int:
        """Bytes that it takes on disk; 0: it is not on one. Raises StoreUnavailable."""
        ...

    async def close(self) -> None: ...
