"""What each kind of write costs, over SQLite and over etcd, beside upstream's where one is at hand: what controllers, the scheduler, kubelets and
`kubectl apply` do all day. Prints a table; CPU time is the server's and that of etcd.

`PYTHONPATH=src python benchmarks/bench_writes.py [rounds [sqlite,etcd,upstream [step,...]]]`. Upstream's kube-apiserver is the one that
$KUBE_APISERVER names or PATH has. The servers are measured in turns, one at a time, and each step is the sum of its rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import load
import orjson
import uvloop
from load import PODS, Result
from servers import TOKEN, Server, kubetree_over_etcd, kubetree_over_sqlite, unverified, upstream_binary, upstream_over_etcd

Object = dict[str, Any]
Request = tuple[str, str, str, bytes]
"""Method, path, content type, body."""

OBJECTS = 1000
_CHUNKED = -1
"""Upstream's longer answers come in chunks."""
JSON, MERGE, STRATEGIC = "application/json", "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
REPLICA_SETS = "/apis/apps/v1/namespaces/default/replicasets"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
EVENTS = "/api/v1/namespaces/default/events"


class _Client(asyncio.Protocol):
    """One connection: a request after the other, until there are no more."""

    def __init__(self, todo: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._todo, self.done, self._transport = todo, done, cast(asyncio.Transport, None)
        self._answer, self._wanted = b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the server closed the connection: {exc}"))

    def go_on(self) -> None:
        self._answer, self._wanted = b"", 0
        request = next(self._todo, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._wanted:
            head, found, _ = self._answer.partition(b"\r\n\r\n")
            if not found:
                return
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._wanted = len(head) + 4 + int(length) if length else _CHUNKED
        whole = self._answer.endswith(b"\r\n0\r\n\r\n") if self._wanted == _CHUNKED else len(self._answer) >= self._wanted
        if whole:
            if self._answer[9:10] != b"2":
                self.done.set_exception(RuntimeError(self._answer.decode(errors="replace")))
                self._transport.close()
                return
            self.go_on()


def measured(server: Server, requests: Iterable[Request]) -> Result:
    """All of `requests`, over 32 connections. Raises RuntimeError at the first that fails."""
    wire = [_wire(server, *request) for request in requests]
    return asyncio.run(_measured(server, wire))


def _wire(server: Server, method: str, path: str, content_type: str, body: bytes) -> bytes:
    host = server.url.removeprefix("https://")
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nAccept: application/json\r\nUser-Agent: bench/1\r\n"
    )
    # Upstream's would compress long answers for a client that said that it may.
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _measured(server: Server, wire: list[bytes]) -> Result:
    loop, todo = asyncio.get_running_loop(), iter(wire)
    host, _, port = server.url.removeprefix("https://").partition(":")
    opening = [
        loop.create_connection(lambda: _Client(todo, loop.create_future()), host, int(port), ssl=unverified())
        for _ in range(load.CONNECTIONS)
    ]
    clients = [client for _, client in await asyncio.gather(*opening)]
    before, started = server.cpu(), time.perf_counter()
    for client in clients:
        client.go_on()
    await asyncio.gather(*(client.done for client in clients))
    return Result(len(wire), time.perf_counter() - started, server.cpu() - before)


# ---- what is written


def _names(server: Server, path: str) -> Iterator[Object]:
    listed: list[Object] = orjson.loads(server.ask("GET", path))["items"]
    kind = {PODS: ("v1", "Pod"), REPLICA_SETS: ("apps/v1", "ReplicaSet"), LEASES: ("coordination.k8s.io/v1", "Lease")}[path]
    for item in listed:
        yield {"apiVersion": kind[0], "kind": kind[1], **item}


def _run() -> str:
    return f"{time.time_ns():x}"


def _pod(name: str, *, bound: bool) -> bytes:
    pod = load.pod_text().replace("NAME", name).replace("SHARD", "1")
    return (pod if bound else pod.replace('"nodeName":"nowhere",', "")).encode()


def create_pods(server: Server) -> Iterator[Request]:
    run = _run()
    for n in range(OBJECTS):
        yield "POST", PODS, JSON, _pod(f"w-{run}-{n}", bound=False)


def bind_pods(server: Server) -> Iterator[Request]:
    for pod in _names(server, PODS):
        name = pod["metadata"]["name"]
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": "nowhere"}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            yield "POST", f"{PODS}/{name}/binding", JSON, orjson.dumps(binding)


def patch_pod_status(server: Server) -> Iterator[Request]:
    """As a kubelet says that a pod runs."""
    now = "2026-11-27T00:00:00Z"
    for n, pod in enumerate(_names(server, PODS)):
        ready = {"status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        status = {
            "phase": "Running",
            "startTime": now,
            "hostIP": "10.0.0.1",
            "podIP": f"10.1.{n >> 8 & 255}.{n & 255}",
            "podIPs": [{"ip": f"10.1.{n >> 8 & 255}.{n & 255}"}],
            "conditions": [{"type": t, **ready} for t in ("Initialized", "Ready", "ContainersReady")],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": f"sha256:{'0' * 64}",
                    "containerID": f"containerd://{'a' * 60}{n & 0xFFFF:04x}",
                    "ready": True,
                    "started": True,
                    "restartCount": int(_run()[-4:], 16),
                    "state": {"running": {"startedAt": now}},
                    "lastState": {},
                }
                for container in pod["spec"]["containers"]
            ],
        }
        metadata = {"uid": pod["metadata"]["uid"]}
        yield "PATCH", f"{PODS}/{pod['metadata']['name']}/status", STRATEGIC, orjson.dumps({"metadata": metadata, "status": status})


