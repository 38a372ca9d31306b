"""A raw tunnel for upgraded connections: after the head of the request, bytes are copied both ways and looked at by nobody.

SPDY/3.1, WebSocket and whatever comes after them pass alike. Either side's pace holds the other's: reading stops while the
opposite buffer is full. The end of one side is passed on as the end of the other, after everything before it was delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from kubetree.api.errors import ApiError, BadRequest, ServiceUnavailable
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.http.connection import Connection
from kubetree.apiserver.streams import Finished

_HOP = frozenset({"host", "content-length", "transfer-encoding", "authorization", "te", "trailer", "proxy-authorization"})
_MAX_HEAD = 64 * 1024
_ANSWER_TIMEOUT = 30.0
_MAX_REFUSAL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: `path` is encoded and has the query. `tls` None: plain. `server_name` is whose certificate is expected, where that
    is not the host; `headers` are sent instead of the request's own."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    server_name: str = ""
    headers: tuple[tuple[str, str], ...] | None = None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def is_upgrade(ctx: RequestContext) -> bool:
    return any(part.strip().lower() == "upgrade" for part in ctx.headers.get("Connection", "").split(","))


class _Backend(asyncio.Protocol):
    """The far side: collects the head of the answer, then copies."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = False
        self._is_tls = False
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._is_tls = transport.get_extra_info("sslcontext") is not None

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._open:
            self._to_client(data)
            return
        self._head += data
        self._news.set()
        if not self.answered.done() and (b"\r\n\r\n" in self._head or len(self._head) > _MAX_HEAD):
            try:
                self.answered.set_result(int(self._head.split(None, 2)[1]))
            except (ValueError, IndexError):
                self.answered.set_exception(ServiceUnavailable("the node's answer was not HTTP"))

    def accept(self) -> None:
        """The answer was 101: from now on bytes are copied."""
        self._open = True
        self._to_client(bytes(self._head))
        self._head.clear()

    def _to_client(self, data: bytes) -> None:
        client = self._client.transport
        if client is not None and not client.is_closing():
            client.write(data)

    @property
    def received(self) -> bytes:
        return bytes(self._head)

    async def more(self) -> None:
        """Returns when more has come, or the end."""
        await self._news.wait()
        self._news.clear()

    def eof_received(self) -> bool:
        """True keeps the other direction open, which TLS cannot."""
        client = self._client.transport
        if self._transport is None or self._is_tls:
            return False
        if self._open and isinstance(client, asyncio.Transport) and client.can_write_eof() and not client.is_closing():
            client.write_eof()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(ServiceUnavailable("the node closed the connection before it answered"))
        if not self.ended.done():
            self.ended.set_result(None)
        self._news.set()

    def pause_writing(self) -> None:
        self._client.hold_reading(True)

    def resume_writing(self) -> None:
        self._client.hold_reading(False)

    # What the client's connection calls: see streams.Taker.

    def client_data(self, data: bytes) -> None:
        self.send(data)

    def client_eof(self) -> bool:
        """True: the client may go on reading."""
        transport = self._transport
        if transport is not None and transport.can_write_eof():
            transport.write_eof()
            return True
        return False

    def client_lost(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def client_paused(self, paused: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


async def tunnel(ctx: RequestContext, target: Target) -> web.StreamResponse:
    """Carries the request to `target` and, if it agrees to upgrade, copies until either side ends.

    Raises BadRequest when the request asks for no upgrade, ServiceUnavailable when the target cannot be reached; another status
    than 101 is answered as it came.
    """
    if not is_upgrade(ctx):
        raise BadRequest("Upgrade request required")
    connection = ctx.http.protocol
    if not isinstance(connection, Connection):
        raise ApiError("this connection cannot be upgraded")
    backend = _Backend(connection)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            name = target.server_name or None if target.tls is not None else None
            await loop.create_connection(lambda: backend, target.host, target.port, ssl=target.tls, server_hostname=name)
            backend.send(_head(ctx, target))
            status = await backend.answered
    except (OSError, TimeoutError) as error:
        backend.client_lost()
        why = str(error) or "timed out"
        raise ServiceUnavailable(f"error dialing backend: dial tcp {target.authority}: {why}", status_code=500, status_reason="") from None
    if status != 101:
        return await _refused(ctx, backend, status)
    if ctx.audit is not None:
        await ctx.audit.started(status)
    connection.take_over(backend)
    backend.accept()
    ctx.fresh = False
    try:
        await asyncio.wait((backend.ended, connection.ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        backend.client_lost()
        connection.close_gently()
    return Finished(101)


def _head(ctx: RequestContext, target: Target) -> bytes:
    lines = [f"{ctx.method} {target.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in (_forwarded(ctx) if target.headers is None else target.headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _forwarded(ctx: RequestContext) -> Iterable[tuple[str, str]]:
    for name, value in ctx.headers.items():
        if name.lower() not in _HOP:
            yield name, value
    if ctx.remote:
        yield "X-Forwarded-For", ctx.remote


async def _refused(ctx: RequestContext, backend: _Backend, status: int) -> web.StreamResponse:
    """The target's own answer: read to its end (by length, or until it closes; at most 64 KiB) and passed on."""
    head, _, body = backend.received.partition(b"\r\n\r\n")
    headers = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    stated = headers.get("content-length", "")
    length = min(int(stated), _MAX_REFUSAL) if stated.isdecimal() else _MAX_REFUSAL
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                while not backend.ended.done() and len(body) < length:
                    await backend.more()
                    body = backend.received.partition(b"\r\n\r\n")[2]
    finally:
        backend.client_lost()
    kind = headers.get("content-type", "text/plain")
    return web.Response(body=bytes(body), status=status, headers={"Content-Type": kind, "Audit-Id": ctx.audit_id})
