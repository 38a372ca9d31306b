"""Connections that go on after their request: watches, which must be woken when their client leaves or the server stops, and
upgraded connections, whose bytes are no longer HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kubetree.apiserver.context import RequestContext

Wake = Callable[[], None]


class Taker(Protocol):
    """Who gets the bytes of a connection that was taken over."""

    def client_data(self, data: bytes) -> None: ...

    def client_eof(self) -> bool: ...

    def client_lost(self) -> None: ...

    def client_paused(self, paused: bool) -> None: ...


class Connection(RequestHandler):
    """aiohttp's connection, which says when it is lost and can be taken over for another protocol."""

    __slots__ = ("_taker", "ended", "full", "on_lost", "on_writable")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.on_lost: Wake | None = None
        self.on_writable: Wake | None = None
        self.full = False
        self._taker: Taker | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().connection_made(transport)

    def take_over(self, taker: Taker) -> None:
        """From now on `taker` gets what the client sends, first what was read ahead."""
        self._taker = taker
        early, self._message_tail = self._message_tail, b""
        if early:
            taker.client_data(early)

    def data_received(self, data: bytes) -> None:
        if self._taker is not None:
            self._taker.client_data(data)
        else:
            super().data_received(data)

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


class Finished(web.StreamResponse):
    """What a handler returns that has nothing more to say: its connection was taken over, or its client has gone."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class HttpServer(web.Server):
    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Streams:
    """The open streams of one server."""

    def __init__(self) -> None:
        self._wakes: set[Wake] = set()
        self.ending = False

    @contextmanager
    def opened(self, ctx: RequestContext, wake: Wake) -> Iterator[None]:
        """`wake` is called when the connection is lost or the server ends."""
        connection = ctx.http.protocol
        if isinstance(connection, Connection):
            connection.on_lost = wake
        self._wakes.add(wake)
        try:
            yield
        finally:
            self._wakes.discard(wake)
            if isinstance(connection, Connection):
                connection.on_lost = None

    def end(self) -> None:
        self.ending = True
        for wake in list(self._wakes):
            wake()
