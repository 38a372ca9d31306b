"""The channel protocols over WebSocket: the first byte of a message says which channel the rest belongs to.

Follows apimachinery's remotecommand and httpstream/wsstream: five versions in which client and server must agree on the bytes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from kubetree.kubelet.server import runtime_streams
from kubetree.kubelet.server.raw import either
from kubetree.kubelet.server.spdy import SpdyError, Stream

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
EXEC_PROTOCOLS = (V5, V4, "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io", "")
PORT_FORWARD_PROTOCOLS = (V4, "v4.base64.channel.k8s.io")
SPDY_PROTOCOLS = "v4.channel.k8s.io"
PORT_FORWARD_SPDY = "portforward.k8s.io"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


class Channels:
    """A WebSocket whose messages are those of channels. base64 versions use text messages whose first character is a digit."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self.protocol = socket.ws_protocol or ""
        self._text = "base64" in self.protocol
        self._lock = asyncio.Lock()

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ConnectionError when the client is gone."""
        async with self._lock:
            if self._text:
                await self._socket.send_str(chr(ord("0") + channel) + base64.b64encode(data).decode())
            else:
                await self._socket.send_bytes(bytes([channel]) + data)

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message, None at the end. CLOSE carries the number of the channel that the client closed."""
        while True:
            message = await self._socket.receive()
            if message.type == WSMsgType.TEXT:
                text: str = message.data
                if not text:
                    continue
                if not self._text:
                    raw = text.encode()
                    return raw[0], raw[1:]
                try:
                    return ord(text[0]) - ord("0"), base64.b64decode(text[1:])
                except binascii.Error:
                    continue
            elif message.type == WSMsgType.BINARY:
                if message.data:
                    return message.data[0], bytes(message.data[1:])
            else:
                return None


async def accept(request: web.BaseRequest, protocols: Sequence[str]) -> web.WebSocketResponse:
    """Answer the upgrade. A client that asks for no protocol gets the oldest one."""
    socket = web.WebSocketResponse(protocols=[p for p in protocols if p], heartbeat=None, max_msg_size=0, compress=False)
    await socket.prepare(request)
    return socket


async def remote_command(request: web.BaseRequest, url: str, options: StreamOptions) -> web.StreamResponse:
    """exec or attach over WebSocket, with the runtime's SPDY on the other side."""
    socket = await accept(request, EXEC_PROTOCOLS)
    channels = Channels(socket)
    try:
        async with runtime_streams.session(url, SPDY_PROTOCOLS) as session:
            streams: dict[int, Stream] = {ERROR: await session.open({"streamtype": "error"})}
            for channel, name, wanted in (
                (STDIN, "stdin", options.stdin),
                (STDOUT, "stdout", options.stdout),
                (STDERR, "stderr", options.stderr and not options.tty),
                (RESIZE, "resize", options.tty),
            ):
                if wanted:
                    streams[channel] = await session.open({"streamtype": name})
            first = next(channel for channel in (STDOUT, STDERR, ERROR) if channel in streams)
            await channels.send(first, b"")
            await _exchange(channels, streams)
    except (SpdyError, OSError) as error:
        with contextlib.suppress(ConnectionError):
            await channels.send(ERROR, _failure(str(error)))
    await socket.close()
    return socket


def _failure(message: str) -> bytes:
    return orjson.dumps({"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500})


async def _exchange(channels: Channels, streams: dict[int, Stream]) -> None:
    """Until the runtime has ended its output and told the outcome, or the client is gone."""
    outputs = [_to_client(channels, c, streams[c]) for c in (STDOUT, STDERR, ERROR) if c in streams]
    await either(_all(outputs), _to_runtime(channels, streams))


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def _to_client(channels: Channels, channel: int, stream: Stream) -> None:
    collected = b""
    with contextlib.suppress(ConnectionError):
        while data := await stream.read():
            if channel == ERROR:
                collected += data
            else:
                await channels.send(channel, data)
        if channel == ERROR and collected:
            if message := _outcome(channels.protocol, collected):
                await channels.send(ERROR, message)
        elif channel == ERROR and channels.protocol in (V4, V5):
            await channels.send(ERROR, orjson.dumps({"metadata": {}, "status": "Success"}))


def _outcome(protocol: str, status: bytes) -> bytes:
    """The runtime's Status as this version of the protocol has it: before version 4 the plain message of a failure."""
    if protocol.startswith("v"):
        return status
    try:
        decoded = orjson.loads(status)
    except orjson.JSONDecodeError:
        return status
    return str(decoded.get("message", "")).encode() if decoded.get("status") != "Success" else b""


async def _to_runtime(channels: Channels, streams: dict[int, Stream]) -> None:
    with contextlib.suppress(SpdyError):
        while (message := await channels.receive()) is not None:
            channel, data = message
            if channel == CLOSE and channels.protocol == V5:
                if data and data[0] in streams:
                    await streams[data[0]].close()
            elif channel in (STDIN, RESIZE) and channel in streams and data:
                await streams[channel].write(data)


async def port_forward(request: web.BaseRequest, url: str, ports: Sequence[int]) -> web.StreamResponse:
    """The old way: two channels a port, data and error; each begins with the port's number."""
    socket = await accept(request, PORT_FORWARD_PROTOCOLS)
    channels = Channels(socket)
    streams: dict[int, Stream] = {}
    try:
        async with runtime_streams.session(url, PORT_FORWARD_SPDY) as session:
            for index, port in enumerate(ports):
                headers = {"port": str(port), "requestid": str(index)}
                streams[2 * index + 1] = await session.open({"streamtype": "error", **headers})
                await streams[2 * index + 1].close()
                streams[2 * index] = await session.open({"streamtype": "data", **headers})
                for channel in (2 * index, 2 * index + 1):
                    await channels.send(channel, port.to_bytes(2, "little"))
            await _forward(channels, streams)
    except (SpdyError, OSError) as error:
        with contextlib.suppress(ConnectionError):
            await channels.send(1, str(error).encode())
    await socket.close()
    return socket


async def _forward(channels: Channels, streams: dict[int, Stream]) -> None:
    async def outward(channel: int, stream: Stream) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await stream.read():
                await channels.send(channel, data)

    async def inward() -> None:
        with contextlib.suppress(SpdyError):
            while (message := await channels.receive()) is not None:
                channel, data = message
                if channel % 2 == 0 and channel in streams:
                    await streams[channel].write(data)

    await either(_all([outward(channel, stream) for channel, stream in streams.items()]), inward())
