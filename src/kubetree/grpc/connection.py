"""One HTTP/2 connection, client side, with the calls under way on it: frames in, frames out, windows, silence, farewell.

Calls that start in one turn of the loop leave in one write. Frames are handled where they arrive, without a task. What is written is bounded
by the server's windows, so the transport's own pauses are not looked at.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from kubetree.grpc import frames
from kubetree.grpc.calls import Call, StreamCall, UnaryCall, framed
from kubetree.grpc.frames import ProtocolFault, frame_header
from kubetree.grpc.headers import MAX_LIST_SIZE, Fields, HeaderDecoder, HeaderEncoder
from kubetree.grpc.status import (
    CANCEL,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    Code,
    RpcError,
    of_reset,
)

STREAM_WINDOW, CONNECTION_WINDOW = 4 << 20, 16 << 20
"""What the server may send unasked: of one call, and of all together."""
_SETTINGS = {
    frames.ENABLE_PUSH: 0,
    frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
    frames.MAX_HEADER_LIST_SIZE: MAX_LIST_SIZE,
}
_PING = b"kubetree"
_LATE = 0.5
"""Seconds by which a timer comes late when the loop stood still: then the silence was ours."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Seconds of silence after which the server is asked whether it is there, while somebody waits for an answer (`urgent`) and while only
    streams are open (`idle`); and how long it may take to answer. etcd by default wants five seconds between two questions."""

    urgent: float = 3.0
    idle: float = 30.0
    answer: float = 3.0


class Connection(asyncio.Protocol):
    """`on_retired` is called once, when no more calls may start here. `limit` is the largest message taken, in bytes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keepalive: Keepalive, limit: int, on_retired: Callable[[Connection], None]) -> None:
        self._loop, self._keepalive, self._limit, self._on_retired = loop, keepalive, limit, on_retired
        self._transport: asyncio.Transport | None = None
        """None before it is there and from the moment on that this side wants no more of it."""
        self._socket: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = loop.create_future()
        """Done once the server has shown that it speaks HTTP/2; fails with an RpcError."""
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done once the socket is closed."""
        self.retired = False
        self._calls: dict[int, Call] = {}
        self._next_id = 1
        self._encoder, self._decoder = HeaderEncoder(), HeaderDecoder()
        # to the server
        self._out: list[bytes] = []
        self._flushed_to = 1
        self._send_window, self._initial_window = frames.DEFAULT_WINDOW, frames.DEFAULT_WINDOW
        self._frame_size = frames.DEFAULT_FRAME_SIZE
        self._most_calls = frames.LARGEST_WINDOW
        self._blocked: dict[int, Call] = {}
        self._room: list[asyncio.Future[None]] = []
        # from the server
        self._rest = b""
        self._unacknowledged = 0
        self._headers_of: tuple[int, int, bytearray] | None = None
        # silence
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = math.inf
        self._heard, self._quiet_since, self._asked_at = False, 0.0, 0.0

    # ---- calls

    @property
    def full(self) -> bool:
        """As many calls are under way as the server takes."""
        return len(self._calls) >= self._most_calls

    async def room(self) -> None:
        """Returns once a call has ended, or the connection has."""
        waiter = self._loop.create_future()
        self._room.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._room:
                self._room.remove(waiter)

    def unary(self, fields: Fields, message: bytes, deadline: float) -> UnaryCall:
        """Starts a call. Raises RpcError when the connection takes no more."""
        stream = self._open()
        call = UnaryCall(stream, deadline, self._initial_window, self._limit, self._loop.create_future())
        self._calls[stream] = call
        block, body = self._encoder.block(fields), framed(message)
        self._write(frame_header(len(block), frames.HEADERS, frames.END_HEADERS, stream) + block)
        self._give(call, body, True)
        if deadline < self._next_look or self._timer is None:
            self._watch_over(deadline)
        return call

    def stream(self, fields: Fields, deadline: float) -> StreamCall:
        """Starts a call. Raises RpcError when the connection takes no more."""
        stream = self._open()
        call = StreamCall(stream, deadline, self._initial_window, self._limit)
        call.attach(self._give, self._credit)
        self._calls[stream] = call
        block = self._encoder.block(fields)
        self._write(frame_header(len(block), frames.HEADERS, frames.END_HEADERS, stream) + block)
        if deadline < self._next_look or self._timer is None:
            self._watch_over(deadline)
        return call

    def cancel(self, call: Call) -> None:
        """Nobody waits for it any more."""
        self._end(call, RpcError(Code.CANCELLED, "the call was cancelled"))

    def close(self) -> None:
        """Calls under way fail."""
        self._break(RpcError(Code.UNAVAILABLE, "the channel is closed"), NO_ERROR)

    def abort(self) -> None:
        """Closes the socket whatever is still to be written."""
        if self._socket is not None:
            self._socket.abort()

    def _open(self) -> int:
        if self.retired:
            raise RpcError(Code.UNAVAILABLE, "the connection takes no more calls", unprocessed=True)
        stream = self._next_id
        self._next_id = stream + 2
        if self._next_id > frames.LAST_STREAM:
            self._retire()
        return stream

    def _end(self, call: Call, error: RpcError) -> None:
        """Ends a call from this side, unless it is over."""
        if self._calls.pop(call.id, None) is not None:
            self._write(frames.reset(call.id, CANCEL))
            self._over(call, error)

    def _over(self, call: Call, error: RpcError | None) -> None:
        if self._blocked:
            self._blocked.pop(call.id, None)
        call.finish(error)
        if self._room and not self.full:
            self._wake_room()
        if self.retired and not self._calls:
            self._break(RpcError(Code.UNAVAILABLE, "the connection is over"), NO_ERROR)

    def _wake_room(self) -> None:
        for waiter in self._room:
            if not waiter.done():
                waiter.set_result(None)
        self._room.clear()

    def _retire(self) -> None:
        if not self.retired:
            self.retired = True
            self._wake_room()
            self._on_retired(self)

    # ---- to the server

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None:
            self._transport.write(b"".join(out))
            self._flushed_to = self._next_id

    def _give(self, call: Call, data: bytes, end: bool) -> None:
        """Sends what the windows admit now, and the rest when they do."""
        size = len(data)
        if not call.unsent and size <= self._send_window and size <= call.send_window and size <= self._frame_size and not self._blocked:
            self._send_window -= size
            call.send_window -= size
            call.ended = end
            if size or end:
                self._write(frame_header(size, frames.DATA, frames.END_STREAM if end else 0, call.id) + data)
            return
        call.unsent = call.unsent[call.sent_to :] + data
        call.sent_to, call.ending = 0, call.ending or end
        self._blocked[call.id] = call
        self._pump()

    def _pump(self) -> None:
        for call in list(self._blocked.values()):
            size = len(call.unsent)
            while call.sent_to < size:
                admitted = min(self._send_window, call.send_window, self._frame_size)
                if admitted <= 0:
                    break
                start = call.sent_to
                call.sent_to = stop = min(start + admitted, size)
                self._send_window -= stop - start
                call.send_window -= stop - start
                call.ended = call.ending and stop == size
                header = frame_header(stop - start, frames.DATA, frames.END_STREAM if call.ended else 0, call.id)
                self._write(header + call.unsent[start:stop])
            if call.sent_to == size:
                if call.ending and not call.ended:
                    call.ended = True
                    self._write(frame_header(0, frames.DATA, frames.END_STREAM, call.id))
                call.unsent, call.sent_to = b"", 0
                del self._blocked[call.id]
            elif self._send_window <= 0:
                return

    def _credit(self, call: Call) -> None:
        """Gives the server back its window of a call, unless what has come of it waits to be read."""
        if call.held > STREAM_WINDOW // 2:
            if call.unacknowledged > STREAM_WINDOW:
                raise ProtocolFault(FLOW_CONTROL_ERROR, f"more than {STREAM_WINDOW} bytes unasked")
        elif call.unacknowledged >= STREAM_WINDOW // 2:
            self._write(frames.window_update(call.id, call.unacknowledged))
            call.unacknowledged = 0

    # ---- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = self._socket = cast(asyncio.Transport, transport)
        more = frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
        self._transport.write(frames.PREFACE + frames.settings(_SETTINGS) + more)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._heard = True
        try:
            self._read(self._rest + data if self._rest else data)
        except ProtocolFault as fault:
            what = f"broke HTTP/2: {fault}" if self.ready.done() else "does not speak HTTP/2"
            self._break(RpcError(Code.UNAVAILABLE, f"the server {what}"), fault.error, str(fault))

    def eof_received(self) -> None:
        """Half a connection is none: the transport closes itself."""

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(RpcError(Code.UNAVAILABLE, f"connection lost: {error}" if error is not None else "the server closed the connection"))
        self._socket = None
        if not self.gone.done():
            self.gone.set_result(None)

    def _break(self, error: RpcError, code: int, text: str = "") -> None:
        """Closes the connection from this side."""
        transport = self._transport
        if transport is not None:
            self._out.append(frames.go_away(code, text.encode()[:200]))
            self._flush()
            transport.close()
        self._lost(error)

    def _lost(self, error: RpcError) -> None:
        self._transport = None
        self._out.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._retire()
        calls, self._calls = self._calls, {}
        self._blocked.clear()
        for call in calls.values():
            unsent = not call.ended or call.id >= self._flushed_to
            call.finish(RpcError(error.code, error.details, unprocessed=unsent))
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()

    # ---- from the server

    def _read(self, data: bytes) -> None:
        at, end, unpack = 0, len(data), frames.unpack_header
        while end - at >= frames.HEADER_SIZE:
            word, flags, stream = unpack(data, at)
            size, kind = word >> 8, word & 0xFF
            if size > frames.DEFAULT_FRAME_SIZE:
                raise ProtocolFault(FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            start = at + frames.HEADER_SIZE
            stop = start + size
            if stop > end:
                break
            at = stop
            stream &= 0x7FFFFFFF
            if self._headers_of is not None and kind != frames.CONTINUATION:
                raise ProtocolFault(PROTOCOL_ERROR, "another frame within a block of headers")
            if kind == frames.DATA:
                self._data(stream, flags, data, start, stop)
            elif kind == frames.HEADERS and flags & 0x2C == frames.END_HEADERS:
                self._head(stream, flags, data[start:stop])
            else:
                handle = _HANDLERS.get(kind)
                if handle is not None:
                    handle(self, stream, flags, data[start:stop])
            if self._transport is None:
                return
        self._rest = data[at:]

    def _call(self, stream: int) -> Call | None:
        """None for one that is over. Raises ProtocolFault for one that never was."""
        call = self._calls.get(stream)
        if call is None and (stream == 0 or stream >= self._next_id or not stream & 1):
            raise ProtocolFault(PROTOCOL_ERROR, f"a frame of stream {stream}, which was never opened")
        return call

    def _data(self, stream: int, flags: int, data: bytes, start: int, stop: int) -> None:
        size = stop - start
        self._unacknowledged += size
        if self._unacknowledged >= CONNECTION_WINDOW // 2:
            self._write(frames.window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        call = self._call(stream)
        if call is None:
            return
        if flags & frames.PADDED:
            data = frames.unpadded(data[start:stop], flags & frames.PADDED)
            start, stop = 0, len(data)
        try:
            if not call.answered:
                raise RpcError(Code.INTERNAL, "the server sent a message before its headers")
            call.data(data, start, stop)
            if flags & frames.END_STREAM:
                raise RpcError(Code.INTERNAL, "the server ended the call without a status")
        except RpcError as error:
            self._end(call, error)
            return
        call.unacknowledged += size
        if call.unacknowledged >= STREAM_WINDOW // 2:
            self._credit(call)

    def _headers(self, stream: int, flags: int, payload: bytes) -> None:
        block = frames.unpadded(payload, flags)
        if flags & frames.END_HEADERS:
            self._head(stream, flags, block)
        else:
            self._headers_of = (stream, flags, bytearray(block))

    def _continuation(self, stream: int, flags: int, payload: bytes) -> None:
        if self._headers_of is None or self._headers_of[0] != stream:
            raise ProtocolFault(PROTOCOL_ERROR, "a continuation of nothing")
        _, first, block = self._headers_of
        block += payload
        if len(block) > MAX_LIST_SIZE:
            raise ProtocolFault(PROTOCOL_ERROR, "too large a block of headers")
        if flags & frames.END_HEADERS:
            self._headers_of = None
            self._head(stream, first, bytes(block))

    def _head(self, stream: int, flags: int, block: bytes) -> None:
        call = self._call(stream)
        head = self._decoder.head(block)
        if call is None:
            return
        if flags & frames.END_STREAM:
            error = head.failure(trailers=call.answered)
            del self._calls[stream]
            if not call.ended:  # the server wants no more of it
                self._write(frames.reset(stream, NO_ERROR))
            self._over(call, error)
        elif call.answered:
            self._end(call, RpcError(Code.INTERNAL, "the server sent headers twice"))
        elif head.opens:
            call.answered = True
        elif not head.interim:
            self._end(call, head.failure(trailers=False) or RpcError(Code.INTERNAL, "the server answered no gRPC"))

    def _reset(self, stream: int, flags: int, payload: bytes) -> None:
        _expect(len(payload) == 4, "RST_STREAM")
        call = self._call(stream)
        if call is not None:
            del self._calls[stream]
            self._over(call, of_reset(frames.error_code(payload)))

    def _settings(self, stream: int, flags: int, payload: bytes) -> None:
        _expect(stream == 0 and len(payload) % 6 == 0, "SETTINGS")
        if flags & frames.ACK:
            return
        for name, value in frames.read_settings(payload):
            if name == frames.HEADER_TABLE_SIZE:
                self._encoder.limit(value)
            elif name == frames.MAX_CONCURRENT_STREAMS:
                self._most_calls = value
                if self._room and not self.full:
                    self._wake_room()
            elif name == frames.INITIAL_WINDOW_SIZE:
                if value > frames.LARGEST_WINDOW:
                    raise ProtocolFault(FLOW_CONTROL_ERROR, "too large an initial window")
                more, self._initial_window = value - self._initial_window, value
                for call in self._calls.values():
                    call.send_window += more
            elif name == frames.MAX_FRAME_SIZE:
                _expect(frames.DEFAULT_FRAME_SIZE <= value < 1 << 24, "SETTINGS")
                self._frame_size = value
        self._write(frames.SETTINGS_ACK)
        self._pump()
        if not self.ready.done():
            self.ready.set_result(None)

    def _ping(self, stream: int, flags: int, payload: bytes) -> None:
        _expect(stream == 0 and len(payload) == 8, "PING")
        if not flags & frames.ACK:
            self._write(frames.ping(payload, frames.ACK))

    def _window(self, stream: int, flags: int, payload: bytes) -> None:
        _expect(len(payload) == 4, "WINDOW_UPDATE")
        more = frames.number(payload)
        if stream == 0:
            self._send_window += more
            if not more or self._send_window > frames.LARGEST_WINDOW:
                raise ProtocolFault(FLOW_CONTROL_ERROR if more else PROTOCOL_ERROR, f"a window larger by {more}")
        else:
            call = self._call(stream)
            if call is None:
                return
            call.send_window += more
            if not more or call.send_window > frames.LARGEST_WINDOW:
                self._end(call, RpcError(Code.INTERNAL, f"the server made the window larger by {more}"))
        if self._blocked:
            self._pump()

    def _go_away(self, stream: int, flags: int, payload: bytes) -> None:
        _expect(stream == 0 and len(payload) >= 8, "GOAWAY")
        last, code, text = frames.number(payload), frames.error_code(payload, 4), payload[8:].decode(errors="replace")
        self._retire()
        error = f"the server is going away with error {code:#x} {text}".rstrip()
        for call in [call for call in self._calls.values() if call.id > last]:
            del self._calls[call.id]
            self._blocked.pop(call.id, None)
            call.finish(RpcError(Code.UNAVAILABLE, error, unprocessed=True))
        if not self._calls:
            self._break(RpcError(Code.UNAVAILABLE, error, unprocessed=True), NO_ERROR)

    def _push(self, stream: int, flags: int, payload: bytes) -> None:
        raise ProtocolFault(PROTOCOL_ERROR, "a push, which was ruled out")

    # ---- time

    def _watch_over(self, deadline: float) -> None:
        """A look at the calls under way, by `deadline` and as often as silence asks for."""
        now = self._loop.time()
        if self._timer is None:
            self._quiet_since, self._heard, self._asked_at = now, False, 0.0
        else:
            self._timer.cancel()
        self._next_look = min(deadline, now + self._keepalive.urgent)
        self._timer = self._loop.call_at(self._next_look, self._look)

    def _look(self) -> None:
        now, late = self._loop.time(), self._loop.time() - self._next_look
        self._timer, self._next_look = None, math.inf
        for call in [call for call in self._calls.values() if call.deadline <= now]:
            self._end(call, RpcError(Code.DEADLINE_EXCEEDED, "context deadline exceeded"))
        if self._transport is None or not self._calls:
            return
        if self._heard or late > _LATE:
            self._heard, self._quiet_since, self._asked_at = False, now, 0.0
        elif self._asked_at:
            if now - self._asked_at >= self._keepalive.answer:
                seconds = now - self._quiet_since
                self._break(RpcError(Code.UNAVAILABLE, f"nothing was heard of the server for {seconds:.0f} s"), NO_ERROR)
                self.abort()
                return
        elif now - self._quiet_since >= (
            self._keepalive.urgent if any(call.urgent for call in self._calls.values()) else self._keepalive.idle
        ):
            self._asked_at = now
            self._write(frames.ping(_PING))
        soonest = min(call.deadline for call in self._calls.values())
        self._next_look = min(soonest, now + self._keepalive.urgent)
        self._timer = self._loop.call_at(self._next_look, self._look)


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise ProtocolFault(FRAME_SIZE_ERROR if what != "SETTINGS" else PROTOCOL_ERROR, f"a {what} frame that is none")


_HANDLERS = {
    frames.HEADERS: Connection._headers,
    frames.RST_STREAM: Connection._reset,
    frames.SETTINGS: Connection._settings,
    frames.PUSH_PROMISE: Connection._push,
    frames.PING: Connection._ping,
    frames.GOAWAY: Connection._go_away,
    frames.WINDOW_UPDATE: Connection._window,
    frames.CONTINUATION: Connection._continuation,
}
