"""SPDY/3.1 as far as Kubernetes' streaming uses it: frames, compressed headers, and a client session over asyncio streams.

Flow control is left out as in the Go library on the other side, which ignores WINDOW_UPDATE. Framing facts: the SPDY/3.1 draft.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 1
VERSION = 3
MAX_DATA = 32 * 1024
UNREAD = 64
"""Pieces of data that a stream holds for its reader before the connection waits."""

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization "
    "cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range "
    "content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified "
    "location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding "
    "upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information"
    "204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
    "501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, "
    "Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public"
    "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(w)) + w.encode() for w in _WORDS.replace("200_OK", "200\0OK").split(" ")).replace(
    b"\0OK", b" OK"
) + (_TAIL.encode())
"""The header compression dictionary that the draft prescribes; both sides must have it to the byte."""


class SpdyError(Exception):
    """The other side broke the protocol, refused a stream, or went away."""


@dataclass(frozen=True, slots=True)
class DataFrame:
    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """`stream` is 0 for frames about the session. `headers` are those of SYN_STREAM, SYN_REPLY and HEADERS; `payload` is the rest."""

    kind: int
    flags: int
    stream: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: bytes = b""


class Framer:
    """Bytes to frames and back. The compression contexts live as long as the session, one for each direction."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()

    # -- reading

    def feed(self, data: bytes) -> list[DataFrame | ControlFrame]:
        """The frames completed by `data`. Raises SpdyError."""
        self._buffer += data
        frames: list[DataFrame | ControlFrame] = []
        while len(self._buffer) >= 8:
            head, tail = struct.unpack_from(">II", self._buffer)
            flags, length = tail >> 24, tail & 0xFFFFFF
            if len(self._buffer) < 8 + length:
                break
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if not head >> 31:
                frames.append(DataFrame(head & 0x7FFFFFFF, payload, bool(flags & FLAG_FIN)))
                continue
            if head >> 16 & 0x7FFF != VERSION:
                raise SpdyError(f"SPDY version {head >> 16 & 0x7FFF} is not spoken here")
            frames.append(self._control(head & 0xFFFF, flags, payload))
        return frames

    def _control(self, kind: int, flags: int, payload: bytes) -> ControlFrame:
        if kind in (SYN_STREAM, SYN_REPLY, HEADERS):
            (stream,) = struct.unpack_from(">I", payload)
            block = payload[10 if kind == SYN_STREAM else 4 :]
            return ControlFrame(kind, flags, stream & 0x7FFFFFFF, self._read_headers(block))
        if kind in (RST_STREAM, WINDOW_UPDATE):
            (stream,) = struct.unpack_from(">I", payload)
            return ControlFrame(kind, flags, stream & 0x7FFFFFFF, payload=payload[4:])
        return ControlFrame(kind, flags, payload=payload)

    def _read_headers(self, block: bytes) -> dict[str, str]:
        try:
            text = self._inflate.decompress(block)
            (count,) = struct.unpack_from(">I", text)
            position, parts = 4, []
            for _ in range(2 * count):
                (size,) = struct.unpack_from(">I", text, position)
                parts.append(text[position + 4 : position + 4 + size].decode())
                position += 4 + size
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"a header block cannot be read: {error}") from error
        return dict(zip(parts[::2], parts[1::2], strict=True))

    # -- writing

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        return self._frame(SYN_STREAM, FLAG_FIN if fin else 0, struct.pack(">IIH", stream, 0, 0) + self._headers(headers))

    def syn_reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        return self._frame(SYN_REPLY, 0, struct.pack(">I", stream) + self._headers(headers))

    def rst_stream(self, stream: int, status: int) -> bytes:
        return self._frame(RST_STREAM, 0, struct.pack(">II", stream, status))

    def ping(self, payload: bytes) -> bytes:
        return self._frame(PING, 0, payload)

    def goaway(self, last_stream: int) -> bytes:
        return self._frame(GOAWAY, 0, struct.pack(">II", last_stream, 0))

    @staticmethod
    def data(stream: int, data: bytes, *, fin: bool = False) -> bytes:
        return struct.pack(">II", stream, (FLAG_FIN if fin else 0) << 24 | len(data)) + data

    @staticmethod
    def _frame(kind: int, flags: int, payload: bytes) -> bytes:
        return struct.pack(">II", 0x80000000 | VERSION << 16 | kind, flags << 24 | len(payload)) + payload

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        text = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for part in (name.lower().encode(), value.encode()):
                text += struct.pack(">I", len(part)) + part
        return self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


class Stream:
    """One stream of a session: `read()` gives b"" at its end."""

    def __init__(self, session: Session, number: int) -> None:
        self._session, self.number = session, number
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = asyncio.Semaphore(UNREAD)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def unread(self) -> int:
        """Pieces of data that wait for the reader."""
        return self._chunks.qsize()

    async def read(self) -> bytes:
        data = await self._chunks.get()
        self._room.release()
        return data

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_DATA):
            await self._session.send(Framer.data(self.number, data[start : start + MAX_DATA]))

    async def close(self) -> None:
        """Nothing more is sent; the other side may go on."""
        await self._session.send(Framer.data(self.number, b"", fin=True))

    async def feed(self, data: bytes) -> None:
        """Waits while the reader is behind."""
        await self._room.acquire()
        self._chunks.put_nowait(data)

    def end(self) -> None:
        """Waits for nobody: a session must be able to end although nobody reads any more."""
        self._chunks.put_nowait(b"")


class Session:
    """The client's side of a SPDY connection. `run()` reads until the connection ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._framer = Framer()
        self._streams: dict[int, Stream] = {}
        self._next = 1

    async def send(self, frame: bytes) -> None:
        try:
            self._writer.write(frame)
            await self._writer.drain()
        except (ConnectionError, RuntimeError) as error:
            raise SpdyError(str(error)) from error

    async def open(self, headers: Mapping[str, str]) -> Stream:
        """A new stream, once the other side has answered. Raises SpdyError when it refuses."""
        number, self._next = self._next, self._next + 2
        stream = self._streams[number] = Stream(self, number)
        await self.send(self._framer.syn_stream(number, headers))
        await stream.opened
        return stream

    async def run(self) -> None:
        try:
            while data := await self._reader.read(65536):
                for frame in self._framer.feed(data):
                    await self._take(frame)
        except ConnectionError:
            pass
        finally:
            for number in list(self._streams):
                self._end(number, SpdyError("the connection was closed"))

    async def _take(self, frame: DataFrame | ControlFrame) -> None:
        stream = self._streams.get(frame.stream)
        if isinstance(frame, DataFrame):
            if stream is not None and frame.data:
                await stream.feed(frame.data)
            if frame.fin:
                self._end(frame.stream, None)
        elif frame.kind == SYN_REPLY and stream is not None and not stream.opened.done():
            stream.opened.set_result(None)
        elif frame.kind == RST_STREAM:
            self._end(frame.stream, SpdyError("the stream was reset"))
        elif frame.kind == PING:
            await self.send(self._framer.ping(frame.payload))

    def _end(self, number: int, error: SpdyError | None) -> None:
        stream = self._streams.pop(number, None)
        if stream is None:
            return
        if not stream.opened.done():
            if error is not None:
                stream.opened.set_exception(error)
                stream.opened.exception()
            else:
                stream.opened.set_result(None)
        stream.end()
