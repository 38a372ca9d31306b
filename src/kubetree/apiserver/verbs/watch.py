"""WATCH: initial events when asked for, then every change as it comes, from frames that all watchers share.

Follows endpoints/handlers/watch.go and the cacher's rules: an object that enters a selector is ADDED, one that leaves it DELETED.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from kubetree.api.errors import ApiError, NotAcceptable
from kubetree.apiserver.options import ListOptions, list_options, revision_of
from kubetree.apiserver.registry import Resource
from kubetree.apiserver.selection import Selection, select
from kubetree.apiserver.transforms import include_object
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.converted import converted
from kubetree.apiserver.verbs.watch_stream import WatchStream, WebSocketStream, wants_websocket
from kubetree.apiserver.watch_cache import ADDED, DELETED, MODIFIED, Cached, CacheEvent, CacheWatch, WatchEnded

Object = dict[str, Any]
BOOKMARK_PERIOD = 60.0
_LAST_BOOKMARK = 2.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


async def watch(call: Call) -> web.StreamResponse:
    output = call.output(watch=True)
    if output.as_kind == "Table":
        include_object(call.ctx.query)
    options = list_options(call.ctx.query, watch=True)
    selection = select(call.resource, call.namespace, call.name, options)
    revision = revision_of(options.resource_version)
    timeout = float(options.timeout) or call.registry.config.min_request_timeout * (1 + random.random())
    cache = call.resource.cache
    initial, began = bool(options.send_initial_events), time.perf_counter()
    if initial and options.resource_version != "0":
        await cache.fresh(revision)
    else:
        await cache.ready()
    start = cache.revision if initial or options.resource_version in ("", "0") else revision
    stream = WebSocketStream(call, output) if wants_websocket(call.ctx) else WatchStream(call, output)
    try:
        with cache.watch(start, selection.prefix, selection.index) as changes:
            entries = _initial(call, selection) if initial else []
            pump = _pump(call, selection, stream, changes, start, timeout, bookmarks=options.bookmarks)
            with call.registry.streams.opened(call.ctx, pump.stop):
                await stream.open()
                await _send_initial(call, stream, selection, entries, start, options)
                if initial:
                    _count_list(call, selection, len(entries), time.perf_counter() - began)
                if call.ctx.has_begun is not None:
                    call.ctx.has_begun()
                await pump.run()
    except WatchEnded:
        await stream.open()
    except NotAcceptable:
        await stream.open()  # upstream, too, finds out with the first event, and says nothing
    except ApiError as error:
        await stream.open()
        stream.error(error)
    return await stream.close()


def _count_list(call: Call, selection: Selection, entries: int, seconds: float) -> None:
    kind, counters = call.resource.kind, call.registry.counters
    counters.init_events.add(kind.group, kind.plural, count=entries)
    scope = "resource" if call.name or selection.key else "namespace" if call.namespace else "cluster"
    counters.watch_lists.add(seconds, kind.group, kind.version, kind.plural, scope)


def _pump(
    call: Call, selection: Selection, stream: WatchStream, changes: CacheWatch, start: int, timeout: float, *, bookmarks: bool
) -> _Pump:
    pick = _picker(selection.stored)
    if call.resource.codec is None:
        return _Pump(stream, changes, pick, start, timeout, bookmarks=bookmarks)
    if not selection.converted:
        return _ConvertingPump(stream, changes, pick, start, timeout, bookmarks=bookmarks)
    return _SelectingPump(call.resource, selection, stream, changes, pick, start, timeout, bookmarks=bookmarks)


def _initial(call: Call, selection: Selection) -> list[Cached]:
    cache, selection = call.resource.cache, selection.stored
    if selection.key:
        entry = cache.get(selection.key)
        return [entry] if entry is not None and selection.matches(entry) else []
    entries = cache.items(selection.prefix, selection.index, selection.exact_labels)
    return list(entries) if selection.everything else [e for e in entries if selection.matches(e)]


async def _send_initial(
    call: Call, stream: WatchStream, selection: Selection, entries: list[Cached], start: int, options: ListOptions
) -> None:
    if call.resource.codec is not None:
        for shown in await converted(call.resource, entries):
            if selection.converted and not selection.matches(shown):
                continue
            stream.object(ADDED, shown.obj)
            if stream.full:
                await stream.drain()
        entries = []
    for entry in entries:
        stream.initial(entry)
        if stream.full:
            await stream.drain()
    if options.send_initial_events and options.bookmarks:
        stream.bookmark(start, {INITIAL_EVENTS_END: "true"})
    await stream.drain()


class _Pump:
    """Carries events from the cache to a stream in the cache's own call, without a task of its own: a thousand watchers of one event
    cost a thousand writes and nothing else. Waits while the client reads too slowly, until the cache gives it up.
    """

    def __init__(
        self, stream: WatchStream, changes: CacheWatch, pick: Callable[[CacheEvent], str], start: int, timeout: float, *, bookmarks: bool
    ) -> None:
        self._stream, self._changes, self._pick, self._told = stream, changes, pick, start
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._end = self._loop.time() + timeout
        self._bookmarks = bookmarks

    async def run(self) -> None:
        """Until the time is up, the client has gone or the server stops. Raises Expired when the watch fell behind."""
        self._move()
        self._timer = self._arm()
        try:
            await self._done
        finally:
            self._timer.cancel()

    def stop(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _move(self) -> None:
        """Sends what has come, then waits to be called again."""
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
        except Exception as error:  # must not reach the cache, which has other watchers to serve; `run` raises it
            self._done.set_exception(error)
            return
        stream.send()
        if stream.blocked:
            stream.when_writable(self._move)
        else:
            self._changes.notify(self._move)

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
        revision = self._changes.revision
        if revision > self._told and not self._stream.blocked:
            self._told = revision
            self._stream.bookmark(revision)
            self._stream.send()
        self._timer = self._arm()


class _ConvertingPump(_Pump):
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


class _SelectingPump(_ConvertingPump):
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


def _picker(selection: Selection) -> Callable[[CacheEvent], str]:
    """Under which type an event goes to this watcher, '' for not at all."""
    if selection.everything and not selection.key:
        return lambda event: event.type
    prefix, matches = selection.prefix, selection.matches

    def pick(event: CacheEvent) -> str:
        if not event.current.key.startswith(prefix):
            return ""
        now = event.type != DELETED and matches(event.current)
        before = event.previous is not None and matches(event.previous)
        if now:
            return MODIFIED if before else ADDED
        return DELETED if before else ""

    return pick
