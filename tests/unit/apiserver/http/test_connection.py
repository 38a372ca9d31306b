"""What a client gets over one connection, however its bytes arrive and whichever way they go through the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp import web

from kubetree.apiserver.http import connection as connection_module
from kubetree.apiserver.http.connection import Connection, HttpServer
from kubetree.apiserver.http.request import OrdinaryRequest
from kubetree.apiserver.wire.answers import Answer

HEADERS = b"Host: x\r\nAccept: application/json\r\n"


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Method, target and body, and which way the request came."""
    way = "short" if isinstance(request, OrdinaryRequest) else "long"
    body = await request.content.read()
    return Answer(f"{way} {request.method} {request.raw_path} {body.decode()}.".encode(), 200, {"Way": way})


async def exchange(pieces: Sequence[bytes], answers: int, *, server: HttpServer | None = None) -> list[str]:
    """The bodies of `answers` answers to what is sent piece by piece; what comes before the end when fewer come."""
    server = server or HttpServer(echo)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    bodies = []
    try:
        async with asyncio.timeout(30):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
            for _ in range(answers):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                bodies.append((await reader.readexactly(length)).decode())
    finally:
        writer.close()
        listener.close()
        await server.shutdown(0)
    return bodies


def request(method: str, target: str, body: bytes = b"", more: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return f"{method} {target} HTTP/1.1\r\n".encode() + HEADERS + more + length + b"\r\n" + body


async def test_ordinary_requests_follow_one_another() -> None:
    sent = [request("GET", "/a"), request("POST", "/b?x=%20", b"hello"), request("GET", "/c")]
    assert await exchange(sent, 3) == ["short GET /a .", "short POST /b?x=%20 hello.", "short GET /c ."]


async def test_pipelined_requests_are_answered_in_order() -> None:
    sent = b"".join(request("POST", f"/{n}", b"body%d" % n) for n in range(20))
    assert await exchange([sent], 20) == [f"short POST /{n} body{n}." for n in range(20)]


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_requests_may_come_in_any_pieces(size: int) -> None:
    sent = request("POST", "/b", b"hello") + request("GET", "/c")
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert await exchange(pieces, 2) == ["short POST /b hello.", "short GET /c ."]


async def test_what_is_not_ordinary_goes_the_long_way_and_so_does_what_follows() -> None:
    chunked = b"POST /b HTTP/1.1\r\n" + HEADERS + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert await exchange([request("GET", "/a"), chunked + request("GET", "/c")], 3) == [
        "short GET /a .",
        "long POST /b hello.",
        "long GET /c .",
    ]


@pytest.mark.parametrize(
    "odd",
    [
        b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
)
async def test_improper_requests_get_400(odd: bytes) -> None:
    server = HttpServer(echo)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    async with asyncio.timeout(30):
        writer.write(odd)
        assert (await reader.read()).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    writer.close()
    listener.close()
    await server.shutdown(0)


async def test_a_body_too_large_to_wait_for_is_streamed() -> None:
    body = b"x" * 1_000_000
    (answer,) = await exchange([request("POST", "/b", body)], 1)
    assert answer == f"long POST /b {body.decode()}."


async def test_a_body_of_several_reads_is_waited_for() -> None:
    body = b"x" * 200_000
    (answer,) = await exchange([request("POST", "/b", body)], 1)
    assert answer == f"short POST /b {body.decode()}."


async def test_connection_close_is_honoured() -> None:
    async with asyncio.timeout(30):
        server = HttpServer(echo)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(request("GET", "/a", more=b"Connection: close\r\n"))
        assert (await reader.read()).endswith(b"short GET /a .")
        writer.close()
        listener.close()
        await server.shutdown(0)


async def test_a_client_that_sends_ahead_is_held_back() -> None:
    """While a request is worked on, what the client sends waits outside this process."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        asked.set()
        await go.wait()
        return await echo(request)

    server = HttpServer(slow)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    async with asyncio.timeout(20):
        writer.write(request("GET", "/a"))
        await asked.wait()
        many = 20_000
        for n in range(many):
            writer.write(request("GET", f"/{n}"))
        await asyncio.sleep(0.05)
        (connection,) = server.connections
        assert isinstance(connection, Connection)
        assert len(connection._early) < 1_000_000
        go.set()
        expected = f"GET /{many - 1} .".encode()
        seen = b""
        while not seen.endswith(expected):
            seen = seen[-100:] + await reader.read(2**20)
    writer.close()
    listener.close()
    await server.shutdown(0)


async def test_heads_are_remembered_by_all_their_lines() -> None:
    """Requests that differ in one header only do not get each other's."""

    async def who(request: web.BaseRequest) -> web.StreamResponse:
        return Answer(request.headers.get("Authorization", "nobody").encode(), 200, {})

    server = HttpServer(who)
    sent = [request("GET", "/", more=b"Authorization: %b\r\n" % token) for token in (b"a", b"b", b"a")] + [request("GET", "/")]
    assert await exchange(sent, 4, server=server) == ["a", "b", "a", "nobody"]


async def test_memory_of_heads_is_bounded() -> None:
    server = HttpServer(echo)
    sent = b"".join(request("GET", "/", more=b"X-Number: %d\r\n" % n) for n in range(3000))
    await exchange([sent], 3000, server=server)
    assert len(server.heads._known) <= 2048


async def served(server: HttpServer, sent: bytes) -> bytes:
    """All that comes until the server closes."""
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    try:
        async with asyncio.timeout(30):
            writer.write(sent)
            return await reader.read()
    finally:
        writer.close()
        listener.close()
        await server.shutdown(0)


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", request("GET", "/")[:-2] + b"X-Slow: 1\r\n"], ids=["nothing", "a line", "some lines"])
async def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    server = HttpServer(echo)
    server.look_after(0.1)
    assert await served(server, sent) == b""


async def test_a_connection_may_wait_for_its_next_request_for_longer_than_for_its_first() -> None:
    server = HttpServer(echo, keepalive_timeout=30)
    server.look_after(0.02)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await served(server, request("GET", "/"))


async def test_a_body_that_does_not_come_is_its_handlers_business() -> None:
    server = HttpServer(echo)
    server.look_after(0.2)
    sent = request("POST", "/slow", b"hello")
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    async with asyncio.timeout(30):
        writer.write(sent[:-2])
        while any(isinstance(c, Connection) and c._ordinary for c in server.connections) or not server.connections:
            await asyncio.sleep(0.01)
        writer.write(sent[-2:])
        head = await reader.readuntil(b"\r\n\r\n")
    assert b"Way: long" in head
    assert await reader.readexactly(len(b"long POST /slow hello.")) == b"long POST /slow hello."
    writer.close()
    listener.close()
    await server.shutdown(0)


async def test_when_many_have_left_their_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given = asyncio.Event()
    monkeypatch.setattr(connection_module, "_MANY_LEFT", 5)
    monkeypatch.setattr(connection_module, "give_back", given.set)
    server = HttpServer(echo)
    server.look_after(1.0)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    clients = [await asyncio.open_connection(*listener.sockets[0].getsockname()) for _ in range(6)]
    async with asyncio.timeout(30):
        while server._most < 6:
            await asyncio.sleep(0.01)
        assert not given.is_set()
        for _, writer in clients:
            writer.close()
        await given.wait()
    listener.close()
    await server.shutdown(0)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?" + b"a" * 1_200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 1_200_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(1200)) + b"\r\n",
    ],
    ids=["a target", "a line", "a line without end", "many lines"],
)
async def test_a_head_too_large_gets_431(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_LINGER", 0.01)
    assert (await served(HttpServer(echo), head)).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


async def test_there_may_be_many_headers() -> None:
    lines = b"".join(b"X-%d: a\r\n" % n for n in range(5000))
    assert await exchange([request("GET", "/", more=lines)], 1) == ["short GET / ."]
    upgraded = request("GET", "/", more=lines + b"Expect: 100-continue\r\n")
    assert await exchange([upgraded], 1) == ["long GET / ."]