def put_pods(server: Server) -> Iterator[Request]:
    """Read, changed, written back."""
    run = _run()
    for pod in _names(server, PODS):
        pod["metadata"]["annotations"]["note"] = run
        yield "PUT", f"{PODS}/{pod['metadata']['name']}", JSON, orjson.dumps(pod)


def put_pod_status(server: Server) -> Iterator[Request]:
    run = _run()
    for pod in _names(server, PODS):
        pod["status"]["message"] = run
        yield "PUT", f"{PODS}/{pod['metadata']['name']}/status", JSON, orjson.dumps(pod)


def _patched(content_type: str, change: Callable[[str], Any]) -> Callable[[Server], Iterator[Request]]:
    def requests(server: Server) -> Iterator[Request]:
        body = orjson.dumps(change(_run()))
        for pod in _names(server, PODS):
            yield "PATCH", f"{PODS}/{pod['metadata']['name']}", content_type, body

    return requests


def apply_deployments(server: Server) -> Iterator[Request]:
    """The same 200 again and again, each time with another annotation and image."""
    pod = orjson.loads(_pod("x", bound=False))
    for _ in range(OBJECTS // 200):
        run = _run()
        pod["spec"]["containers"][0]["image"] = f"nginx:{run}"
        template = {"metadata": {"labels": {"app": "bench"}}, "spec": {**pod["spec"], "terminationGracePeriodSeconds": 30}}
        for n in range(200):
            spec = {"replicas": 3, "selector": {"matchLabels": {"app": "bench"}}, "template": template}
            metadata = {"name": f"d-{n}", "labels": {"app": "bench"}, "annotations": {"run": run}}
            deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
            yield "PATCH", f"{DEPLOYMENTS}/d-{n}?fieldManager=bench&force=true", APPLY, orjson.dumps(deployment)


def apply_config_maps(server: Server) -> Iterator[Request]:
    for _ in range(OBJECTS // 200):
        run = _run()
        for n in range(200):
            config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c-{n}"}, "data": {"run": run, "k": "x" * 800}}
            yield "PATCH", f"{CONFIG_MAPS}/c-{n}?fieldManager=bench&force=true", APPLY, orjson.dumps(config_map)


def create_replica_sets(server: Server) -> Iterator[Request]:
    run, pod = _run(), orjson.loads(_pod("x", bound=False))
    template = {"metadata": {"labels": {"app": "bench"}}, "spec": {**pod["spec"], "terminationGracePeriodSeconds": 30}}
    for n in range(OBJECTS):
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": "bench"}}, "template": template}
        metadata = {"name": f"r-{run}-{n}", "labels": {"app": "bench"}}
        yield "POST", REPLICA_SETS, JSON, orjson.dumps({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})


def put_replica_set_status(server: Server) -> Iterator[Request]:
    """As its controller counts its pods."""
    for replica_set in _names(server, REPLICA_SETS):
        ready = replica_set["status"].get("readyReplicas", 0) % 3 + 1
        replica_set["status"] = {"replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": ready, "observedGeneration": 1}
        yield "PUT", f"{REPLICA_SETS}/{replica_set['metadata']['name']}/status", JSON, orjson.dumps(replica_set)


def create_leases(server: Server) -> Iterator[Request]:
    run = _run()
    for n in range(OBJECTS):
        spec = {"holderIdentity": f"n-{n}", "leaseDurationSeconds": 40, "renewTime": "2026-11-27T00:00:00.000000Z"}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": f"l-{run}-{n}"}, "spec": spec}
        yield "POST", LEASES, JSON, orjson.dumps(lease)


def put_leases(server: Server) -> Iterator[Request]:
    """As nodes say that they are there."""
    for n, lease in enumerate(_names(server, LEASES)):
        if "holderIdentity" in lease["spec"] and lease["metadata"]["name"].startswith("l-"):
            lease["spec"]["renewTime"] = f"2026-11-27T00:00:{n % 60:02}.{int(_run()[-4:], 16):06}Z"
            yield "PUT", f"{LEASES}/{lease['metadata']['name']}", JSON, orjson.dumps(lease)


def create_events(server: Server) -> Iterator[Request]:
    run = _run()
    for n in range(OBJECTS):
        involved = {"kind": "Pod", "namespace": "default", "name": f"w-{n}", "uid": f"u-{n}", "apiVersion": "v1", "resourceVersion": str(n)}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"w-{n}.{run}"},
            "involvedObject": involved,
            "reason": "Scheduled",
            "message": f"Successfully assigned default/w-{n} to nowhere",
            "source": {"component": "bench"},
            "type": "Normal",
            "count": 1,
            "firstTimestamp": "2026-11-27T00:00:00Z",
            "lastTimestamp": "2026-11-27T00:00:00Z",
        }
        yield "POST", EVENTS, JSON, orjson.dumps(event)


