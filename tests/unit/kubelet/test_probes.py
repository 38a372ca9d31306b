"""Probes over the network against servers of the test's own, and the counting of results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubetree.kubelet.probes import network, prober
from kubetree.kubelet.probes.network import Outcome
from kubetree.kubelet.probes.prober import Prober
from kubetree.kubelet.runtime_state import ContainerRecord, State

Object = dict[str, Any]


@asynccontextmanager
async def server(answer: Callable[[str], str]) -> AsyncIterator[int]:
    """A web server; `answer` makes the response from the request's head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.write(answer(head).encode())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def response(status: str, body: str = "", **headers: str) -> str:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}"


@pytest.mark.parametrize(
    ("status", "ok", "output"),
    [
        ("200 OK", True, "body"),
        ("399 Odd", True, "body"),
        ("400 Bad", False, "HTTP probe failed with statuscode: 400"),
        ("500 X", False, "HTTP probe failed with statuscode: 500"),
    ],
)
async def test_http_statuses(status: str, ok: bool, output: str) -> None:
    async with server(lambda head: response(status, "body")) as port:
        assert await network.http(f"http://127.0.0.1:{port}/", [], 1) == Outcome(ok, output)


async def test_http_headers_and_path() -> None:
    seen: list[str] = []

    def answer(head: str) -> str:
        seen.append(head)
        return response("200 OK")

    async with server(answer) as port:
        url = network.http_url({"port": "web", "path": "/a?b=c"}, {"ports": [{"name": "web", "containerPort": port}]}, "127.0.0.1")
        await network.http(url, [{"name": "host", "value": "example.org"}, {"name": "X-Own", "value": "1"}], 1)
    lines = seen[0].split("\r\n")
    assert (
        lines[0] == "GET /a?b=c HTTP/1.1"
        and "host: example.org" in lines
        and "X-Own: 1" in lines
        and "User-Agent: kube-probe/1.36" in lines
    )
    assert not any(line.startswith("Host:") for line in lines)


async def test_http_redirects() -> None:
    def answer(head: str) -> str:
        return response("302 Found", Location="/there") if head.startswith("GET / ") else response("200 OK", "there")

    async with server(answer) as port:
        assert await network.http(f"http://127.0.0.1:{port}/", [], 1) == Outcome(True, "there")
    async with server(lambda head: response("302 Found", Location="http://elsewhere.invalid/")) as port:
        assert (await network.http(f"http://127.0.0.1:{port}/", [], 1)).warning
    async with server(lambda head: response("302 Found", Location="/")) as port:
        assert "stopped after 10 redirects" in (await network.http(f"http://127.0.0.1:{port}/", [], 2)).output


async def test_http_troubles_are_worded_as_gos() -> None:
    async with server(lambda head: "") as port:
        assert (await network.http(f"http://127.0.0.1:{port}/", [], 1)).output == f'Get "http://127.0.0.1:{port}/": EOF'
    refused = await network.http(f"http://127.0.0.1:{port}/", [], 1)
    assert refused.output == f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as listening:
        late = await network.http(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", [], 0.05)
    assert late.output.endswith("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")


async def test_tcp() -> None:
    async with server(lambda head: "") as port:
        assert (await network.tcp("127.0.0.1", port, 1)).ok
    assert await network.tcp("127.0.0.1", port, 1) == Outcome(False, f"dial tcp 127.0.0.1:{port}: connect: connection refused")


def test_ports_by_name() -> None:
    container = {"ports": [{"name": "web", "containerPort": 80}]}
    assert network.resolve_port("web", container) == 80 and network.resolve_port(81, container) == 81
    with pytest.raises(ValueError, match="couldn't find port: none"):
        network.resolve_port("none", container)


class Scene:
    """One pod with one container whose probes answer what the test puts in `answers`, the last answer again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, container: Object, *, age: float = 100.0) -> None:
        self.answers: list[bool] = []
        self.asked = 0
        self.events: list[str] = []
        self.pod: Object = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"containers": [container]}}
        self.prober = Prober(None, lambda pod, container, kind, reason, message: self.events.append(message), lambda uid: None)  # type: ignore[arg-type]
        self.prober._started_at = 0.0
        self.record = ContainerRecord("c1", "c", State.RUNNING, started_at=int((time.time() - age) * 1e9))

        async def attempt(probe: Any) -> Outcome:
            self.asked += 1
            ok = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return Outcome(ok, "why")

        monkeypatch.setattr(self.prober, "_attempt", attempt)

    async def run(self, until: Callable[[], object] = lambda: True, longer: float = 0.1) -> None:
        """Probes until a condition holds, and then a little longer for what must not follow."""
        task = asyncio.create_task(self.prober.run())
        self.prober.follow(self.pod, {"c": self.record}, "10.0.0.1")
        async with asyncio.timeout(30):
            while not until():
                await asyncio.sleep(0.01)
        await asyncio.sleep(longer)
        task.cancel()
        await asyncio.wait({task})

    def ready(self) -> bool:
        return self.prober.ready(self.record, self.pod["spec"]["containers"][0])


def container(**probes: Object) -> Object:
    return {"name": "c", **probes}


async def test_thresholds_count_consecutive_results(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, container(livenessProbe={"periodSeconds": 0.02, "failureThreshold": 3}))
    scene.answers = [False, False, True, False, False, True]
    await scene.run(lambda: scene.asked > 6)
    assert scene.prober.results.liveness == {"c1": True} and len(scene.events) == 4
    assert scene.events[0] == "Liveness probe failed: why"


async def test_a_failed_liveness_probe_holds_until_there_is_a_new_container(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, container(livenessProbe={"periodSeconds": 0.02, "failureThreshold": 2}))
    scene.answers = [False]
    await scene.run(lambda: scene.prober.results.liveness)
    assert scene.prober.results.liveness == {"c1": False} and scene.asked == 2


async def test_others_wait_for_the_startup_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = {"periodSeconds": 0.02}
    scene = Scene(monkeypatch, container(startupProbe={**probe, "failureThreshold": 50}, readinessProbe=probe))
    scene.answers = [False]
    await scene.run(lambda: len(scene.events) > 2)
    assert all(event.startswith("Startup probe failed") for event in scene.events)
    assert not scene.prober.started(scene.record, scene.pod["spec"]["containers"][0])


async def test_a_young_container_is_asked_often_and_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "SETTLING", 600.0)
    scene = Scene(monkeypatch, container(readinessProbe={"periodSeconds": 30, "failureThreshold": 1}), age=0.0)
    scene.answers = [False, False, True]
    await scene.run(scene.ready)
    assert scene.asked == 3 and scene.events == [] and scene.ready()


async def test_a_young_container_is_not_asked_whether_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "SETTLING", 600.0)
    scene = Scene(monkeypatch, container(livenessProbe={"periodSeconds": 30, "failureThreshold": 1}), age=0.0)
    scene.answers = [True]
    await scene.run()
    assert scene.asked == 0
    monkeypatch.setattr(prober, "SETTLING", 0.0)
    await scene.run(lambda: scene.asked)


async def test_what_the_last_kubelet_knew_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, container(readinessProbe={"periodSeconds": 30}))
    scene.prober.assume(scene.record, started=True, ready=True)
    scene.answers = [True]
    await scene.run(longer=0.02)
    assert scene.ready()
