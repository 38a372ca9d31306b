"""A complete answer, sent as one write: head and body together, which spares TLS a record and the loop a good part of aiohttp's work.

Stands in for aiohttp's Response on every path where the body is known; streams use aiohttp's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from multidict import CIMultiDict

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_AT_ONCE = 64 * 1024
_SLICE = 1024 * 1024
_AHEAD = 2 * 1024 * 1024
"""Bytes of a long answer that are made before the client has taken them, so that neither waits for the other."""
STALLED = 60.0
"""Seconds that a client may take for what is pending of an answer, at most a slice; upstream's limit of a request."""


class Answer(web.StreamResponse):
    """`body` is sent as it is, and `tail` after it; Content-Length, Date and Connection are added. `headers` is taken over."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str], tail: bytes = b"") -> None:
        self._status, self._reason = status, _REASONS.get(status, "")
        self.body, self._tail = body, tail
        self._given = headers
        self._changed: CIMultiDict[str] | None = None

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body)

    @property
    def headers(self) -> CIMultiDict[str]:
        """To be added to; few answers are."""
        if self._changed is None:
            self._changed = CIMultiDict(self._given)
        return self._changed

    _headers = headers

    async def prepare(self, request: web.BaseRequest) -> None:
        """Sends everything. Raises ConnectionResetError when the client has gone."""
        transport = self._begun(request)
        if transport is None:
            return
        head, body = self._head(request), self.body
        if request.method == "HEAD":
            transport.write(head)
            return
        if len(body) <= _AT_ONCE:
            transport.write(head + body + self._tail)
            return
        transport.write(head)
        view = memoryview(body)
        for at in range(0, len(body), _SLICE):
            transport.write(view[at : at + _SLICE])
            await drained(request)
        if self._tail:
            transport.write(self._tail)

    def _begun(self, request: web.BaseRequest) -> asyncio.Transport | None:
        """Where it is to be written, None when that was done. Raises ConnectionResetError."""
        if self._eof_sent:
            return None
        self._eof_sent = True
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        return transport

    async def write_eof(self, data: bytes = b"") -> None:
        return None

    def _head(self, request: web.BaseRequest) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in (self._changed or self._given).items()]
        connection = ""
        if request.version < (1, 1):
            connection = "Connection: keep-alive\r\n" if self._keep_alive else ""
        elif not self._keep_alive:
            connection = "Connection: close\r\n"
        head = f"HTTP/1.1 {self._status} {self._reason}\r\n{''.join(lines)}{self._framing()}\r\nDate: {_date()}\r\n{connection}\r\n"
        return head.encode("utf-8", "surrogateescape")

    def _framing(self) -> str:
        return f"Content-Length: {len(self.body) + len(self._tail)}"


class LongAnswer(Answer):
    """A body in pieces, made as the client takes them: what is long is never in memory as a whole, however many ask for it.

    `length`: of all pieces together; 0: not known, the client gets chunks.
    """

    def __init__(self, pieces: Iterable[bytes], length: int, headers: Mapping[str, str]) -> None:
        super().__init__(b"", 200, headers)
        self._pieces, self._length = pieces, length

    @property
    def size(self) -> int:
        """0 when it is not known."""
        return self._length

    async def prepare(self, request: web.BaseRequest) -> None:
        """As Answer's; other requests run between two pieces."""
        transport = self._begun(request)
        if transport is None:
            return
        transport.write(self._head(request))
        if request.method == "HEAD":
            return
        transport.set_write_buffer_limits(high=_AHEAD)
        for piece in self._pieces:
            transport.write(piece if self._length else b"%x\r\n%b\r\n" % (len(piece), piece))
            await drained(request)
            await asyncio.sleep(0)
        if not self._length:
            transport.write(b"0\r\n\r\n")
        transport.set_write_buffer_limits()

    def _framing(self) -> str:
        return f"Content-Length: {self._length}" if self._length else "Transfer-Encoding: chunked"


async def drained(request: web.BaseRequest) -> None:
    """Raises ConnectionResetError when the client has gone, or takes nothing."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has closed the connection")
    try:
        async with asyncio.timeout(STALLED):
            await request.writer.drain()
    except TimeoutError:
        transport.abort()
        raise ConnectionResetError("the client does not read") from None


_now, _text = 0, ""


def _date() -> str:
    """The Date header's value, made once a second."""
    global _now, _text
    now = int(time.time())
    if now != _now:
        _now, _text = now, formatdate(now, usegmt=True)
    return _text
