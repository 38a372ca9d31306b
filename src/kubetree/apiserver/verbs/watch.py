"""WATCH: initial events when asked for, then every change as it comes, from frames that all watchers share.

Follows endpoints/handlers/watch.go and the cacher's rules: an object that enters a selector is ADDED, one that leaves it DELETED.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack

from aiohttp import web

from kubetree.api.errors import ApiError, NotAcceptable
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.converted import converted
from kubetree.apiserver.verbs.watch_pumps import AudiencePump, ConvertingPump, OwnPump, Pump, SelectingPump
from kubetree.apiserver.verbs.watch_stream import WatchStream, WebSocketStream, wants_websocket
from kubetree.apiserver.watch_cache import ADDED, DELETED, MODIFIED, Cached, CacheEvent, WatchEnded
from kubetree.apiserver.wire.options import list_options, revision_of
from kubetree.apiserver.wire.selection import Selection, select
from kubetree.apiserver.wire.transforms import include_object

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


async def watch(call: Call) -> web.StreamResponse:
    output = call.output(watch=True)
    if output.as_kind == "Table":
        include_object(call.ctx.query)
    watch_list = "WatchList" in call.registry.features
    options = list_options(call.ctx.query, watch=True, watch_list=watch_list)
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
        with ExitStack() as stack:
            entries = _initial(call, selection) if initial else []
            pump = _pump(call, selection, stream, start, timeout, stack, bookmarks=options.bookmarks)
            with call.registry.streams.opened(call.ctx, pump.stop):
                await stream.open()
                await _send_initial(call, stream, selection, entries, start, ends=initial and options.bookmarks and watch_list)
                if initial:
                    _count_list(call, selection, len(entries), time.perf_counter() - began)
                del entries
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


def _pump(call: Call, selection: Selection, stream: WatchStream, start: int, timeout: float, stack: ExitStack, *, bookmarks: bool) -> Pump:
    """Raises Expired."""
    pick, cache, shared = _picker(selection.stored), call.resource.cache, stream.shared
    if call.resource.codec is None and shared is not None:
        key = (shared, call.resource.kind.api_version, selection.prefix, selection.key, selection.labels, selection.fields)

        def show(event: CacheEvent) -> bytes:
            kind = pick(event)
            if not kind:
                return b""
            return event.frame(kind) if isinstance(shared, str) else event.frame_as(shared, kind)

        sent = call.registry.counters.events(call.resource.kind).sent
        audience = stack.enter_context(cache.audience(key, selection.prefix, selection.index, show, sent))
        return AudiencePump(stream, audience, start, timeout, bookmarks=bookmarks)
    changes = stack.enter_context(cache.watch(start, selection.prefix, selection.index))
    if call.resource.codec is None:
        return OwnPump(stream, changes, pick, start, timeout, bookmarks=bookmarks)
    if not selection.converted:
        return ConvertingPump(stream, changes, pick, start, timeout, bookmarks=bookmarks)
    return SelectingPump(call.resource, selection, stream, changes, pick, start, timeout, bookmarks=bookmarks)


def _initial(call: Call, selection: Selection) -> list[Cached]:
    cache, selection = call.resource.cache, selection.stored
    if selection.key:
        entry = cache.get(selection.key)
        return [entry] if entry is not None and selection.matches(entry) else []
    entries = cache.items(selection.prefix, selection.index, selection.exact_labels)
    return list(entries) if selection.everything else [e for e in entries if selection.matches(e)]


async def _send_initial(call: Call, stream: WatchStream, selection: Selection, entries: list[Cached], start: int, *, ends: bool) -> None:
    """`ends`: a bookmark says when that was all."""
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
    if ends:
        stream.bookmark(start, {INITIAL_EVENTS_END: "true"})
    await stream.drain()


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
