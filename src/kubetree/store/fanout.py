"""Watches of the engines that live in this process: one hub per store hands each event to the watches whose prefix it has.

The hub publishes on the event loop, synchronously, in revision order, before the writes are answered. So `take` is always complete: what
it returns reaches up to every acknowledged write, and no progress has to be asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from kubetree.store.protocol import Compacted, Progress, StoreEvent, StoreUnavailable

MAX_PENDING = 100_000
"""Events that may wait for one reader; more than that and its watch breaks with Compacted."""
_MAX_ROUTES = 10_000


class LocalWatch:
    """A watch fed by a Hub. `told` is the revision up to which everything has been taken."""

    __slots__ = ("_asked", "_broken", "_hub", "_pending", "_told", "_waiter", "prefix", "wanted")

    def __init__(self, hub: Hub, prefix: str, after: int) -> None:
        self.prefix = prefix
        self._hub, self._told = hub, after
        self._pending: list[StoreEvent | Progress] = []
        self._waiter: asyncio.Future[None] | None = None
        self._broken: Exception | None = None
        self._asked = False
        self.wanted = 0

    def replay(self, events: Sequence[StoreEvent]) -> None:
        """Puts history before what came live."""
        self._pending[:0] = events
        if events:
            self._wake()

    def push(self, event: StoreEvent) -> None:
        if event.revision <= self._told:
            return
        if len(self._pending) >= self._hub.max_pending:
            self.fail(Compacted(self._told, event.revision))
            return
        self._pending.append(event)
        self._wake()

    def fail(self, error: Exception) -> None:
        if self._broken is None:
            self._broken = error
            self._pending.clear()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    def take(self) -> Sequence[StoreEvent | Progress]:
        if self._broken is not None:
            raise self._broken
        batch, revision = self._pending, self._hub.revision
        if revision > self._told or self._asked:
            self._told, self._asked = max(revision, self._told), False
            batch.append(Progress(revision))
        elif not batch:
            return ()
        self._pending = []
        return batch

    async def wait(self) -> None:
        while not self._pending and not self._asked and self._broken is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def request_progress(self, revision: int = 0) -> None:
        if revision <= self._hub.revision:
            self.reached()
        elif not self.wanted or revision < self.wanted:
            self.wanted = revision
            self._hub.wants(self)

    def reached(self) -> None:
        """The wanted revision has been published."""
        self.wanted, self._asked = 0, True
        self._wake()

    async def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent | Progress]]:
        while True:
            await self.wait()
            yield self.take()


class Hub:
    """The open watches of a store. `revision` is that of the last published write."""

    def __init__(self, revision: int, max_pending: int = MAX_PENDING) -> None:
        self.revision, self.max_pending = revision, max_pending
        self._watches: list[LocalWatch] = []
        self._routes: dict[str, tuple[LocalWatch, ...]] = {}
        self._wanting: set[LocalWatch] = set()

    def open(self, prefix: str, after: int) -> LocalWatch:
        """Live from now on; the caller replays what lies between `after` and `revision`."""
        watch = LocalWatch(self, prefix, after)
        self._watches.append(watch)
        self._routes.clear()
        return watch

    def close(self, watch: LocalWatch) -> None:
        self._watches.remove(watch)
        self._wanting.discard(watch)
        self._routes.clear()

    def publish(self, events: Sequence[StoreEvent]) -> None:
        """Events in revision order, all newer than `revision`."""
        for event in events:
            for watch in self._route(event.key):
                if event.key.startswith(watch.prefix):
                    watch.push(event)
            self.revision = event.revision
        if self._wanting:
            for watch in [w for w in self._wanting if w.wanted <= self.revision]:
                self._wanting.discard(watch)
                watch.reached()

    def wants(self, watch: LocalWatch) -> None:
        """It is to be woken with a Progress when its wanted revision has been published."""
        self._wanting.add(watch)

    def _route(self, key: str) -> tuple[LocalWatch, ...]:
        """The watches that may want a key, remembered by the key's folder."""
        folder = key[: key.rfind("/") + 1]
        found = self._routes.get(folder)
        if found is None:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            found = tuple(w for w in self._watches if folder.startswith(w.prefix) or w.prefix.startswith(folder))
            self._routes[folder] = found
        return found

    def break_all(self, error: Exception) -> None:
        """Every watch ends with `error`."""
        for watch in self._watches:
            watch.fail(error)

    def shut(self) -> None:
        self.break_all(StoreUnavailable("the store is closed"))
