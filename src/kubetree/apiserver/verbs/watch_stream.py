"""The answer's side of a watch: frames collected and written straight to the connection, as HTTP chunks or WebSocket messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from aiohttp import WSCloseCode, web

from kubetree.api.errors import ApiError
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.http.connection import Connection
from kubetree.apiserver.operations.managers import all_shown, requested_version
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.watch_frames import chunk, line, shared_form
from kubetree.apiserver.watch_cache import ADDED, DELETED, Cached, CacheEvent, Form, Write
from kubetree.apiserver.wire.answers import drained
from kubetree.apiserver.wire.negotiation import JSON, Output
from kubetree.apiserver.wire.transforms import transform_one

Object = dict[str, Any]
_HIGH_WATER = 256 * 1024
"""Bytes that a client may leave unread before its watch waits for it; what it misses meanwhile stays in the cache's window."""
_BATCH = 128 * 1024
SPLICED: Final = "spliced"
_BEARER = "base64url.bearer.authorization.k8s.io."


def wants_websocket(ctx: RequestContext) -> bool:
    return ctx.headers.get("Upgrade", "").lower() == "websocket"


def _nowhere(_: bytes) -> None:
    """Where frames go for which the connection was lost before it began."""


def _source(event: CacheEvent, kind: str) -> Cached:
    """What a watcher is shown who is told of an event as `kind`, but for the revision: as it stood before if it is DELETED to him only."""
    return event.previous if kind == DELETED != event.type and event.previous is not None else event.current


