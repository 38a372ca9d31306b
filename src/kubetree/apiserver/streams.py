"""Answers that go on: woken when their client goes away or the server stops, since nobody else would tell them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kubetree.apiserver.context import RequestContext

Wake = Callable[[], None]


class Connection(RequestHandler):
    """aiohttp's connection, which says when it is lost."""

    __slots__ = ("on_lost",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.on_lost: Wake | None = None
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()


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
