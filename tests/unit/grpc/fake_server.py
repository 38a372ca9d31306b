"""A gRPC server made of bytes: a Connection under test on a transport that only remembers, and the frames a server would send it.

Header blocks are encoded by the hpack library, the frames of the client are read here anew: neither uses the code under test.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, NamedTuple

from hpack import Decoder, Encoder

from kubetree.grpc.connection import Connection, Keepalive
from kubetree.grpc.headers import Fields

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
FIELDS: Fields = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x.Y/Z"), (b":authority", b"a"), (b"te", b"trailers"))
ANSWER = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0"), ("grpc-message", "")]


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def message(text: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(text)) + text


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        assert not self.closed, "nothing is written to a closed connection"
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class FakeServer:
    """The other end of `connection`. Made within a running loop; it has sent its settings unless `settings` is None."""

    def __init__(
        self, settings: dict[int, int] | None = None, *, keepalive: Keepalive | None = None, limit: int = 2**31, shy: bool = False
    ):
        self.transport = FakeTransport()
        self.retired = False
        self.connection = Connection(asyncio.get_running_loop(), keepalive or Keepalive(), limit, self._retired)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._read = 0
        self.connection.connection_made(self.transport)
        if not shy:
            self.settings(settings or {})

    def _retired(self, _: Connection) -> None:
        self.retired = True

    def send(self, *frames: bytes) -> None:
        self.connection.data_received(b"".join(frames))

    def settings(self, values: dict[int, int]) -> None:
        self.send(frame(SETTINGS, payload=b"".join(struct.pack(">HI", *item) for item in values.items())))

    def headers(self, stream: int, fields: list[tuple[str, str]], *, end: bool = False) -> bytes:
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, self._encoder.encode(fields))

    def answer(self, stream: int, text: bytes) -> bytes:
        return b"".join(
            (self.headers(stream, ANSWER), frame(DATA, stream=stream, payload=message(text)), self.headers(stream, OK, end=True))
        )

    async def received(self) -> list[Frame]:
        """What the client has sent since the last time, the preface aside."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        data = self.transport.written
        if self._read == 0:
            assert data.startswith(preface)
            self._read = len(preface)
        found = []
        while self._read < len(data):
            size = int.from_bytes(data[self._read : self._read + 3], "big")
            kind, flags = data[self._read + 3], data[self._read + 4]
            stream = int.from_bytes(data[self._read + 5 : self._read + 9], "big")
            start = self._read + 9
            self._read = start + size
            assert self._read <= len(data), "whole frames only"
            found.append(Frame(kind, flags, stream, data[start : self._read]))
        return found

    def fields(self, block: bytes) -> Fields:
        """Of a HEADERS frame of the client's; must be given all of them in order."""
        return tuple((bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True))

    def limit_table(self, size: int) -> None:
        self._decoder.max_allowed_table_size = size
        self.settings({1: size})


def of_kind(frames: list[Frame], kind: int) -> list[Frame]:
    return [found for found in frames if found.kind == kind]
