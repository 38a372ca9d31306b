"""What carries events from the cache to a stream, and says when the watch is over.

A thousand watchers of one event cost a thousand writes and hardly anything else: those who are shown the same go with an Audience, and
none of them has a task that runs. Watchers whose bytes are their own (tables, WebSockets, converted objects) read the cache alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from kubetree.apiserver.registry import Resource
from kubetree.apiserver.verbs.converted import converted
from kubetree.apiserver.verbs.watch_stream import WatchStream
from kubetree.apiserver.watch_cache import ADDED, DELETED, MODIFIED, Audience, CacheEvent, CacheWatch
from kubetree.apiserver.wire.selection import Selection

BOOKMARK_PERIOD = 60.0
_LAST_BOOKMARK = 2.0
PATIENCE = 75.0
"""Seconds for which a client may read nothing while it has much pending: as long as the cache remembers events."""


class Pump:
    """Lives until the time is up, the client has gone or the server stops. `_told` is the revision that the client knows of."""

    def __init__(self, stream: WatchStream, start: int, timeout: float, *, bookmarks: bool) -> None:
        self._stream, self._told, self._bookmarks = stream, start, bookmarks
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._end = self._loop.time() + timeout

    async def run(self) -> None:
        """Raises Expired when the watch fell behind."""
        self._move()
        self._timer = self._arm()
        try:
            await self._done
        finally:
            self._timer.cancel()

    def stop(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def failed(self, error: Exception) -> None:
        """`run` raises it."""
        if not self._done.done():
            self._done.set_exception(error)

    def _move(self) -> None:
        """Sends what has come, then waits to be called again."""
        raise NotImplementedError

    def _reached(self) -> int:
        """What a bookmark may say; 0: none now."""
        raise NotImplementedError

    def _arm(self) -> asyncio.TimerHandle:
        """The next bookmark, the last one shortly before the end, or the end."""
        now = self._loop.time()
        at = self._end
        if self._bookmarks:
            period = BOOKMARK_PERIOD * random.uniform(0.9, 1.1)
            last = self._end - _LAST_BOOKMARK
            at = min(now + period, last) if now < last else self._end
        return self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        if self._loop.time() >= self._end or self._stream.closed:
            self.stop()
            return
        revision = self._reached()
        if revision > self._told and not self._stream.blocked:
            self._told = revision
            self._stream.bookmark(revision)
            self._stream.send()
        self._timer = self._arm()


class AudiencePump(Pump):
    """A member of an Audience, for as long as its client keeps up. One that does not comes back when it has read what it was sent, if what
    it missed can still be told by then."""

    def __init__(self, stream: WatchStream, audience: Audience, start: int, timeout: float, *, bookmarks: bool) -> None:
        super().__init__(stream, start, timeout, bookmarks=bookmarks)
        self._audience = audience
        self._joined = False
        self._cut: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        self._stream.when_full(self._behind)
        try:
            await super().run()
        finally:
            self._audience.leave(self)
            self._stream.when_full(None)
            if self._cut is not None:
                self._cut.cancel()

    def admitted(self) -> None:
        self._move()

    def _move(self) -> None:
        if self._done.done():
            return
        stream, audience, write = self._stream, self._audience, self._stream.write
        if stream.closed:
            self.stop()
            return
        if stream.blocked:
            stream.when_writable(self._move)
            return
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
        try:
            for piece, revision in audience.since(self._told) if self._told < audience.told else ():
                if piece:
                    write(piece)
                self._told = revision
                if stream.blocked:
                    stream.when_writable(self._move)
                    return
        except Exception as error:  # must not reach the cache, which has others to serve
            self.failed(error)
            return
        if self._told > audience.told:
            audience.wait(self)
            return
        self._joined = True
        audience.join(self, write)

    def _behind(self) -> None:
        """The client has more unread than it should."""
        if self._joined:
            self._joined = False
            self._told = self._audience.leave(self)
            self._stream.when_writable(self._move)
        if self._cut is None:
            self._cut = self._loop.call_later(PATIENCE, self._cut_off)

    def _cut_off(self) -> None:
        """It has read nothing for so long that it would not be told all that it missed: what it has pending is not kept for it."""
        if self._stream.blocked:
            self._stream.abort()
            self.stop()

    def _reached(self) -> int:
        return self._audience.reached(self) if self._joined else 0


class OwnPump(Pump):
    """Reads the cache for itself, in the cache's own call. `pick` says under which type an event is shown, '' for not at all."""

    def __init__(
        self, stream: WatchStream, changes: CacheWatch, pick: Callable[[CacheEvent], str], start: int, timeout: float, *, bookmarks: bool
    ) -> None:
        super().__init__(stream, start, timeout, bookmarks=bookmarks)
        self._changes, self._pick = changes, pick

    def _move(self) -> None:
        stream = self._stream
        if self._done.done():
            return
        if stream.closed:
            self.stop()
            return
        try:
            for event in self._changes.take():
                kind = self._pick(event)
                if kind:
                    stream.event(event, kind)
                    self._told = event.revision
        except Exception as error:  # must not reach the cache, which has others to serve
            self.failed(error)
            return
        stream.send()
        if stream.blocked:
            stream.when_writable(self._move)
        else:
            self._changes.notify(self._move)

    def _reached(self) -> int:
        return self._changes.revision


class ConvertingPump(OwnPump):
    """Events of objects that are stored in another version: each batch is converted, which may take a webhook, then sent in order."""

    async def run(self) -> None:
        loop, stream = self._loop, self._stream
        told = loop.time()
        while not self._done.done() and not stream.closed and loop.time() < self._end:
            batch = await self._picked(self._changes.take())
            if batch:
                await stream.converted(batch)
                self._told, told = batch[-1][0].revision, loop.time()
                await stream.drain()
                continue
            revision, due = self._changes.revision, told + BOOKMARK_PERIOD
            if self._bookmarks and revision > self._told and loop.time() >= min(due, self._end - _LAST_BOOKMARK):
                self._told, told = revision, loop.time()
                stream.bookmark(revision)
                stream.send()
            await self._changes.wait(max(0.01, min(due, self._end) - loop.time()))

    async def _picked(self, events: Sequence[CacheEvent]) -> list[tuple[CacheEvent, str]]:
        return [(event, kind) for event in events if (kind := self._pick(event))]

    def stop(self) -> None:
        super().stop()
        self._changes.wake(False)


class SelectingPump(ConvertingPump):
    """Selects by fields that only the version asked for has."""

    def __init__(self, resource: Resource, selection: Selection, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._resource, self._matches = resource, selection.matches

    async def _picked(self, events: Sequence[CacheEvent]) -> list[tuple[CacheEvent, str]]:
        picked = await super()._picked(events)
        entries = [entry for event, _ in picked for entry in (event.current, event.previous) if entry is not None]
        shown = {(e.key, e.revision): self._matches(e) for e in await converted(self._resource, entries)}
        out = []
        for event, _ in picked:
            current, previous = event.current, event.previous
            now = event.type != DELETED and shown[current.key, current.revision]
            before = previous is not None and shown[previous.key, previous.revision]
            if now or before:
                out.append((event, (MODIFIED if before else ADDED) if now else DELETED))
        return out
