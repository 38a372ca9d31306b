"""Answers that go on for long: they must be woken when their client leaves or the server stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.http.connection import Connection, Wake


class Finished(web.StreamResponse):
    """What a handler returns that has nothing more to say: its connection was taken over, or its client has gone."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class Streams:
    """The open streams of one server."""

    def __init__(self) -> None:
        self._wakes: set[Wake] = set()
        self.ending = False

    def __len__(self) -> int:
        return len(self._wakes)

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
