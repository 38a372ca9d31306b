"""A client's connection. Ordinary requests go a short way, without a parser and without a task of their own; the first request that is
not ordinary (an upgrade, a chunked body, HTTP/1.0, a body too large to wait for) gives the connection to aiohttp for good.

The short way takes a third of the time of aiohttp's, measured in docs/performance.md. It relies on `RequestHandler` for timers, shutdown and
flow control.
"""

from __future__ import annotations

import _ssl
import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kubetree.apiserver.http.heads import Heads
from kubetree.apiserver.http.request import OrdinaryRequest
from kubetree.apiserver.wire.answers import Answer
from kubetree.kernel.memory import give_back

log = logging.getLogger(__name__)
Wake = Callable[[], None]
MAX_LINE = 1024 * 1024
"""The longest request line or header line."""
_MAX_HEAD = MAX_LINE + 4096
"""The longest head altogether: upstream's MaxHeaderBytes and what Go's server allows beyond it."""
_MAX_HEADERS = 1_000_000
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"431 Request Header Fields Too Large"
)
_LINGER = 0.5
"""Seconds in which a client that still sends can read why nobody listens."""
_WHOLE = 256 * 1024
"""Requests up to this size are waited for; larger ones are read as their handler asks for them."""


HEAD_TIMEOUT = 32.0
"""Seconds that a client has for the head of a request, and before that for TLS; upstream's ReadHeaderTimeout."""
IDLE_TIMEOUT = 90.0
"""Seconds between requests; upstream's IdleTimeout."""
_BODY_SOON = 2.0
"""Seconds that a small body is waited for; then its handler waits, which has a time limit."""
_MANY_LEFT = 500
"""Connections whose going is followed by giving back their memory: 20 to 40 KiB each with TLS, which the C library would keep."""
_ANSWERED = -1
_LOOKS = 16
"""How often it is looked whether a head is late, in the time that it may take."""


class Taker(Protocol):
    """Who gets the bytes of a connection that was taken over."""

    def client_data(self, data: bytes) -> None: ...

    def client_eof(self) -> bool: ...

    def client_lost(self) -> None: ...

    def client_paused(self, paused: bool) -> None: ...


class _Nobody:
    """What a refused client goes on to send goes nowhere."""

    def client_data(self, data: bytes) -> None: ...

    def client_eof(self) -> bool:
        return False

    def client_lost(self) -> None: ...

    def client_paused(self, paused: bool) -> None: ...


_NOBODY = _Nobody()


