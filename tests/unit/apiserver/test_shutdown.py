"""A server that stops waits for requests, not for connections that have none."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubetree.apiserver.http.connection import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def stopped(seconds_to_answer: float, grace: float) -> bytes:
    """What a client gets that has sent one request, or whose request is under way, when the server stops."""
    asked = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.set()
        await asyncio.sleep(seconds_to_answer)
        return web.Response(text="done")

    server = HttpServer(answer, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    writer.write(REQUEST)
    await asked.wait()
    early = await reader.readuntil(b"done") if not seconds_to_answer else b""
    listener.close()
    async with asyncio.timeout(30):
        await server.shutdown(grace)
        rest = await reader.read()
    writer.close()
    return early + rest


def test_an_idle_connection_ends_at_once() -> None:
    assert asyncio.run(stopped(0, grace=60)).endswith(b"done")


def test_a_request_under_way_is_answered() -> None:
    assert asyncio.run(stopped(0.1, grace=60)).endswith(b"done")
