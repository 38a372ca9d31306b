"""A server to call: opens its connection when somebody needs it, and another one when that is gone."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kubetree.grpc.calls import StreamCall
from kubetree.grpc.connection import Connection, Keepalive
from kubetree.grpc.headers import Fields
from kubetree.grpc.status import Code, RpcError, timeout_text

USER_AGENT = "kubetree-grpc"
CONNECT_TIMEOUT = 3.0
"""Seconds until a server must have shown that it speaks HTTP/2."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_FAREWELL = 1.0
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM files: authorities to believe (None: those of this machine), and who we are."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Reads the files, so that new ones are taken up by the next connection. Raises OSError, ssl.SSLError."""
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2"])
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


class Channel:
    """`target` is host:port, unix:path or unix-abstract:name. `limit` is the largest message taken, in bytes.

    At most one connection at a time, and one attempt to open one, which all who wait share; an attempt is made only when somebody calls.
    """

    def __init__(
        self,
        target: str,
        tls: TLS | None = None,
        *,
        authority: str | None = None,
        user_agent: str = USER_AGENT,
        keepalive: Keepalive | None = None,
        limit: int = 2**31 - 1,
    ) -> None:
        self.target, self._tls, self._limit = target, tls, limit
        self._keepalive = keepalive or Keepalive()
        local = target.startswith("unix")
        # Servers of Unix sockets look for this authority, and refuse an escaped path.
        self._authority, self._user_agent = authority or ("localhost" if local else target), user_agent
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._closed = False
        self._fields = lru_cache(256)(self._make_fields)

    async def unary(
        self, path: str, request: bytes, *, timeout: float | None = None, metadata: Metadata = (), wait_for_ready: bool = False
    ) -> bytes:
        """One answer. `timeout` in seconds; `wait_for_ready`: until then a server that cannot be reached is tried again.

        A call that the server cannot have acted on (RpcError.unprocessed) is made once more over a new connection. Raises RpcError.
        """
        deadline = math.inf if timeout is None else asyncio.get_running_loop().time() + timeout
        fields, again = self._fields(path, timeout, metadata), True
        while True:
            connection = self._connection
            if connection is None or connection.full:
                connection = await self._vacant(deadline, wait_for_ready)
            call = connection.unary(fields, request, deadline)
            try:
                return await call.answer
            except RpcError as error:
                if not error.unprocessed or not again:
                    raise
                again = False
            finally:
                if not call.over:
                    connection.cancel(call)

    @asynccontextmanager
    async def stream(self, path: str, *, timeout: float | None = None, metadata: Metadata = ()) -> AsyncIterator[StreamCall]:
        """A call of any number of messages each way, which ends with the block. Raises RpcError."""
        deadline = math.inf if timeout is None else asyncio.get_running_loop().time() + timeout
        connection = await self._vacant(deadline, False)
        call = connection.stream(self._fields(path, timeout, metadata), deadline)
        try:
            yield call
        finally:
            if not call.over:
                connection.cancel(call)

    async def close(self) -> None:
        """Ends the connection; calls under way fail."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        connection, self._connection = self._connection, None
        if connection is not None:
            await _farewell(connection)

    async def _vacant(self, deadline: float, wait_for_ready: bool) -> Connection:
        """A connection that has room for a call."""
        pause, why = _FIRST_PAUSE, ""
        try:
            async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                while True:
                    try:
                        connection = await self._open()
                    except RpcError as error:
                        if not wait_for_ready or self._closed:
                            raise
                        why = f" while waiting for connections to become ready: {error.details}"
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, _LONGEST_PAUSE)
                        continue
                    while connection.full and not connection.retired:
                        await connection.room()
                    if not connection.retired:
                        return connection
        except TimeoutError:
            raise RpcError(Code.DEADLINE_EXCEEDED, f"context deadline exceeded{why}", unprocessed=True) from None

    async def _open(self) -> Connection:
        if self._closed:
            raise RpcError(Code.UNAVAILABLE, "the channel is closed")
        if self._connection is not None:
            return self._connection
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect(), name=f"connecting to {self.target}")
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, attempt: asyncio.Task[Connection]) -> None:
        self._opening = None
        if not attempt.cancelled() and attempt.exception() is None and not attempt.result().retired:
            self._connection = attempt.result()

    def _retired(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None

    async def _connect(self) -> Connection:
        """Raises RpcError."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._keepalive, self._limit, self._retired)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._dial(loop, connection)
                await connection.ready
        except BaseException as error:
            connection.close()
            connection.abort()
            if isinstance(error, RpcError | OSError | TimeoutError | ValueError):
                raise RpcError(Code.UNAVAILABLE, f"failed to connect to {self.target}: {_reason(error)}", unprocessed=True) from None
            raise
        return connection

    async def _dial(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        kind, _, path = self.target.partition(":")
        if kind in ("unix", "unix-abstract"):
            local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                await loop.sock_connect(local, path if kind == "unix" else f"\0{path}")
                await loop.create_unix_connection(lambda: connection, sock=local)
            except BaseException:
                local.close()
                raise
            return
        host, _, port = self.target.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        context = self._tls.context() if self._tls is not None else None
        await loop.create_connection(
            lambda: connection, host, int(port), ssl=context, server_hostname=host if context is not None else None
        )

    def _make_fields(self, path: str, timeout: float | None, metadata: Metadata) -> Fields:
        fields = [
            (":method", "POST"),
            (":scheme", "https" if self._tls is not None else "http"),
            (":path", path),
            (":authority", self._authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", self._user_agent),
            *metadata,
        ]
        if timeout is not None:
            fields.append(("grpc-timeout", timeout_text(timeout)))
        return tuple((name.encode(), value.encode()) for name, value in fields)


def _reason(error: BaseException) -> str:
    if isinstance(error, RpcError):
        return error.details
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT:g} s"
    return str(error)


async def _farewell(connection: Connection) -> None:
    """Lets the transport write what it has, for a moment."""
    connection.close()
    await asyncio.wait((connection.gone,), timeout=_FAREWELL)
    connection.abort()
