"""Heads of requests, remembered by their bytes: a client sends the same header lines again and again, and only its first are parsed.

What is remembered follows from the lines alone. Who the client is does not: that is asked anew for every request.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.http_writer import HttpVersion11
from multidict import CIMultiDictProxy

LONGEST = 4096
"""Bytes of header lines that are remembered; longer ones are parsed each time."""
_MOST = 2048
_PARSED_AS = b"GET / HTTP/1.1\r\n"
_REQUEST_LINE = re.compile(rb"(?!CONNECT )([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.1\r\n")
"""A method may be any token, as for Go: what is none that a resource has is refused like one that it has not."""
_BLANK = b"\r\n\r\n"


class Head(NamedTuple):
    """Header lines of an ordinary request: `length` bytes of body follow; `close`: the client wants no other answer after this.
    `facts` has what was concluded from the lines alone, by whoever needed it first.
    """

    headers: CIMultiDictProxy[str]
    length: int
    close: bool
    facts: dict[Any, Any]


class Ordinary(NamedTuple):
    """The start of a request: its body begins at `end`."""

    method: str
    target: str
    head: Head
    end: int


class Heads:
    """One for a server. `limit`: the longest header line; `most`: how many there may be."""

    def __init__(self, limit: int, most: int) -> None:
        self._limit, self._count = limit, most
        self._known: dict[bytes, Head] = {}

    def read(self, data: bytes, at: int, loop: asyncio.AbstractEventLoop) -> Ordinary | None:
        """The request that starts at `at`, behind which there is a blank line; None for whatever is not ordinary: another version, a
        tunnel, an upgrade, a chunked or compressed body, or no proper HTTP at all."""
        line = _REQUEST_LINE.match(data, at)
        if line is None:
            return None
        start, end = line.end(), data.index(_BLANK, at) + len(_BLANK)
        lines = data[start:end]
        head = self._known.get(lines)
        if head is None:
            head = self._parse(lines, loop)
            if head is None:
                return None
            if len(lines) <= LONGEST:
                if len(self._known) >= _MOST:
                    del self._known[next(iter(self._known))]
                self._known[lines] = head
        method, target = line.groups()
        return Ordinary(method.decode(), target.decode(), head, end)

    def _parse(self, lines: bytes, loop: asyncio.AbstractEventLoop) -> Head | None:
        limit, most = self._limit, self._count
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_line_size=limit, max_field_size=limit, max_headers=most)
        try:
            messages, upgraded, tail = parser.feed_data(_PARSED_AS + lines)
        except HttpProcessingError:
            return None
        if len(messages) != 1 or upgraded or tail:
            return None
        message, _ = messages[0]
        headers = message.headers
        unusual = message.upgrade or message.chunked or message.compression or message.version != HttpVersion11 or "Expect" in headers
        if unusual or "Upgrade" in headers:
            return None
        return Head(headers, int(headers.get("Content-Length", 0)), message.should_close, {})
