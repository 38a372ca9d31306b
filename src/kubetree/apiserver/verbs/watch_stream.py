"""The answer's side of a watch: frames collected and written straight to the connection, as HTTP chunks or WebSocket messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import WSCloseCode, web

from kubetree.api.errors import ApiError
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.negotiation import JSON, Output
from kubetree.apiserver.operations.managers import all_shown, requested_version
from kubetree.apiserver.streams import Connection
from kubetree.apiserver.transforms import transform_one
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.watch_cache import ADDED, DELETED, Cached, CacheEvent

Object = dict[str, Any]
_HIGH_WATER = 4 * 1024 * 1024
_BATCH = 256 * 1024
_BEARER = "base64url.bearer.authorization.k8s.io."


def wants_websocket(ctx: RequestContext) -> bool:
    return ctx.headers.get("Upgrade", "").lower() == "websocket"


class WatchStream:
    """Newline-separated events in a chunked answer."""

    def __init__(self, call: Call, output: Output) -> None:
        self._call, self._output = call, output
        same = call.resource.same_version and output.serializer is JSON and not output.as_kind
        self._splice = same
        http = call.ctx.http
        self._chunked = http.version >= (1, 1)
        self._shared = same and self._chunked
        self._headers_due = True
        headers = {"Audit-Id": call.ctx.audit_id, "Cache-Control": "no-cache, private"}
        headers["Content-Type"] = "application/json;stream=watch" if output.stream else "application/json"
        self._response = web.StreamResponse(headers=headers)
        self._streams = call.registry.streams
        self._connection = http.protocol if isinstance(http.protocol, Connection) else None
        self._transport: asyncio.WriteTransport | None = None
        self._pending: list[bytes] = []
        self._size = 0

    async def open(self) -> None:
        """Sends the head of the answer."""
        if self._transport is not None:
            return
        http = self._call.ctx.http
        if self._chunked:
            self._response.enable_chunked_encoding()
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

    def event(self, event: CacheEvent, kind: str) -> None:
        if self._shared:
            self._add(event.frame(kind))
            return
        self.object(kind, requested_version(self._call.resource, _shown(event, kind)))

    async def converted(self, events: Sequence[tuple[CacheEvent, str]]) -> None:
        """Events of a resource with a codec, each with the type that it goes under."""
        objs = await all_shown(self._call.resource, [_shown(event, kind) for event, kind in events])
        for (_, kind), obj in zip(events, objs, strict=True):
            self.object(kind, obj)

    def initial(self, entry: Cached) -> None:
        if self._splice:
            self._line(b'{"type":"ADDED","object":%b}\n' % entry.data)
        else:
            self.object(ADDED, requested_version(self._call.resource, entry.obj))

    def object(self, kind: str, obj: Object) -> None:
        """An event with an object in the version asked for."""
        call, output = self._call, self._output
        if output.as_kind:
            obj = transform_one(call.resource.kind, obj, output, call.ctx.query, call.registry.clock(), headers=self._headers_due)
            self._headers_due = False
        self._line(orjson.dumps({"type": kind, "object": obj}) + b"\n")

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
        self._line(orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n")

    def error(self, error: ApiError) -> None:
        self._line(orjson.dumps({"type": "ERROR", "object": error.to_status()}) + b"\n")
        self.send()

    def _line(self, line: bytes) -> None:
        self._add(b"%x\r\n%b\r\n" % (len(line), line) if self._chunked else line)

    def _add(self, frame: bytes) -> None:
        self._pending.append(frame)
        self._size += len(frame)

    def send(self) -> None:
        """Hands what is pending to the connection."""
        transport = self._transport
        if transport is None or not self._pending:
            return
        pending, self._pending, self._size = self._pending, [], 0
        if not transport.is_closing():
            transport.write(pending[0] if len(pending) == 1 else b"".join(pending))

    async def drain(self) -> None:
        """Sends, and waits while the client is behind. Raises ConnectionError when it has gone."""
        self.send()
        if self.blocked:
            await self._call.ctx.http.writer.drain()

    async def close(self) -> web.StreamResponse:
        if self._transport is not None and not self._transport.is_closing():
            await self._response.write_eof()
        return self._response


def _shown(event: CacheEvent, kind: str) -> Object:
    """The object of an event that goes under `kind`: to a watcher that it left as it was before, with the event's resourceVersion."""
    entry = event.previous if kind == DELETED and event.type != DELETED and event.previous is not None else event.current
    if entry.revision == event.revision:
        return entry.obj
    return {**entry.obj, "metadata": {**entry.obj["metadata"], "resourceVersion": str(event.revision)}}


class WebSocketStream(WatchStream):
    """One text message an event: how browsers watch. What the client sends is read, for pings and its goodbye, and ignored."""

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
        self._add(text_frame(line))

    async def close(self) -> web.StreamResponse:
        if self._reading is not None:
            self._reading.cancel()
        if not self._socket.closed:
            await self._socket.close(code=WSCloseCode.OK)
        return self._socket


def text_frame(payload: bytes) -> bytes:
    """A final, unmasked text frame (RFC 6455)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