class WatchStream:
    """Events in a chunked answer: lines of JSON, or messages with their sizes before them."""

    def __init__(self, call: Call, output: Output) -> None:
        self._call, self._output = call, output
        self._splice = call.resource.same_version and output.serializer is JSON and not output.as_kind
        http = call.ctx.http
        self._chunked = http.version >= (1, 1)
        self._shared = self._splice and self._chunked
        self._form = shared_form(call.resource, output)
        self._headers_due = True
        headers = {"Audit-Id": call.ctx.audit_id, "Cache-Control": "no-cache, private"}
        media_type = output.serializer.media_type
        headers["Content-Type"] = media_type if output.serializer is JSON else f"{media_type};stream=watch"
        self._response = web.StreamResponse(headers=headers | (call.ctx.flow_headers or {}) | (call.ctx.answer_headers or {}))
        self._streams = call.registry.streams
        self._connection = http.protocol if isinstance(http.protocol, Connection) else None
        self._transport: asyncio.WriteTransport | None = None
        self._pending: list[bytes] = []
        self._counted = call.registry.counters.events(call.resource.kind)
        self._size = 0

    async def open(self) -> None:
        """Sends the head of the answer."""
        if self._transport is not None:
            return
        http = self._call.ctx.http
        if self._chunked:
            self._response.enable_chunked_encoding()
        if self._call.ctx.audit is not None:
            await self._call.ctx.audit.started(200)
        await self._response.prepare(http)
        self._call.ctx.fresh = False
        self._transport = http.transport
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=_HIGH_WATER)

    @property
    def closed(self) -> bool:
        return self._streams.ending or self._transport is None or self._transport.is_closing()

    @property
    def full(self) -> bool:
        """Enough is pending to be sent."""
        return self._size > _BATCH

    @property
    def blocked(self) -> bool:
        """The client has more unread than it should."""
        return self._connection is not None and self._connection.full

    def when_writable(self, callback: Callable[[], None]) -> None:
        if self._connection is not None:
            self._connection.on_writable = callback

    @property
    def shared(self) -> Form | Literal["spliced"] | None:
        """The same for all streams that show an event in the same bytes: a form, or the bytes as they are stored. None when this one's are
        its own."""
        if not self._chunked:
            return None
        return SPLICED if self._splice else self._form

    @property
    def write(self) -> Write:
        """Straight to the connection of an open stream. `when_full` is called as soon as that has enough."""
        transport = self._transport
        return transport.write if transport is not None else _nowhere

    def when_full(self, callback: Callable[[], None] | None) -> None:
        if self._connection is not None:
            self._connection.on_full = callback

    def event(self, event: CacheEvent, kind: str) -> None:
        if self._shared:
            self._add(event.frame(kind))
        elif self._form is None:
            self._table(kind, requested_version(self._call.resource, event.shown(kind).obj))
        elif self._chunked:
            self._add(event.frame_as(self._form, kind))
        else:
            self._line(self._form.line(kind, event.shown(kind)))

    async def converted(self, events: Sequence[tuple[CacheEvent, str]]) -> None:
        """Events of a resource with a codec, each with the type that it goes under."""
        resource = self._call.resource
        for (event, kind), obj in zip(events, await all_shown(resource, [_source(*e).obj for e in events]), strict=True):
            if obj["metadata"].get("resourceVersion") != str(event.revision):
                obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(event.revision)}}
            self.object(kind, obj)

    def initial(self, entry: Cached) -> None:
        """An object that is there when the watch begins."""
        if self._splice:
            self._line(b'{"type":"ADDED","object":%b}\n' % entry.data)
        elif self._form is None:
            self._table(ADDED, requested_version(self._call.resource, entry.obj))
        else:
            self._line(self._form.line(ADDED, entry))

    def object(self, kind: str, obj: Object) -> None:
        """An event with an object in the version asked for."""
        if self._output.as_kind:
            self._table(kind, obj)
        else:
            self._object(kind, obj)

    def _table(self, kind: str, obj: Object) -> None:
        call = self._call
        obj = transform_one(call.resource.kind, obj, self._output, call.ctx.query, call.registry.clock(), headers=self._headers_due)
        self._headers_due = False
        self._object(kind, obj)

    def _object(self, kind: str, obj: Object) -> None:
        self._line(line(self._output.serializer, kind, obj))

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> None:
        kind, output = self._call.resource.kind, self._output
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        if output.as_kind:
            obj = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{output.as_version}", "metadata": metadata}
        if output.as_kind == "Table":
            row = {"cells": [], "object": obj}
            listed = {"resourceVersion": str(revision)}
            obj = {"kind": "Table", "apiVersion": obj["apiVersion"], "metadata": listed, "columnDefinitions": None, "rows": [row]}
        self._object("BOOKMARK", obj)

    def error(self, error: ApiError) -> None:
        self._object("ERROR", error.to_status())
        self.send()

    def _line(self, line: bytes) -> None:
        self._add(chunk(line) if self._chunked else line)

    def _add(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._size += len(frame)

    def send(self) -> None:
        """Hands what is pending to the connection."""
        transport = self._transport
        if transport is None or not self._pending:
            return
        self._counted.sent(self._pending, self._size)
        pending, self._pending, self._size = self._pending, [], 0
        if not transport.is_closing():
            transport.write(pending[0] if len(pending) == 1 else b"".join(pending))

    async def drain(self) -> None:
        """Sends, and waits while the client is behind. Raises ConnectionError when it has gone, or takes nothing."""
        self.send()
        if self.blocked:
            await drained(self._call.ctx.http)

    def abort(self) -> None:
        """Ends the connection, whatever is pending."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> web.StreamResponse:
        if self._transport is not None and not self._transport.is_closing():
            await self._response.write_eof()
        return self._response


class WebSocketStream(WatchStream):
    """One message an event, of text for JSON: how browsers watch. What the client sends is read, for pings and its goodbye, and ignored."""

    def __init__(self, call: Call, output: Output) -> None:
        super().__init__(call, output)
        self._shared = self._chunked = False
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self._transport is not None:
            return
        http = self._call.ctx.http
        offered = [p.strip() for p in self._call.ctx.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        self._socket = web.WebSocketResponse(protocols=[p for p in offered if p and not p.startswith(_BEARER)])
        if self._call.ctx.audit is not None:
            await self._call.ctx.audit.started(101)
        await self._socket.prepare(http)
        self._call.ctx.fresh = False
        self._transport = http.transport
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for _ in self._socket:
            continue
        if self._transport is not None:
            self._transport.close()

    def _line(self, line: bytes) -> None:
        self._add(websocket_frame(line) if self._output.serializer is JSON else websocket_frame(line[4:], text=False))

    async def close(self) -> web.StreamResponse:
        if self._reading is not None:
            self._reading.cancel()
        if not self._socket.closed:
            await self._socket.close(code=WSCloseCode.OK)
        return self._socket


def websocket_frame(payload: bytes, *, text: bool = True) -> bytes:
    """A final, unmasked frame (RFC 6455)."""
    size, first = len(payload), b"\x81" if text else b"\x82"
    if size < 126:
        return first + bytes((size,)) + payload
    if size < 1 << 16:
        return first + b"\x7e" + size.to_bytes(2, "big") + payload
    return first + b"\x7f" + size.to_bytes(8, "big") + payload
