"""An ordinary request, whole in memory, with the face of aiohttp's: what streams and responses of aiohttp need of it is made when asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import HttpVersion11, StreamWriter
from yarl import URL

from kubetree.apiserver.http.heads import Ordinary

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler


class OrdinaryRequest(web.BaseRequest):
    """`received` is the body, `facts` see Head."""

    def __init__(self, start: Ordinary, body: bytes, protocol: RequestHandler) -> None:
        self._method, self._target, self._head = start.method, start.target, start.head
        self._headers = start.head.headers
        self._protocol = protocol
        self._version = HttpVersion11
        self._cache: dict[str, Any] = {}
        self._writer: StreamWriter | None = None
        self._reader: StreamReader | None = None
        self.received, self.facts = body, start.head.facts

    @property
    def raw_path(self) -> str:
        return self._target

    @property
    def keep_alive(self) -> bool:
        return not self._head.close

    @property
    def content_length(self) -> int | None:
        return len(self.received) if "Content-Length" in self._headers else None

    @property
    def body_exists(self) -> bool:
        return self._head.length > 0

    @property
    def remote(self) -> str | None:
        peer = self._protocol.peername
        return str(peer[0]) if isinstance(peer, list | tuple) else None if peer is None else str(peer)

    @property
    def task(self) -> asyncio.Task[None]:
        return self._protocol._task_handler  # type: ignore[return-value]

    @property
    def _payload(self) -> StreamReader:  # type: ignore[override]
        if self._reader is None:
            if not self.received:
                self._reader = EMPTY_PAYLOAD
            else:
                self._reader = StreamReader(self._protocol, 2**30, loop=self._protocol._loop)
                self._reader.feed_data(self.received)
                self._reader.feed_eof()
        return self._reader

    @property
    def _payload_writer(self) -> AbstractStreamWriter:  # type: ignore[override]
        if self._writer is None:
            self._writer = StreamWriter(self._protocol, self._protocol._loop)
        return self._writer

    @property
    def _rel_url(self) -> URL:  # type: ignore[override]
        return URL(self._target, encoded=True)

    def _cancel(self, exc: BaseException) -> None:
        """The connection was lost: nobody waits for this body."""

    def _finish(self) -> None:
        """Nothing was put on disk."""
