"""WATCH: initial events when asked for, then every change as it comes, from frames that all watchers share.

Follows endpoints/handlers/watch.go and the cacher's rules: an object that enters a selector is ADDED, one that leaves it DELETED.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from kubetree.api.errors import ApiError
from kubetree.apiserver.negotiation import Output
from kubetree.apiserver.operations.managers import requested_version
from kubetree.apiserver.options import ListOptions, list_options, revision_of
from kubetree.apiserver.selection import Selection, select
from kubetree.apiserver.transforms import transform_one
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.watch_cache import ADDED, DELETED, MODIFIED, Cached, CacheEvent, CacheWatch

Object = dict[str, Any]
BOOKMARK_PERIOD = 60.0
_LAST_BOOKMARK = 2.0
_HIGH_WATER = 4 * 1024 * 1024
_BATCH = 256 * 1024
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


async def watch(call: Call) -> web.StreamResponse:
    output = call.output(watch=True)
    options = list_options(call.ctx.query, watch=True)
    selection = select(call.resource, call.namespace, call.name, options)
    revision = revision_of(options.resource_version)
    timeout = float(options.timeout) or call.registry.config.min_request_timeout * (1 + random.random())
    cache = call.resource.cache
    initial = _wants_initial_events(options)
    if initial and options.resource_version != "0":
        await cache.fresh(revision)
    else:
        await cache.ready()
    stream = _Stream(call, output)
    start = cache.revision if initial or options.resource_version in ("", "0") else revision
    try:
        with cache.watch(start, selection.prefix, selection.index) as changes:
            entries = _initial(call, selection) if initial else []
            with call.registry.streams.opened(call.ctx, changes.wake):
                await stream.open()
                await _serve(stream, changes, entries, selection, options, start, timeout)
    except ApiError as error:
        await stream.open()
        await stream.error(error)
    return await stream.close()


def _wants_initial_events(options: ListOptions) -> bool:
    if options.send_initial_events is not None:
        return options.send_initial_events
    return options.resource_version in ("", "0")


def _initial(call: Call, selection: Selection) -> list[Cached]:
    cache = call.resource.cache
    if selection.key:
        entry = cache.get(selection.key)
        return [entry] if entry is not None and selection.matches(entry) else []
    entries = cache.items(selection.prefix, selection.index, selection.exact_labels)
    return list(entries) if selection.everything else [e for e in entries if selection.matches(e)]


async def _serve(
    stream: _Stream, changes: CacheWatch, entries: list[Cached], selection: Selection, options: ListOptions, start: int, timeout: float
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    for entry in entries:
        stream.initial(entry)
        if stream.full:
            await stream.drain()
    if options.send_initial_events and options.bookmarks:
        stream.bookmark(start, {INITIAL_EVENTS_END: "true"})
    await stream.drain()
    next_bookmark = loop.time() + BOOKMARK_PERIOD * random.uniform(0.9, 1.1) if options.bookmarks else end
    told = start
    pick = _picker(selection)
    while not stream.closed:
        for event in changes.take():
            kind = pick(event)
            if kind:
                stream.event(event, kind)
                told = event.revision
        await stream.drain()
        now = loop.time()
        last_call = options.bookmarks and end - _LAST_BOOKMARK < next_bookmark
        wake = (
            max(end - _LAST_BOOKMARK, now) if last_call and now < end - _LAST_BOOKMARK else (end if last_call else min(next_bookmark, end))
        )
        if now >= end:
            return
        if await changes.wait(max(wake - now, 0.0)):
            continue
        if options.bookmarks and changes.revision > told and loop.time() < end:
            told = changes.revision
            stream.bookmark(told)
        if loop.time() >= next_bookmark:
            next_bookmark = loop.time() + BOOKMARK_PERIOD


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


class _Stream:
    """The answer's side of a watch: writes frames straight to the connection, and waits when the client is slow."""

    def __init__(self, call: Call, output: Output) -> None:
        self._call, self._output = call, output
        self._plain = (output.plain and call.resource.same_version) or (output.stream and not output.as_kind and call.resource.same_version)
        self._headers_due = True
        content_type = "application/json;stream=watch" if output.stream else "application/json"
        self._streams = call.registry.streams
        headers = {"Audit-Id": call.ctx.audit_id, "Cache-Control": "no-cache, private", "Content-Type": content_type}
        self._response = web.StreamResponse(headers=headers)
        self._chunked = call.ctx.http.version >= (1, 1)
        self._transport: asyncio.Transport | None = None
        self._pending: list[bytes] = []
        self._size = 0

    async def open(self) -> None:
        if self._transport is not None:
            return
        http = self._call.ctx.http
        if self._chunked:
            self._response.enable_chunked_encoding()
        await self._response.prepare(http)
        self._call.ctx.fresh = False
        transport = http.transport
        self._transport = transport if isinstance(transport, asyncio.Transport) or transport is not None else None

    @property
    def closed(self) -> bool:
        return self._streams.ending or self._transport is None or self._transport.is_closing()

    @property
    def full(self) -> bool:
        return self._size > _BATCH

    def _write(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._size += len(frame)

    def event(self, event: CacheEvent, kind: str) -> None:
        if self._plain and self._chunked:
            self._write(event.frame(kind))
            return
        shown = event.previous if kind == DELETED and event.type != DELETED and event.previous is not None else event.current
        obj = shown.obj
        if shown.revision != event.revision:
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(event.revision)}}
        self._object(kind, obj)

    def initial(self, entry: Cached) -> None:
        if self._plain:
            self._line(b'{"type":"ADDED","object":' + entry.data + b"}\n")
        else:
            self._object(ADDED, entry.obj)

    def _object(self, kind: str, obj: Object) -> None:
        call, output = self._call, self._output
        obj = requested_version(call.resource, obj)
        if output.as_kind:
            obj = transform_one(call.resource.kind, obj, output, call.ctx.query, call.registry.clock(), headers=self._headers_due)
            self._headers_due = False
        self._line(orjson.dumps({"type": kind, "object": obj}) + b"\n")

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> None:
        kind = self._call.resource.kind
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        if self._output.as_kind == "PartialObjectMetadata":
            obj["kind"], obj["apiVersion"] = "PartialObjectMetadata", f"meta.k8s.io/{self._output.as_version}"
        elif self._output.as_kind == "Table":
            obj = {"kind": "Table", "apiVersion": f"meta.k8s.io/{self._output.as_version}", "metadata": {"resourceVersion": str(revision)}}
            obj |= {
                "columnDefinitions": None,
                "rows": [
                    {
                        "cells": [],
                        "object": {
                            "kind": "PartialObjectMetadata",
                            "apiVersion": f"meta.k8s.io/{self._output.as_version}",
                            "metadata": metadata,
                        },
                    }
                ],
            }
        self._line(orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n")

    async def error(self, error: ApiError) -> None:
        self._line(orjson.dumps({"type": "ERROR", "object": error.to_status()}) + b"\n")
        await self.drain()

    def _line(self, line: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(line), line) if self._chunked else line)

    async def drain(self) -> None:
        """Sends what is pending; waits while the client has more unread than it should."""
        transport = self._transport
        if transport is None or not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        if transport.is_closing():
            return
        transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
        if transport.get_write_buffer_size() > _HIGH_WATER:
            await self._call.ctx.http.writer.drain()

    async def close(self) -> web.StreamResponse:
        if self._transport is not None and not self._transport.is_closing():
            await self._response.write_eof()
        return self._response
