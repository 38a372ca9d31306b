"""One call as it is under way: what has come of its answer, and what of its request still waits for the server's windows.

The connection feeds calls and ends them; nothing here does I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from kubetree.grpc.status import Code, RpcError

PREFIX_SIZE = 5
"""Of a message in DATA: whether it is compressed, and its size."""


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


class Messages:
    """Cuts DATA into messages. They may come several in one frame, and over many frames. `limit` is the largest taken, in bytes."""

    __slots__ = ("_limit", "_missing", "_parts", "_prefix")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._prefix = b""
        self._parts: list[bytes] = []
        self._missing = 0

    @property
    def incomplete(self) -> bool:
        return bool(self._parts or self._prefix)

    def feed(self, data: bytes, start: int, end: int) -> Sequence[bytes]:
        """The messages that are complete with data[start:end]. Raises RpcError."""
        found: list[bytes] = []
        if self._parts:
            taken = min(end, start + self._missing)
            self._parts.append(data[start:taken])
            self._missing -= taken - start
            if self._missing:
                return found
            found.append(b"".join(self._parts))
            self._parts.clear()
            start = taken
        elif self._prefix:
            data = self._prefix + data[start:end]
            start, end = 0, len(data)
        while end - start >= PREFIX_SIZE:
            size = int.from_bytes(data[start + 1 : start + PREFIX_SIZE], "big")
            if data[start] or size > self._limit:
                raise self._refused(data[start], size)
            start += PREFIX_SIZE
            if end - start < size:
                self._parts.append(data[start:end])
                self._missing, self._prefix = size - (end - start), b""
                return found
            found.append(data[start : start + size])
            start += size
        self._prefix = data[start:end]
        return found

    def _refused(self, compressed: int, size: int) -> RpcError:
        if compressed:
            return RpcError(Code.INTERNAL, f"the server sent a compressed message (flag {compressed}), which was not agreed on")
        return RpcError(Code.RESOURCE_EXHAUSTED, f"received message larger than max ({size} vs. {self._limit})")


class Call:
    """What the connection keeps of a call. Of a request `unsent[sent_to:]` still waits; `ending`: it is complete with that."""

    __slots__ = ("answered", "deadline", "ended", "ending", "id", "messages", "over", "send_window", "sent_to", "unacknowledged", "unsent")

    def __init__(self, stream: int, deadline: float, window: int, limit: int) -> None:
        self.id, self.deadline, self.send_window = stream, deadline, window
        self.messages = Messages(limit)
        self.unsent, self.sent_to, self.ending = b"", 0, False
        self.ended = False
        """All of the request has been written."""
        self.over = False
        self.answered = False
        """The headers of the answer have come."""
        self.unacknowledged = 0
        """Bytes received that the server has not been given back to its window."""

    @property
    def urgent(self) -> bool:
        """Somebody waits for the answer now, so that silence of the server is worth a look."""
        raise NotImplementedError

    @property
    def held(self) -> int:
        """Bytes of messages that have not been read."""
        raise NotImplementedError

    def data(self, data: bytes, start: int, end: int) -> None:
        """Part of the answer. Raises RpcError when it is wrong."""
        raise NotImplementedError

    def finish(self, error: RpcError | None) -> None:
        """The call is over: the connection says so once."""
        raise NotImplementedError


class UnaryCall(Call):
    """One message each way; `answer` gets the one or the error."""

    __slots__ = ("_message", "answer")

    def __init__(self, stream: int, deadline: float, window: int, limit: int, answer: asyncio.Future[bytes]) -> None:
        super().__init__(stream, deadline, window, limit)
        self.answer = answer
        self._message: bytes | None = None

    @property
    def urgent(self) -> bool:
        return True

    @property
    def held(self) -> int:
        return 0

    def data(self, data: bytes, start: int, end: int) -> None:
        for message in self.messages.feed(data, start, end):
            if self._message is not None:
                raise RpcError(Code.INTERNAL, "the server sent more than one message")
            self._message = message

    def finish(self, error: RpcError | None) -> None:
        self.over = True
        if self.answer.done():
            return
        if error is None and (self._message is None or self.messages.incomplete):
            error = RpcError(Code.INTERNAL, "the server sent no whole message")
        if error is not None:
            self.answer.set_exception(error)
            return
        assert self._message is not None
        self.answer.set_result(self._message)


class StreamCall(Call):
    """Any number of messages each way. `async for messages in call`: all that has come since the last time, until the server ends the call;
    raises RpcError unless it ended well."""

    __slots__ = ("_error", "_held", "_pending", "_read", "_send", "_waiter")

    def __init__(self, stream: int, deadline: float, window: int, limit: int) -> None:
        super().__init__(stream, deadline, window, limit)
        self._pending: list[bytes] = []
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: RpcError | None = None
        self._send: Callable[[StreamCall, bytes, bool], None] | None = None
        self._read: Callable[[StreamCall], None] | None = None

    def attach(self, send: Callable[[StreamCall, bytes, bool], None], read: Callable[[StreamCall], None]) -> None:
        """`send(call, data, whether that is all)`, and `read(call)` when messages have been taken: both are the connection's."""
        self._send, self._read = send, read

    def send(self, message: bytes) -> None:
        """What the server's windows do not admit waits in memory; who sends much must be paced by the answers. Raises RpcError."""
        self._give(framed(message), end=False)

    def end(self) -> None:
        """No more messages will be sent."""
        self._give(b"", end=True)

    def _give(self, data: bytes, *, end: bool) -> None:
        if self.over:
            raise self._error or RpcError(Code.CANCELLED, "the call is over")
        if self._send is not None:
            self._send(self, data, end)

    @property
    def urgent(self) -> bool:
        return False

    @property
    def held(self) -> int:
        return self._held

    def data(self, data: bytes, start: int, end: int) -> None:
        found = self.messages.feed(data, start, end)
        if found:
            self._pending += found
            self._held += sum(map(len, found))
            self._wake()

    def finish(self, error: RpcError | None) -> None:
        if error is None and self.messages.incomplete:
            error = RpcError(Code.INTERNAL, "the server ended the call within a message")
        self.over, self._error = True, error
        self._send = self._read = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    async def __aiter__(self) -> AsyncIterator[Sequence[bytes]]:
        while True:
            while not self._pending and not self.over:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            if self._pending:
                batch, self._pending, self._held = self._pending, [], 0
                if self._read is not None:
                    self._read(self)
                yield batch
            elif self._error is not None:
                raise self._error
            else:
                return
