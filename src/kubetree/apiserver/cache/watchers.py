"""The open watches of one cache, and which of them an event concerns.

A watch of everything keeps a position in the window and costs an event nothing but its waking. A watch of one object, one namespace or
one value of a field has a list of its own and is found by dictionary, so that thousands of idle ones cost an unrelated event nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from kubetree.api.errors import Expired
from kubetree.apiserver.cache.audience import Audience, Show
from kubetree.apiserver.cache.event import Event
from kubetree.apiserver.cache.turns import Turns, Work
from kubetree.apiserver.cache.window import Window
from kubetree.apiserver.watch_cache import Sent

MAX_PENDING = 10_000
"""Events that may wait for one narrow watch; one that falls further behind is ended."""


class Watching:
    """An open watch: see watch_cache.CacheWatch."""

    __slots__ = ("_after", "_broken", "_notify", "_told", "_waiter", "_watchers", "weight")

    def __init__(self, watchers: Watchers, after: int) -> None:
        self._watchers = watchers
        self._after = self._told = after
        self._waiter: asyncio.Future[bool] | None = None
        self._notify: Work | None = None
        self._broken: Exception | None = None
        self.weight = 1
        """For how many watchers it reads."""

    @property
    def revision(self) -> int:
        return max(self._told, self._watchers.revision) if not self._has_pending() else self._told

    def take(self) -> Sequence[Event]:
        if self._broken is not None:
            raise self._broken
        events = self._pop()
        if events and events[0].revision <= self._after:
            events = [e for e in events if e.revision > self._after]
        if events:
            self._told = events[-1].revision
        return events

    async def wait(self, timeout: float) -> bool:
        if self._has_pending() or self._broken is not None:
            return True
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        self._watchers.sleeps(self)
        timer = loop.call_later(timeout, self.wake, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def notify(self, callback: Work) -> None:
        """See watch_cache.CacheWatch.notify."""
        if self._has_pending() or self._broken is not None:
            self._watchers.turns.add(callback, self.weight)
            return
        self._notify = callback
        self._watchers.sleeps(self)

    def wake(self, something: bool = True) -> None:
        if self._notify is not None:
            callback, self._notify = self._notify, None
            self._watchers.turns.add(callback, self.weight)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(something)

    def fail(self, error: Exception) -> None:
        self._broken = error
        self.wake()

    def _has_pending(self) -> bool:
        raise NotImplementedError

    def _pop(self) -> Sequence[Event]:
        raise NotImplementedError


class BroadWatch(Watching):
    """Reads the window from its own position on."""

    __slots__ = ("_position",)

    def __init__(self, watchers: Watchers, after: int) -> None:
        super().__init__(watchers, after)
        self._position = watchers.window.after(after)

    def _has_pending(self) -> bool:
        return self._position < self._watchers.window.end

    def _pop(self) -> Sequence[Event]:
        window = self._watchers.window
        if self._position < window.start:
            raise too_old(self._told, window.oldest)
        events = window.since(self._position)
        self._position = window.end
        return events


class NarrowWatch(Watching):
    """Is handed the events that concern it."""

    __slots__ = ("_pending", "route")

    def __init__(self, watchers: Watchers, after: int, route: tuple[str, str], history: list[Event]) -> None:
        super().__init__(watchers, after)
        self.route = route
        self._pending = history

    def push(self, event: Event) -> None:
        if len(self._pending) >= MAX_PENDING:
            self._pending.clear()
            self.fail(too_old(self._told, event.revision))
            return
        self._pending.append(event)
        self.wake()

    def _has_pending(self) -> bool:
        return bool(self._pending)

    def _pop(self) -> Sequence[Event]:
        events, self._pending = self._pending, []
        return events


def too_old(revision: int, oldest: int) -> Expired:
    return Expired(f"too old resource version: {revision} ({oldest})")


_KEY, _FOLDER = "key", "folder"


class Watchers:
    """All watches of one cache. `revision` is what the cache reflects; `fields` are the fields by which watches may be found."""

    def __init__(self, window: Window, prefix: str, fields: Collection[str]) -> None:
        self.window, self.revision, self.turns = window, 0, Turns()
        self._prefix, self._fields = prefix, fields
        self._broad: set[BroadWatch] = set()
        self._sleepers: dict[Watching, None] = {}
        self._routes: dict[str, dict[str, set[NarrowWatch]]] = {}
        self._audiences: dict[Hashable, Audience] = {}

    def __len__(self) -> int:
        readers = len(self._broad) + sum(len(watches) for values in self._routes.values() for watches in values.values())
        return readers + sum(audience.users - 1 for audience in self._audiences.values())

    @contextmanager
    def audience(self, key: Hashable, prefix: str, index: Mapping[str, str] | None, show: Show, sent: Sent) -> Iterator[Audience]:
        """See watch_cache.WatchCache.audience."""
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(self, prefix, index, show, sent)
        audience.users += 1
        try:
            yield audience
        finally:
            audience.users -= 1
            if not audience.users:
                del self._audiences[key]
                audience.close()

    def open(self, after: int, prefix: str, index: Mapping[str, str] | None) -> Watching:
        """A prefix that does not end in a slash means that one key. Raises Expired."""
        if after < self.window.oldest:
            raise too_old(after, self.window.oldest)
        route = self._route(prefix, index or {})
        if route is None:
            broad = BroadWatch(self, after)
            self._broad.add(broad)
            return broad
        history = [e for e in self.window.since(self.window.after(after)) if route in self._routes_of(e, (route[0],))]
        narrow = NarrowWatch(self, after, route, history)
        self._routes.setdefault(route[0], {}).setdefault(route[1], set()).add(narrow)
        return narrow

    def close(self, watch: Watching) -> None:
        if isinstance(watch, NarrowWatch):
            by, value = watch.route
            watches = self._routes[by][value]
            watches.discard(watch)
            if not watches:
                del self._routes[by][value]
                if not self._routes[by]:
                    del self._routes[by]
        elif isinstance(watch, BroadWatch):
            self._broad.discard(watch)
            self._sleepers.pop(watch, None)

    def sleeps(self, watch: Watching) -> None:
        if isinstance(watch, BroadWatch):
            self._sleepers[watch] = None

    def hand_out(self, events: Iterable[Event]) -> None:
        """After the events were added to the window."""
        if self._routes:
            for event in events:
                for by, value in self._routes_of(event, self._routes):
                    for watch in self._routes[by].get(value, ()):
                        watch.push(event)
        sleepers, self._sleepers = self._sleepers, {}
        for sleeper in sleepers:
            sleeper.wake()

    def end_all(self, error: Exception) -> None:
        """Ends every watch: Expired when the cache lost touch with the store and cannot tell what happened meanwhile, or WatchEnded."""
        narrow = chain.from_iterable(chain.from_iterable(values.values() for values in self._routes.values()))
        for watch in [*self._broad, *narrow]:
            watch.fail(error)

    def _route(self, prefix: str, index: Mapping[str, str]) -> tuple[str, str] | None:
        """By what a watch is found: its key, a field, its namespace, or (None) by nothing."""
        if prefix and not prefix.endswith("/"):
            return _KEY, prefix
        for name, value in index.items():
            if name in self._fields:
                return name, value
        return (_FOLDER, prefix) if prefix and prefix != self._prefix else None

    def _routes_of(self, event: Event, wanted: Iterable[str]) -> set[tuple[str, str]]:
        """Where an event leads: for a field, to its value before and after."""
        routes = set()
        for by in wanted:
            if by == _KEY:
                routes.add((by, event.current.key))
            elif by == _FOLDER:
                routes.add((by, event.current.key[: event.current.key.rfind("/") + 1]))
            else:
                routes.add((by, event.current.fields.get(by, "")))
                if event.previous is not None:
                    routes.add((by, event.previous.fields.get(by, "")))
        return routes