class HttpServer(web.Server):
    """Makes connections. Settings are those of aiohttp's RequestHandler."""

    def __init__(self, handler: web.RequestHandler | Callable[..., object], **settings: object) -> None:
        limits = {"max_line_size": MAX_LINE, "max_field_size": MAX_LINE, "max_headers": _MAX_HEADERS}
        super().__init__(handler, **limits, **settings)  # type: ignore[arg-type]
        self.heads = Heads(MAX_LINE, _MAX_HEADERS)
        self._looking: asyncio.TimerHandle | None = None
        self._most = 0

    def look_after(self, head_timeout: float = HEAD_TIMEOUT) -> None:
        """Closes connections whose head does not come, from now on until `shutdown`. Connections are looked at now and then, which costs
        requests nothing; so it may take a sixteenth longer."""
        often = head_timeout / _LOOKS

        def look() -> None:
            connections = self.connections
            for connection in connections:
                if isinstance(connection, Connection):
                    connection.look(_LOOKS, max(1, round(_BODY_SOON / often)))
            self._most = max(self._most, len(connections))
            if self._most - len(connections) >= _MANY_LEFT:
                self._most = len(connections)
                give_back()
            self._looking = self._loop.call_later(often, look)

        self._looking = self._loop.call_later(often, look)

    async def shutdown(self, timeout: float | None = None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await super().shutdown(timeout)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


def sent_chain(tls: Any) -> tuple[bytes, ...]:
    """Certificates that the peer sent after its own, as DER; nothing says that they are good. Nothing for a session taken up again."""
    inner = tls._sslobj  # public from 3.13 on
    chain = inner.get_unverified_chain() if hasattr(inner, "get_unverified_chain") else None
    return tuple(certificate.public_bytes(_ssl.ENCODING_DER) for certificate in (chain or ())[1:])


class Connection(RequestHandler):
    """Says when it is lost, and can be taken over for another protocol."""

    __slots__ = (
        "_at",
        "_early",
        "_heads",
        "_held",
        "_looks",
        "_ordinary",
        "_slow",
        "_taker",
        "_too_large",
        "ended",
        "full",
        "on_full",
        "on_lost",
        "on_writable",
        "peer_certificate",
        "peer_chain",
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(self._manager, HttpServer)
        self.on_lost: Wake | None = None
        self.on_full: Wake | None = None
        self.on_writable: Wake | None = None
        self.full = self._held = self._slow = self._too_large = False
        self._looks = 0
        """How often it was found waiting for a request that had begun, or for its first."""
        self._taker: Taker | None = None
        self._early, self._at, self._ordinary, self._heads = b"", 0, True, self._manager.heads
        self.ended: asyncio.Future[None] = self._loop.create_future()
        tls = transport.get_extra_info("ssl_object")
        self.peer_certificate: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
        """The client's, as DER."""
        self.peer_chain = sent_chain(tls) if self.peer_certificate is not None else ()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._ordinary:
            if self._force_close or self._close:
                return
            self._early = self._early[self._at :] + data if self._early else data
            self._at = 0
            waiter = self._waiter
            if waiter is None:
                if len(self._early) > _WHOLE:
                    self._held = True
                    self.hold_reading(True)
            elif not waiter.done():
                waiter.set_result(None)
        elif self._taker is not None:
            self._taker.client_data(data)
        else:
            super().data_received(data)

    async def start(self) -> None:
        """One request after the other, in the connection's own task."""
        loop = self._loop
        while not self._force_close:
            request = self._next()
            if request is None:
                if self._too_large:
                    await self._refuse_head()
                    break
                if self._slow:
                    self._ordinary = False
                if not self._ordinary:
                    self._looks = _ANSWERED
                    early, self._early = self._early[self._at :], b""
                    super().data_received(early)
                    return await super().start()
                waiter = self._waiter = loop.create_future()
                try:
                    await waiter
                finally:
                    self._waiter = None
                continue
            self._looks = _ANSWERED
            if not await self._answer(request) or self._close:
                break
            self._next_keepalive_close_time = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()
        return None

    def look(self, most: int, body: int) -> None:
        """Called now and then: the `most`th time that it finds the same head still to come, the connection ends. A body that has not come
        after `body` times is left to its handler."""
        waits = self._waiter is not None and not self._request_in_progress and self._taker is None
        if not waits or (self._looks == _ANSWERED and not self._early):
            return
        self._looks = max(0, self._looks) + 1
        if self._ordinary and b"\r\n\r\n" in self._early:
            if self._looks > body and self._waiter is not None and not self._waiter.done():
                self._slow = True
                self._looks = _ANSWERED
                self._waiter.set_result(None)
        elif self._looks > most:
            self.force_close()

    def _next(self) -> OrdinaryRequest | None:
        """The next request once all of it is there. Turns to aiohttp when what is there is not ordinary."""
        if self._held:
            self._held = False
            self.hold_reading(False)
        data, at = self._early, self._at
        if not data:
            return None
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or end - at > _MAX_HEAD:
            self._too_large = (len(data) if end < 0 else end) - at > _MAX_HEAD
            return None
        start = self._heads.read(data, at, self._loop)
        if start is None or start.head.length > _WHOLE:
            self._ordinary = False
            return None
        end = start.end + start.head.length
        if len(data) < end:
            return None
        if len(data) == end:
            self._early, self._at = b"", 0
        else:
            self._at = end
        return OrdinaryRequest(start, data[start.end : end], self)

    async def _refuse_head(self) -> None:
        if self.transport is not None:
            self._ordinary, self._taker = False, _NOBODY
            self.transport.write(_TOO_LARGE)
            await asyncio.sleep(_LINGER)

    async def _answer(self, request: OrdinaryRequest) -> bool:
        """Whether there may be another request."""
        self._request_in_progress, self._current_request = True, request
        try:
            response: web.StreamResponse = await self._request_handler(request)  # type: ignore[misc]
            await response.prepare(request)
            if type(response) is not Answer:
                await response.write_eof()
        except ConnectionError:
            return False
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception:
            log.exception("%s %s: the answer was broken off", request.method, request.raw_path)
            self.force_close()
            return False
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)
        self._keepalive = bool(response.keep_alive)
        return self._keepalive

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no proper HTTP is the client's fault: it is told so as Go's server tells it, and the log is not filled by it."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.debug("%s: no proper request: %s", request.remote, message)
        response = web.Response(status=status, text=f"{status} {HTTPStatus(status).phrase}", content_type="text/plain", charset="utf-8")
        response.force_close()
        return response

    def take_over(self, taker: Taker) -> None:
        """From now on `taker` gets what the client sends, first what was read ahead. Only upgraded connections can be taken over."""
        self._taker = taker
        early, self._message_tail = self._message_tail, b""
        if early:
            taker.client_data(early)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        return self._taker.client_eof() if self._taker is not None else None

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(None)
        if self._taker is not None:
            self._taker.client_lost()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.full = True
        if self.on_full is not None:
            self.on_full()
        if self._taker is not None:
            self._taker.client_paused(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.full = False
        if self._taker is not None:
            self._taker.client_paused(False)
        if self.on_writable is not None:
            callback, self.on_writable = self.on_writable, None
            callback()

    def hold_reading(self, hold: bool) -> None:
        """Stops or resumes reading from the client, as the other side can take more or not."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if hold:
                transport.pause_reading()
            else:
                transport.resume_reading()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """aiohttp gives a connection that waits for its next request as much time as one that answers; here it ends at once."""
        self.close()
        await super().shutdown(timeout)

    def close_gently(self) -> None:
        """Closes after everything written has been sent."""
        self.close()
        if self.transport is not None:
            self.transport.close()