def _deleted(path: str) -> Callable[[Server], Iterator[Request]]:
    def requests(server: Server) -> Iterator[Request]:
        for obj in _names(server, path):
            yield "DELETE", f"{path}/{obj['metadata']['name']}?gracePeriodSeconds=0", JSON, b""

    return requests


STEPS: dict[str, Callable[[Server], Iterator[Request]]] = {
    "create a pod": create_pods,
    "bind a pod": bind_pods,
    "patch a pod's status (strategic)": patch_pod_status,
    "put a pod's status": put_pod_status,
    "put a pod": put_pods,
    "patch a pod (merge)": _patched(MERGE, lambda run: {"metadata": {"labels": {"run": run}}}),
    "patch a pod (strategic)": _patched(STRATEGIC, lambda run: {"metadata": {"labels": {"run": run}}}),
    "patch a pod (JSON)": _patched(JSON_PATCH, lambda run: [{"op": "add", "path": "/metadata/labels/run", "value": run}]),
    "delete a pod": _deleted(PODS),
    "create an event": create_events,
    "create a lease": create_leases,
    "put a lease": put_leases,
    "delete a lease": _deleted(LEASES),
    "create a replica set": create_replica_sets,
    "put a replica set's status": put_replica_set_status,
    "delete a replica set": _deleted(REPLICA_SETS),
    "apply a config map": apply_config_maps,
    "apply a deployment": apply_deployments,
}
"""In the order in which they need each other's objects."""


def table(results: dict[str, dict[str, Result]]) -> list[str]:
    names = list(results)
    reference = next((name for name in names if name.startswith("upstream")), None)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for step in results[names[0]]:
        cells = []
        for name in names:
            got = results[name][step]
            text = f"{got.rate:,.0f}/s, {got.cost:,.0f} us CPU each"
            if reference is not None and name != reference:
                text += f" (**{got.rate / results[reference][step].rate:.2g}x**)"
            cells.append(text)
        lines.append(f"| {step} | " + " | ".join(cells) + " |")
    return lines


def main(rounds: int = 3, which: str = "sqlite,etcd,upstream", only: str = "") -> None:
    lacking = load.missing()
    if lacking is not None:
        print(f"skipped: {lacking}")
        return
    uvloop.install()
    starts = {"sqlite": kubetree_over_sqlite, "etcd": kubetree_over_etcd} | ({"upstream": upstream_over_etcd} if upstream_binary() else {})
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(starts[name]()) for name in which.split(",") if name in starts]
        sums: dict[str, dict[str, Result]] = {server.name: {} for server in servers}
        for n in range(rounds + 1):  # the first one warms up
            for server in servers:
                for step, requests in STEPS.items():
                    got = measured(server, requests(server))
                    if n:
                        had = sums[server.name].get(step, Result(0, 0, 0))
                        sums[server.name][step] = Result(had.count + got.count, had.seconds + got.seconds, had.cpu + got.cpu)
        print(f"load average {os.getloadavg()[0]:.1f}")
        print("\n".join(line for line in table(sums) if not only or any(step in line for step in ["| |", *only.split(",")])), flush=True)


if __name__ == "__main__":
    main(*([int(sys.argv[1]), *sys.argv[2:]] if len(sys.argv) > 1 else []))
