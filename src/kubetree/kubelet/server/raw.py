"""Taking a connection over from aiohttp: after the request's head, bytes go both ways untouched."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter


class _Sink:
    """What aiohttp hands the connection's bytes to once it no longer parses them."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        if not self._reader.at_eof():
            self._reader.feed_eof()


class TakenOver(web.StreamResponse):
    """What a handler returns for a connection that it has used up: nothing more is written, and it is closed."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return


class Connection:
    """The two directions of a connection that was taken over."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._protocol: Any = request.protocol
        transport: Any = request.transport
        self._transport = transport
        self.reader = asyncio.StreamReader(limit=2**18)
        self.reader.set_transport(transport)
        sink: Any = _Sink(self.reader)
        self._protocol.set_parser(sink)

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when the other side is gone."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        await self._protocol._drain_helper()

    def close(self) -> TakenOver:
        """Ends the connection; the answer is what the handler returns."""
        self._protocol.force_close()
        if self._transport is not None:
            self._transport.close()
        return TakenOver()


async def pump(source: asyncio.StreamReader, write: Any) -> None:
    """Copy until the source ends. `write` is an async function of bytes."""
    try:
        while data := await source.read(65536):
            await write(data)
    except ConnectionError:
        return


async def either(first: Coroutine[Any, Any, None], second: Coroutine[Any, Any, None]) -> None:
    """Both directions at once, until one of them ends; the other is given up. Raises what the one that ended raised."""
    tasks = [asyncio.create_task(first), asyncio.create_task(second)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
