"""The steps by which an API server is measured, whichever it is: requests by wrk over 32 TLS connections, lists and watches by asyncio.

A step gives what it did and what it cost the server; CPU seconds are steadier than rates on a machine that is not quiet.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import aiohttp
import orjson
from servers import TOKEN, Server, unverified

CONNECTIONS = 32
PODS = "/api/v1/namespaces/default/pods"
SHARDS = 16
WATCHERS, UPDATES, WRITERS = 1000, 200, 8


@dataclass(frozen=True, slots=True)
class Result:
    """`count` things in `seconds`, which took the server `cpu` seconds."""

    count: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def cost(self) -> float:
        """CPU microseconds each."""
        return self.cpu / max(1, self.count) * 1e6


def missing() -> str | None:
    """What the machine lacks for this."""
    tools = [tool for tool in ("wrk", "openssl", "etcd") if shutil.which(tool) is None]
    return f"needs {', '.join(tools)} (apt-get install wrk openssl etcd-server)" if tools else None


def create(server: Server, seconds: int) -> Result:
    """Pods of two containers with names of their own; every one is bound, so that no scheduler touches it."""
    with _script() as script:
        return _wrk(server, seconds, "-s", script)


def fill(server: Server, pods: int) -> Result:
    """Creates that many pods, as fast as a client in Python can: what counts is what they cost the server."""
    return asyncio.run(_fill(server, pods))


def count(server: Server) -> int:
    """How many pods there are."""
    listed = orjson.loads(server.ask("GET", f"{PODS}?limit=1"))
    return len(listed["items"]) + int(listed["metadata"].get("remainingItemCount", 0))


def get(server: Server, seconds: int, *, cached: bool = False) -> Result:
    name = orjson.loads(server.ask("GET", f"{PODS}?limit=1"))["items"][0]["metadata"]["name"]
    return _wrk(server, seconds, path=f"{PODS}/{name}{'?resourceVersion=0' if cached else ''}")


def list_by_label(server: Server, seconds: int) -> Result:
    """One pod in sixteen."""
    return _wrk(server, seconds, path=f"{PODS}?labelSelector=shard%3D3&resourceVersion=0", connections=4)


def list_all(server: Server, times: int) -> tuple[Result, int]:
    """All pods, and how many bytes they were."""
    return asyncio.run(_list_all(server, times))


def watch(server: Server) -> Result:
    """Events delivered to a thousand watchers while eight writers change one object of 1 KB."""
    return asyncio.run(_watch(server))


def _wrk(server: Server, seconds: int, *options: str, path: str = "", connections: int = CONNECTIONS) -> Result:
    before = server.cpu()
    arguments = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-H", f"Authorization: Bearer {TOKEN}"]
    out = subprocess.run([*arguments, *options, server.url + path], capture_output=True, text=True, check=True).stdout
    done = re.search(r"(\d+) requests in ([\d.]+)(m?s)", out)
    if done is None or "Non-2xx" in out:
        raise RuntimeError(f"{server.name}: {out}")
    return Result(int(done[1]), float(done[2]) / (1000 if done[3] == "ms" else 1), server.cpu() - before)


@contextmanager
def _script() -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        pod = pod_text().replace('"', '\\"').replace("NAME", '" .. name .. "').replace("SHARD", f'" .. (count % {SHARDS}) .. "')
        file.write(_LUA % {"run": f"{os.getpid():x}-{time.time_ns():x}", "token": TOKEN, "path": PODS, "pod": pod})
        file.flush()
        yield file.name


_LUA = """
local count = 0
local headers = {["Authorization"] = "Bearer %(token)s", ["Content-Type"] = "application/json"}
function request()
  count = count + 1
  local name = "p-%(run)s-" .. count
  return wrk.format("POST", "%(path)s", headers, "%(pod)s")
end
"""


def pod_text() -> str:
    """JSON of a pod whose name and shard are still to be put in."""
    web = {
        "name": "web",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80, "name": "http"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    log = {"name": "log", "image": "busybox:1.36", "command": ["sh", "-c", "tail -f /data/log"], "volumeMounts": web["volumeMounts"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "NAME", "labels": {"app": "bench", "tier": "web", "shard": "SHARD"}, "annotations": {"note": "benchmark"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "nodeName": "nowhere",
            "containers": [web, log],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        },
    }
    return orjson.dumps(pod).decode()


def _session() -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=unverified()), headers=headers, read_bufsize=2**22)


async def _fill(server: Server, pods: int) -> Result:
    run, pod = f"f-{time.time_ns():x}", pod_text()
    todo = iter(range(pods))
    async with _session() as session:
        before, started = server.cpu(), time.perf_counter()

        async def work() -> None:
            for n in todo:
                body = pod.replace("NAME", f"{run}-{n}").replace("SHARD", str(n % SHARDS)).encode()
                async with session.post(server.url + PODS, data=body) as answer:
                    if answer.status != 201:
                        raise RuntimeError(f"{server.name}: {answer.status} {await answer.text()}")
                    await answer.read()

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(work())
        return Result(pods, time.perf_counter() - started, server.cpu() - before)


async def _list_all(server: Server, times: int) -> tuple[Result, int]:
    async with _session() as session:
        before, started, size = server.cpu(), time.perf_counter(), 0
        for _ in range(times):
            async with session.get(f"{server.url}/api/v1/pods?resourceVersion=0") as answer:
                size = len(await answer.read())
        return Result(times, time.perf_counter() - started, server.cpu() - before), size


class _Watcher(asyncio.Protocol):
    def __init__(self, request: bytes, seen: list[int]) -> None:
        self._request, self._seen = request, seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen[0] += data.count(b'"type":"MODIFIED"')


async def _watch(server: Server) -> Result:
    loop, seen, expected = asyncio.get_running_loop(), [0], WATCHERS * UPDATES
    path = "/api/v1/namespaces/default/configmaps"
    host, _, port = server.url.removeprefix("https://").partition(":")
    request = f"GET {path}?watch=1&resourceVersion=0&timeoutSeconds=300 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    todo = iter(range(1, UPDATES + 1))
    transports = []

    def changed(n: int) -> bytes:
        return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fan"}, "data": {"k": "x" * 800, "n": str(n)}})

    async with _session() as session:

        async def write() -> None:
            for n in todo:
                async with session.put(f"{server.url}{path}/fan", data=changed(n)) as answer:
                    await answer.read()

        async with session.post(server.url + path, data=changed(0)) as answer:
            await answer.read()
        for _ in range(0, WATCHERS, 50):
            opening = [
                loop.create_connection(lambda: _Watcher(request.encode(), seen), host, int(port), ssl=unverified()) for _ in range(50)
            ]
            transports += [transport for transport, _ in await asyncio.gather(*opening)]
        await asyncio.sleep(1.5)
        seen[0] = 0
        before, started = server.cpu(), time.perf_counter()
        await asyncio.gather(*(write() for _ in range(WRITERS)))
        while seen[0] < expected and time.perf_counter() - started < 90:
            await asyncio.sleep(0.005)
        result = Result(seen[0], time.perf_counter() - started, server.cpu() - before)
        for transport in transports:
            transport.close()
    return result
