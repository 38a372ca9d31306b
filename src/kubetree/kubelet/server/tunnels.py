"""Connections that are carried to the runtime as they are: SPDY as it comes, or SPDY inside a WebSocket (port-forward's version 2)."""

from __future__ import annotations

import contextlib

from aiohttp import WSMsgType, web

from kubetree.kubelet.server import channels, runtime_streams
from kubetree.kubelet.server.raw import Connection, either, pump

TUNNEL = "SPDY/3.1+portforward.k8s.io"
_CARRIED_HEADERS = ("X-Stream-Protocol-Version",)


async def spdy(request: web.BaseRequest, url: str) -> web.StreamResponse:
    """Pass a client's SPDY connection on to the runtime, answer and all."""
    versions = [value for name in _CARRIED_HEADERS for value in request.headers.getall(name, [])]
    connection = Connection(request)
    try:
        async with runtime_streams.connect(url, {"X-Stream-Protocol-Version": ", ".join(versions)}) as upgraded:
            await connection.write(upgraded.head)
            await either(pump(connection.reader, upgraded.write), pump(upgraded.reader, connection.write))
    except OSError as error:
        with contextlib.suppress(ConnectionError):
            body = str(error).encode()
            await connection.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return connection.close()


async def port_forward(request: web.BaseRequest, url: str) -> web.StreamResponse:
    """Port-forward as new clients do it: the bytes of a SPDY connection in binary WebSocket messages."""
    socket = await channels.accept(request, (TUNNEL,))

    async def outward(upgraded: runtime_streams.Upgraded) -> None:
        while (message := await socket.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
            data = message.data.encode() if message.type == WSMsgType.TEXT else message.data
            try:
                await upgraded.write(data)
            except ConnectionError:
                return

    with contextlib.suppress(OSError):
        async with runtime_streams.connect(url, {"X-Stream-Protocol-Version": channels.PORT_FORWARD_SPDY}) as upgraded:
            if upgraded.switched:
                await either(outward(upgraded), pump(upgraded.reader, socket.send_bytes))
    await socket.close()
    return socket
