"""Logs, exec, attach and port-forward at the kubelet's own port, in every protocol that clients speak."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from kubelet_cluster import Cluster
from kubelet_machine import pod, until
from kubetree.kubelet.server.spdy import Session, Stream

pytestmark = pytest.mark.asyncio(loop_scope="module")
WEB = "echo first >&2; sleep 0.2; echo second; mkdir -p /w; echo page > /w/index.html; httpd -p 8080 -h /w; while read line; do echo got $line; done; sleep 1000"


class Port:
    """A client of the kubelet's port."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.port, self.session, self.base = port, session, f"https://127.0.0.1:{port}"

    async def get(self, path: str, **query: str) -> tuple[int, str]:
        async with self.session.get(self.base + path, params=query) as response:
            return response.status, await response.text()

    def socket(self, path: str, query: str, protocol: str) -> Any:
        return self.session.ws_connect(f"{self.base}{path}?{query}", protocols=(protocol,))

    @asynccontextmanager
    async def spdy(self, path: str, query: str, version: str) -> AsyncIterator[tuple[Session, str]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        request = f"POST {path}?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {version}\r\n"
        writer.write((request + "Content-Length: 0\r\n\r\n").encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        session = Session(reader, writer)
        task = asyncio.create_task(session.run())
        try:
            yield session, head
        finally:
            task.cancel()
            writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(node: Cluster) -> AsyncIterator[Port]:
    """A running pod `web` that reads lines from its stdin and serves a page on 8080."""
    pods = node
    made = pod("web", WEB, terminationGracePeriodSeconds=0)
    made["spec"]["containers"][0]["stdin"] = True
    await pods.create(made)
    await pods.phase("web", "Running")
    container = (await pods.status("web"))["containerStatuses"][0]["containerID"].removeprefix("containerd://")

    async def serves() -> bool:
        return await pods.machine.execute(container, "wget", "-qO-", "http://127.0.0.1:8080/") == "page\n"

    await until(serves, "it serves")
    assert pods.kubelet is not None
    number = pods.kubelet.port
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Port(number, session)


async def everything(stream: Stream) -> bytes:
    collected = b""
    while data := await stream.read():
        collected += data
    return collected


async def test_logs(port: Port) -> None:
    async def whole() -> bool:
        return await port.get("/containerLogs/default/web/main") == (200, "first\nsecond\n")

    await until(whole, "both lines are there")
    assert await port.get("/containerLogs/default/web/main", tailLines="1") == (200, "second\n")
    assert await port.get("/containerLogs/default/web/main", limitBytes="3") == (200, "fir")
    _, stamped = await port.get("/containerLogs/default/web/main", timestamps="true")
    assert all((line[4] == "-" and "Z" in line.split(" ")[0]) or "+" in line.split(" ")[0] for line in stamped.splitlines())
    assert await port.get("/containerLogs/default/web/main", sinceTime="2100-01-01T00:00:00Z") == (200, "")
    status, text = await port.get("/containerLogs/default/web/main", previous="true")
    assert (status, text) == (400, 'previous terminated container "main" in pod "web" not found')
    assert await port.get("/containerLogs/default/none/main") == (404, 'pod "none" does not exist')
    assert await port.get("/containerLogs/default/web/none") == (404, 'container "none" not found in pod "web"')


async def test_following_ends_with_the_container(port: Port, pods: Cluster) -> None:
    await pods.create(pod("speaks", "for i in 1 2 3; do echo $i; sleep 0.3; done", restartPolicy="Never"))
    await until(lambda: pods.status("speaks"), "it is known")

    async def started() -> bool:
        return (await port.get("/containerLogs/default/speaks/main"))[0] == 200

    await until(started, "it has a log")
    assert await port.get("/containerLogs/default/speaks/main", follow="true") == (200, "1\n2\n3\n")


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_exec_over_websocket(port: Port, protocol: str) -> None:
    query = "output=1&error=1&command=sh&command=-c&command=echo+out;echo+err+%3E%262;exit+3"
    got: dict[int, bytes] = {1: b"", 2: b"", 3: b""}
    async with port.socket("/exec/default/web/main", query, protocol) as socket:
        assert socket.protocol == protocol
        async for message in socket:
            got[message.data[0]] += message.data[1:]
    assert (got[1], got[2]) == (b"out\n", b"err\n")
    status = orjson.loads(got[3])
    assert status["reason"] == "NonZeroExitCode" and status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_exec_stdin_is_closed_by_version_5(port: Port) -> None:
    async with port.socket("/exec/default/web/main", "input=1&output=1&command=cat", "v5.channel.k8s.io") as socket:
        await socket.send_bytes(b"\0" + b"x" * 100_000)
        await socket.send_bytes(b"\xff\0")
        got: dict[int, bytes] = {1: b"", 3: b""}
        async for message in socket:
            got[message.data[0]] += message.data[1:]
    assert got[1] == b"x" * 100_000 and orjson.loads(got[3])["status"] == "Success"


async def test_exec_in_base64(port: Port) -> None:
    got = ""
    async with port.socket("/exec/default/web/main", "output=1&command=echo&command=hi", "v4.base64.channel.k8s.io") as socket:
        async for message in socket:
            if message.data[0] == "1":
                got += base64.b64decode(message.data[1:]).decode()
    assert got == "hi\n"


async def test_a_terminal_has_its_size(port: Port) -> None:
    async with port.socket("/exec/default/web/main", "input=1&output=1&tty=1&command=sh", "v5.channel.k8s.io") as socket:
        await socket.send_bytes(b"\x04" + orjson.dumps({"Width": 123, "Height": 45}))
        # The size goes to the runtime by another way than what is typed.
        await socket.send_bytes(b"\0until stty size | grep 123; do sleep 0.1; done; exit\n")
        got = b""
        async for message in socket:
            got += message.data[1:] if message.data[0] == 1 else b""
    assert b"45 123" in got


async def test_exec_over_spdy(port: Port) -> None:
    query = "input=1&output=1&error=1&command=sh&command=-c&command=cat;exit+2"
    async with port.spdy("/exec/default/web/main", query, "v4.channel.k8s.io") as (session, head):
        assert head.startswith("HTTP/1.1 101") and "v4.channel.k8s.io" in head
        error = await session.open({"streamtype": "error"})
        stdin = await session.open({"streamtype": "stdin"})
        stdout, stderr = await session.open({"streamtype": "stdout"}), await session.open({"streamtype": "stderr"})
        await stdin.write(b"through spdy\n")
        await stdin.close()
        assert await everything(stdout) == b"through spdy\n"
        assert await everything(stderr) == b""
        assert orjson.loads(await everything(error))["details"]["causes"][0]["message"] == "2"


async def test_attach(port: Port) -> None:
    async with port.socket("/attach/default/web/main", "input=1&output=1&error=1", "v5.channel.k8s.io") as socket:

        async def speak() -> None:
            # More than once: what is answered before the runtime has attached the output, nobody hears.
            while True:
                await socket.send_bytes(b"\0hello\n")
                await asyncio.sleep(0.2)

        speaking = asyncio.create_task(speak())
        output = b""
        while b"got hello" not in output:
            message = await socket.receive(timeout=40)
            assert isinstance(message.data, bytes), f"ended with {message} after {output!r}"
            output += message.data[1:]
        speaking.cancel()


async def fetch_page(session: Session) -> bytes:
    await (await session.open({"streamtype": "error", "port": "8080", "requestid": "0"})).close()
    data = await session.open({"streamtype": "data", "port": "8080", "requestid": "0"})
    await data.write(b"GET / HTTP/1.0\r\n\r\n")
    return await everything(data)


async def test_port_forward_over_spdy(port: Port) -> None:
    async with port.spdy("/portForward/default/web", "", "portforward.k8s.io") as (session, head):
        assert head.startswith("HTTP/1.1 101")
        assert (await fetch_page(session)).endswith(b"page\n")


async def test_port_forward_through_a_tunnel(port: Port) -> None:
    async with port.socket("/portForward/default/web", "", "SPDY/3.1+portforward.k8s.io") as socket:
        reader = asyncio.StreamReader()

        class Writer:
            def __init__(self) -> None:
                self.waiting: list[bytes] = []

            def write(self, data: bytes) -> None:
                self.waiting.append(data)

            async def drain(self) -> None:
                while self.waiting:
                    await socket.send_bytes(self.waiting.pop(0))

        async def receive() -> None:
            async for message in socket:
                reader.feed_data(message.data)
            reader.feed_eof()

        session = Session(reader, Writer())  # type: ignore[arg-type]
        tasks = [asyncio.create_task(receive()), asyncio.create_task(session.run())]
        assert (await fetch_page(session)).endswith(b"page\n")
        for task in tasks:
            task.cancel()


async def test_port_forward_by_channels(port: Port) -> None:
    async with port.socket("/portForward/default/web", "port=8080", "v4.channel.k8s.io") as socket:
        first = await socket.receive_bytes()
        second = await socket.receive_bytes()
        assert {first, second} == {b"\x00" + (8080).to_bytes(2, "little"), b"\x01" + (8080).to_bytes(2, "little")}
        await socket.send_bytes(b"\0GET / HTTP/1.0\r\n\r\n")
        got = b""
        async for message in socket:
            got += message.data[1:]
    assert got.endswith(b"page\n")


async def test_pods_and_numbers(port: Port) -> None:
    _, text = await port.get("/pods")
    assert "web" in [item["metadata"]["name"] for item in orjson.loads(text)["items"]]
    _, text = await port.get("/stats/summary")
    summary = orjson.loads(text)
    assert summary["node"]["nodeName"] == "node-a" and "web" in [p["podRef"]["name"] for p in summary["pods"]]
    _, text = await port.get("/metrics/resource")
    assert 'container_memory_working_set_bytes{container="main",namespace="default",pod="web"}' in text
    assert await port.get("/healthz") == (200, "ok")
