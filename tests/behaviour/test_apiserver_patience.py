"""Clients that do not read, do not write or are not there: what they cost is bounded, and others do not wait for them."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from contextlib import closing
from typing import Any

import aiohttp
import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.apiserver.http.connection import Connection
from kubetree.apiserver.verbs import list as list_module
from kubetree.apiserver.verbs import watch_pumps
from kubetree.apiserver.wire import answers

pytestmark = pytest.mark.one_store

BIG = "x" * 200_000


async def deaf(http: Http, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that asks and then reads nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.server.port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer


def pending(http: Http) -> list[int]:
    """What the server has in memory for each of its clients."""
    server = http.server._http
    assert server is not None
    found = [c.transport for c in server.connections if isinstance(c, Connection)]
    return [t.get_write_buffer_size() for t in found if isinstance(t, asyncio.WriteTransport)]


async def test_a_watcher_that_does_not_read_holds_little_and_nobody_up() -> None:
    async with running_server() as http:
        await http.post(MAPS, config_map("big"))
        _, writer = await deaf(http, f"{MAPS}?watch=1")
        with closing(writer):
            async with http.watch(f"{MAPS}?watch=1&resourceVersion=0") as events, asyncio.timeout(60):
                for n in range(60):
                    await http.put(f"{MAPS}/big", config_map("big", n=str(n), data=BIG))
                    event = await anext(events)
                    while event["object"].get("data", {}).get("n") != str(n):
                        event = await anext(events)
            assert max(pending(http)) < 1_000_000, "12 MB were written, and it may have as much pending as makes it leave"


async def test_a_watcher_that_reads_again_has_missed_nothing() -> None:
    async with running_server() as http:
        await http.post(MAPS, config_map("big"))
        reader, writer = await deaf(http, f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dbig")
        with closing(writer):
            for n in range(60):
                await http.put(f"{MAPS}/big", config_map("big", n=str(n), data=BIG))
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            seen, at = b"", 0
            async with asyncio.timeout(60):
                while b'"n":"59"' not in seen:
                    seen = seen[-100:] + await reader.read(1 << 20)
                    while f'"n":"{at}"'.encode() in seen:
                        at += 1
            assert at == 60, "in order, and every one"


async def test_a_watcher_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_pumps, "PATIENCE", 0.2)
    async with running_server() as http:
        await http.post(MAPS, config_map("big"))
        _, writer = await deaf(http, f"{MAPS}?watch=1")
        with closing(writer):
            for n in range(60):
                await http.put(f"{MAPS}/big", config_map("big", n=str(n), data=BIG))
            async with asyncio.timeout(30):
                while max(pending(http)) > 100_000:
                    await asyncio.sleep(0.05)


async def long_list(http: Http, count: int) -> None:
    for n in range(count):
        assert (await http.post(MAPS, config_map(f"m-{n:03}", data=BIG))).status == 201


async def test_a_long_list_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server() as http:
        await long_list(http, 4)
        await http.post(MAPS, config_map("small"))
        whole = [await http.get(MAPS), await http.get(f"{MAPS}?limit=3")]
        monkeypatch.setattr(list_module, "LONG", 0)
        monkeypatch.setattr(list_module, "_PIECE", 1000)
        pieces = [await http.get(MAPS), await http.get(f"{MAPS}?limit=3")]
        assert [(p.json["metadata"]["resourceVersion"], p.text) for p in pieces] == [
            (w.json["metadata"]["resourceVersion"], w.text) for w in whole
        ]
        session = aiohttp.ClientSession(auto_decompress=False)
        async with session, session.get(http.server.url + MAPS, headers={"Accept-Encoding": "gzip"}) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await packed.read()).decode() == whole[0].text


async def test_slow_clients_of_a_long_list_do_not_have_it_in_memory_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "STALLED", 1.0)
    async with running_server() as http:
        await long_list(http, 60)
        clients = [await deaf(http, MAPS) for _ in range(4)]
        async with asyncio.timeout(30):
            while not any(pending(http)):
                await asyncio.sleep(0.01)
            assert max(pending(http)) < 3_000_000, "of 12 MB"
            while any(pending(http)):  # until they are given up
                await asyncio.sleep(0.05)
        for _, writer in clients:
            writer.close()


async def test_initial_events_come_in_pieces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "STALLED", 1.0)
    async with running_server() as http:
        await long_list(http, 60)
        path = f"{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        async with http.watch(path) as events, asyncio.timeout(30):
            kinds = [(await anext(events))["type"] for _ in range(61)]
        assert kinds == ["ADDED"] * 60 + ["BOOKMARK"]
        _, writer = await deaf(http, path)
        with closing(writer):
            async with asyncio.timeout(30):
                while not any(pending(http)):
                    await asyncio.sleep(0.01)
                assert max(pending(http)) < 3_000_000, "of 12 MB"
                while any(pending(http)):
                    await asyncio.sleep(0.05)


async def test_a_body_that_never_comes_is_answered_in_time() -> None:
    async with running_server(request_timeout=1.0) as http:
        reader, writer = await http.connect()
        with closing(writer):
            writer.write(f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
            async with asyncio.timeout(20):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                status: Any = json.loads(await reader.readexactly(length))
        assert head.startswith(b"HTTP/1.1 504 ") and status["reason"] == "Timeout"


async def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    async with running_server() as http:
        reader, writer = await http.connect()
        with closing(writer):
            writer.write(
                f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{{".encode()
            )
            async with asyncio.timeout(20):
                assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


async def test_vanished_clients_are_noticed_by_the_kernel() -> None:
    async with running_server() as http:
        assert http.server._listener is not None
        _, writer = await http.connect()
        await http.get("/version")
        assert http.server._http is not None
        with closing(writer):
            found = [c.transport.get_extra_info("socket") for c in http.server._http.connections if c.transport is not None]
            assert found
            for accepted in found:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 180
