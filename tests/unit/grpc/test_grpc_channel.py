"""The channel against grpc.aio's server, which nobody here wrote: over TCP, TLS and Unix sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from kubetree.client.self_signed import self_signed
from kubetree.grpc import TLS, Channel, Code, RpcError
from kubetree.grpc import channel as module

SERVICE = "/test.Echo/"


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Counts what is asked of it."""

    def __init__(self) -> None:
        self.running = 0
        self.cancelled = asyncio.Event()
        self.metadata: dict[str, str] = {}

    def service(self, details: Any) -> Any:
        self.metadata = dict(details.invocation_metadata)
        return {
            f"{SERVICE}Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            f"{SERVICE}Many": grpc.unary_stream_rpc_method_handler(self.many),
            f"{SERVICE}Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            f"{SERVICE}Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            f"{SERVICE}Hang": grpc.unary_unary_rpc_method_handler(self.hang),
        }.get(details.method)

    async def echo(self, request: bytes, _: Any) -> bytes:
        return request

    async def many(self, request: bytes, _: Any) -> AsyncIterator[bytes]:
        for n in range(int(request)):
            yield b"%d" % n * 100

    async def talk(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield b"you said " + request

    async def fail(self, request: bytes, context: Any) -> bytes:
        code = next(code for code in grpc.StatusCode if code.value[0] == int(request))
        await context.abort(code, "dünn: 100% \n done")
        return b""

    async def hang(self, request: bytes, _: Any) -> bytes:
        self.running += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b""


@asynccontextmanager
async def serving(
    address: str = "127.0.0.1:0", credentials: Any = None, options: tuple[tuple[str, int], ...] = ()
) -> AsyncIterator[tuple[Echo, str, Any]]:
    everything = (("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0), *options)
    server, echo = grpc.aio.server(options=everything), Echo()
    server.add_generic_rpc_handlers((echo,))
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    await server.start()
    try:
        yield echo, f"127.0.0.1:{port}", server
    finally:
        await server.stop(None)


@asynccontextmanager
async def talking(target: str, **options: Any) -> AsyncIterator[Channel]:
    channel = Channel(target, **options)
    try:
        yield channel
    finally:
        await channel.close()


async def test_messages_of_all_sizes_and_many_at_once() -> None:
    async with serving() as (_, target, _), talking(target) as channel:
        texts = [bytes([n]) * size for n, size in enumerate((0, 1, 100, 16_379, 16_380, 65_535, 70_000, 1_500_000, 5_000_000))]
        assert await asyncio.gather(*(channel.unary(f"{SERVICE}Echo", text, timeout=40) for text in texts)) == texts
        answers = await asyncio.gather(*(channel.unary(f"{SERVICE}Echo", b"%d" % n * 1000, timeout=40) for n in range(300)))
        assert answers == [b"%d" % n * 1000 for n in range(300)]


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
async def test_failures_come_through(code: Code) -> None:
    async with serving() as (_, target, _), talking(target) as channel:
        with pytest.raises(RpcError) as caught:
            await channel.unary(f"{SERVICE}Fail", b"%d" % code, timeout=40)
        assert (caught.value.code, caught.value.details) == (code, "dünn: 100% \n done")
        with pytest.raises(RpcError) as caught:
            await channel.unary(f"{SERVICE}Nothing", b"", timeout=40)
        assert caught.value.code is Code.UNIMPLEMENTED


async def test_streams_both_ways() -> None:
    async with serving() as (echo, target, _), talking(target, user_agent="me/1") as channel:
        async with channel.stream(f"{SERVICE}Many") as call:
            call.send(b"1000")
            call.end()
            assert [m async for batch in call for m in batch] == [b"%d" % n * 100 for n in range(1000)]
        async with channel.stream(f"{SERVICE}Talk", metadata=(("hasleader", "true"),)) as call:
            answers = aiter(call)
            for n in range(3):
                call.send(b"%d" % n * 50_000)
                (answer,) = await asyncio.wait_for(anext(answers), 30)
                assert answer == b"you said " + b"%d" % n * 50_000
            call.end()
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(answers), 30)
        assert echo.metadata["hasleader"] == "true" and echo.metadata["user-agent"] == "me/1"
        with pytest.raises(RpcError) as caught:
            async with channel.stream(f"{SERVICE}Nothing") as call:
                call.end()
                async for _ in call:
                    pass
        assert caught.value.code is Code.UNIMPLEMENTED


async def test_deadlines_and_cancelled_calls_reach_the_server() -> None:
    async with serving() as (echo, target, _), talking(target) as channel:
        with pytest.raises(RpcError) as caught:
            await channel.unary(f"{SERVICE}Hang", b"", timeout=0.1)
        assert caught.value.code is Code.DEADLINE_EXCEEDED
        echo.cancelled.clear()
        waiting = asyncio.create_task(channel.unary(f"{SERVICE}Hang", b""))
        while echo.running < 2:
            await asyncio.sleep(0.005)
        waiting.cancel()
        await asyncio.wait_for(echo.cancelled.wait(), 30)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await channel.unary(f"{SERVICE}Echo", b"still here") == b"still here"


async def test_no_more_calls_at_once_than_the_server_takes() -> None:
    async with serving(options=(("grpc.max_concurrent_streams", 3),)) as (_, target, _), talking(target) as channel:
        await channel.unary(f"{SERVICE}Echo", b"")
        answers = await asyncio.gather(*(channel.unary(f"{SERVICE}Echo", b"%d" % n, timeout=40) for n in range(50)))
        assert answers == [b"%d" % n for n in range(50)]


async def test_a_server_that_stops_and_starts_again() -> None:
    async with serving() as (echo, target, server), talking(target) as channel:
        assert await channel.unary(f"{SERVICE}Echo", b"a") == b"a"
        hanging = asyncio.create_task(channel.unary(f"{SERVICE}Hang", b"", timeout=40))
        while not echo.running:
            await asyncio.sleep(0.005)
        stopping = asyncio.create_task(server.stop(0.1))
        with pytest.raises(RpcError):
            await hanging
        await stopping
        with pytest.raises(RpcError) as caught:
            await channel.unary(f"{SERVICE}Echo", b"b", timeout=40)
        assert caught.value.code is Code.UNAVAILABLE and target in caught.value.details and caught.value.unprocessed
        late = asyncio.create_task(channel.unary(f"{SERVICE}Echo", b"c", timeout=40, wait_for_ready=True))
        await asyncio.sleep(0.1)
        async with serving(target):
            assert await late == b"c"


async def test_waiting_for_a_server_ends_with_the_deadline() -> None:
    async with talking("unix:/nowhere/at/all") as channel:
        with pytest.raises(RpcError) as caught:
            await channel.unary(f"{SERVICE}Echo", b"", timeout=0.1, wait_for_ready=True)
        assert caught.value.code is Code.DEADLINE_EXCEEDED and "/nowhere/at/all" in caught.value.details


async def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.1)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        async with talking(f"127.0.0.1:{mute.getsockname()[1]}") as channel:
            with pytest.raises(RpcError, match="no answer within") as caught:
                await channel.unary(f"{SERVICE}Echo", b"")
            assert caught.value.unprocessed


@pytest.mark.parametrize("cut", ["reset", "eof"])
async def test_connections_cut_in_the_middle_are_opened_anew(cut: str) -> None:
    async with serving() as (_, target, _), relay(target) as (address, connections), talking(address) as channel:
        for n in range(5):
            assert await channel.unary(f"{SERVICE}Echo", b"%d" % n, timeout=40) == b"%d" % n
            waiting = asyncio.create_task(channel.unary(f"{SERVICE}Hang", b"", timeout=40))
            await asyncio.sleep(0.02)
            connections[-1].transport.abort() if cut == "reset" else connections[-1].write_eof()
            with pytest.raises(RpcError) as caught:
                await asyncio.wait_for(waiting, 30)
            assert caught.value.code is Code.UNAVAILABLE and not caught.value.unprocessed
        assert len(connections) == 5


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """What stands between, and can be cut: the writers towards the client, one a connection."""
    connections: list[asyncio.StreamWriter] = []
    host, _, port = target.partition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
            writer.close()
        except OSError:
            pass

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        back, forth = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, forth), copy(back, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()


async def test_unix_sockets(tmp_path: Path) -> None:
    for server_side, client_side in (
        (f"unix:{tmp_path}/s", f"unix:{tmp_path}/s"),
        ("unix-abstract:kubetree-grpc-test", "unix-abstract:kubetree-grpc-test"),
    ):
        async with serving(server_side), talking(client_side) as channel:
            assert await channel.unary(f"{SERVICE}Echo", b"local", timeout=40) == b"local"


async def test_tls_with_client_certificates(tmp_path: Path) -> None:
    certificate, key = self_signed("localhost", ["127.0.0.1"], datetime.now(UTC))
    other, _ = self_signed("localhost", ["127.0.0.1"], datetime.now(UTC))
    for name, content in (("crt", certificate), ("key", key), ("other", other)):
        (tmp_path / name).write_bytes(content)
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    known = TLS(tmp_path / "crt", tmp_path / "crt", tmp_path / "key")
    refusals: list[tuple[TLS | None, Callable[[Channel], Awaitable[Any]]]] = [
        (None, lambda channel: channel.unary(f"{SERVICE}Echo", b"")),
        (TLS(tmp_path / "crt"), lambda channel: channel.unary(f"{SERVICE}Echo", b"")),
        (TLS(tmp_path / "other", tmp_path / "crt", tmp_path / "key"), lambda channel: channel.unary(f"{SERVICE}Echo", b"")),
        (TLS(tmp_path / "missing"), lambda channel: channel.unary(f"{SERVICE}Echo", b"")),
    ]
    async with serving(credentials=credentials) as (_, target, _):
        async with talking(target, tls=known) as channel:
            assert await channel.unary(f"{SERVICE}Echo", bytes(300_000), timeout=40) == bytes(300_000)
        for tls, ask in refusals:
            async with talking(target, tls=tls) as channel:
                with pytest.raises(RpcError) as caught:
                    await asyncio.wait_for(ask(channel), 30)
                assert caught.value.code is Code.UNAVAILABLE


async def test_a_closed_channel_takes_no_calls_and_leaves_no_task() -> None:
    async with serving() as (_, target, _):
        channel = Channel(target)
        waiting = asyncio.create_task(channel.unary(f"{SERVICE}Hang", b""))
        await asyncio.sleep(0.05)
        await channel.close()
        for call in (waiting, channel.unary(f"{SERVICE}Echo", b"")):
            with pytest.raises(RpcError):
                await call
        assert not [task for task in asyncio.all_tasks() if "connecting" in task.get_name()]
