"""The kubelet's port: a table of paths, each with its handler, behind one gate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson
import prometheus_client
from aiohttp import web

from kubetree.kubelet import specs
from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, State
from kubetree.kubelet.server import channels, tunnels
from kubetree.kubelet.server.authorization import Gate
from kubetree.kubelet.server.channels import StreamOptions
from kubetree.kubelet.server.log_stream import LogOptions, read_log
from kubetree.kubelet.server.stats import Stats

Object = dict[str, Any]
Query = Mapping[str, list[str]]
Answer = Awaitable[web.StreamResponse]

log = logging.getLogger("kubetree.kubelet")

MAX_LINE = 1024 * 1024
"""Bytes of a request line or a header, as Go's server takes them: an exec's command stands in the path, and may be long."""


class Refused(Exception):
    """A request that cannot be answered: the status and the text that kubectl shows."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class Host:
    """What the server needs of the kubelet."""

    client: RuntimeClient
    pod_by_name: Callable[[str, str], Object | None]
    pods: Callable[[], Sequence[Object]]
    status: Callable[[Object], Object]
    """A pod's newest status."""
    observe: Callable[[str], Awaitable[PodRuntime]]
    healthy: Callable[[], str]
    """Empty, or what is wrong."""
    configuration: Callable[[], Object]
    metrics: Callable[[], str]
    """The kubelet's own metrics as Prometheus text."""
    probe_metrics: Callable[[], str]


class KubeletServer:
    def __init__(self, host: Host, gate: Gate, stats: Stats) -> None:
        self._host, self._gate, self._stats = host, gate, stats
        self._paths: Mapping[str, Callable[[web.BaseRequest, list[str], Query], Answer]] = {
            "healthz": self._healthz,
            "pods": self._pods,
            "runningpods": self._pods,
            "containerLogs": self._container_logs,
            "exec": self._exec,
            "attach": self._attach,
            "portForward": self._port_forward,
            "run": self._run,
            "stats": self._summary,
            "metrics": self._metrics,
            "configz": self._configz,
        }

    @contextlib.asynccontextmanager
    async def listen(self, address: str, port: int, context: ssl.SSLContext | None) -> AsyncIterator[int]:
        """Serve while the block runs; gives the port."""
        async with _listening(self._serve, address, port, context) as bound:
            yield bound

    @contextlib.asynccontextmanager
    async def listen_for_health(self, address: str, port: int) -> AsyncIterator[int]:
        """/healthz alone, in plain HTTP and for anyone: for this machine's own supervisors."""

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            first, *rest = request.path.removeprefix("/").split("/")
            return await self._healthz(request, rest, {}) if first == "healthz" else web.Response(status=404, text="404 page not found\n")

        async with _listening(serve, address, port, None) as bound:
            yield bound

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        first, *rest = [unquote(part) for part in path.split("/")[1:]] or [""]
        handler = self._paths.get(first)
        if (refusal := await self._gate.refusal(request, f"/{first}")) is not None:
            return refusal
        if handler is None:
            return web.Response(status=404, text="404 page not found\n")
        try:
            return await handler(request, rest, parse_qs(query, keep_blank_values=True))
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.text)
        except RuntimeFailure as error:
            return web.Response(status=404 if error.not_found else 500, text=str(error))

    # -- looking

    async def _healthz(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        wrong = "" if rest == ["ping"] else self._host.healthy()
        return web.Response(status=500 if wrong else 200, text=wrong or "ok")

    async def _pods(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        items = [{**pod, "status": self._host.status(pod)} for pod in self._host.pods()]
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _configz(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        return _json({"kubeletconfig": self._host.configuration()})

    async def _summary(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        if rest not in (["summary"], ["summary", ""]):
            raise Refused(404, "404 page not found\n")
        return _json(await self._stats.summary())

    async def _metrics(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        match rest:
            case []:
                text = self._host.metrics() + prometheus_client.generate_latest().decode()
            case ["cadvisor"]:
                text = await self._stats.cadvisor_metrics()
            case ["resource"]:
                text = await self._stats.resource_metrics()
            case ["probes"]:
                text = self._host.probe_metrics()
            case _:
                raise Refused(404, "404 page not found\n")
        return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    # -- finding pods and containers

    def _pod(self, namespace: str, name: str, text: str = "pod does not exist") -> Object:
        pod = self._host.pod_by_name(namespace, name)
        if pod is None:
            raise Refused(404, text)
        return pod

    async def _running(self, rest: list[str]) -> ContainerRecord:
        """The running container of `namespace/pod[/uid]/container`."""
        if len(rest) not in (3, 4):
            raise Refused(404, "404 page not found\n")
        pod = self._pod(rest[0], rest[1])
        record = (await self._host.observe(specs.uid(pod))).latest(rest[-1])
        if record is None:
            raise Refused(404, f'container not found ("{rest[-1]}")')
        if record.state is not State.RUNNING:
            raise Refused(500, f"container not running ({record.id})")
        return record

    # -- logs

    async def _container_logs(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        if len(rest) != 3:
            raise Refused(404, "404 page not found\n")
        namespace, name, container = rest
        pod = self._pod(namespace, name, f'pod "{name}" does not exist')
        if specs.find_container(pod, container) is None:
            raise Refused(404, f'container "{container}" not found in pod "{name}"')
        options = log_options(query)
        container_id = container_to_read(self._host.status(pod), name, container, previous=_flag(query, "previous"))
        runtime = await self._host.observe(specs.uid(pod))
        record = next((r for r in runtime.containers if container_id.endswith(r.id)), None)
        if record is None:
            raise Refused(400, f"unable to retrieve container logs for {container_id}")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()

        async def still_running() -> bool:
            latest = next((r for r in (await self._host.observe(specs.uid(pod))).containers if r.id == record.id), None)
            return latest is not None and latest.state is State.RUNNING

        watch = asyncio.create_task(_last(still_running)) if options.follow else None
        try:
            pieces = read_log(Path(record.log_path), options, lambda: watch is not None and not watch.done())
            await response.prepare(request)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
        except FileNotFoundError:
            raise Refused(400, f"failed to try resolving symlinks in path {record.log_path!r}: no such file or directory") from None
        except ConnectionError:
            log.debug("the reader of the log of %s/%s has gone", name, container)
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.wait({watch})
        return response

    # -- streams

    async def _exec(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        record = await self._running(rest)
        options = stream_options(query)
        url = await self._host.client.call("Exec", container_id=record.id, cmd=query.get("command", []), **_streams(options))
        return await _remote_command(request, url.url, options)

    async def _attach(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        record = await self._running(rest)
        options = stream_options(query)
        url = await self._host.client.call("Attach", container_id=record.id, **_streams(options))
        return await _remote_command(request, url.url, options)

    async def _port_forward(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        if len(rest) not in (2, 3):
            raise Refused(404, "404 page not found\n")
        pod = self._pod(rest[0], rest[1])
        sandbox = (await self._host.observe(specs.uid(pod))).ready_sandbox
        if sandbox is None:
            raise Refused(500, f'failed to find sandbox for pod "{rest[1]}"')
        ports = [int(p) for text in query.get("port", query.get("ports", [])) for p in text.split(",") if p.isdigit()]
        url = (await self._host.client.call("PortForward", pod_sandbox_id=sandbox.id, port=ports)).url
        if not _is_websocket(request):
            return await tunnels.spdy(request, url)
        if tunnels.TUNNEL in _protocols(request):
            return await tunnels.port_forward(request, url)
        return await channels.port_forward(request, url, ports)

    async def _run(self, request: web.BaseRequest, rest: list[str], query: Query) -> web.StreamResponse:
        record = await self._running(rest)
        command = " ".join(query.get("cmd", [])).split(" ")
        answer = await self._host.client.call("ExecSync", container_id=record.id, cmd=command, timeout=0)
        return web.Response(body=answer.stdout + answer.stderr, status=500 if answer.exit_code else 200)


@contextlib.asynccontextmanager
async def _listening(
    serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], address: str, port: int, context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    server = web.Server(serve, access_log=None, keepalive_timeout=75, max_line_size=MAX_LINE, max_field_size=MAX_LINE)
    listening = await asyncio.get_running_loop().create_server(server, address, port, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await server.shutdown(0.5)


async def _last(still: Callable[[], Awaitable[bool]]) -> None:
    """Returns when `still()` is no longer true."""
    while await still():
        await asyncio.sleep(0.5)


async def _remote_command(request: web.BaseRequest, url: str, options: StreamOptions) -> web.StreamResponse:
    if _is_websocket(request):
        return await channels.remote_command(request, url, options)
    return await tunnels.spdy(request, url)


def _is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _protocols(request: web.BaseRequest) -> list[str]:
    return [p.strip() for value in request.headers.getall("Sec-WebSocket-Protocol", []) for p in value.split(",")]


def _json(obj: Object) -> web.Response:
    return web.Response(body=orjson.dumps(obj), content_type="application/json")


def _first(query: Query, name: str) -> str:
    return next(iter(query.get(name, ())), "")


def _flag(query: Query, name: str) -> bool:
    return _first(query, name).lower() in ("1", "true")


def stream_options(query: Query) -> StreamOptions:
    """From `input`, `output`, `error`, `tty` (the API server's) or `stdin`, `stdout`, `stderr`. Raises Refused when there is none."""
    options = StreamOptions(
        stdin=_flag(query, "input") or _flag(query, "stdin"),
        stdout=_flag(query, "output") or _flag(query, "stdout"),
        stderr=(_flag(query, "error") or _flag(query, "stderr")) and not _flag(query, "tty"),
        tty=_flag(query, "tty"),
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
    return options


def _streams(options: StreamOptions) -> dict[str, bool]:
    return {"stdin": options.stdin, "stdout": options.stdout, "stderr": options.stderr, "tty": options.tty}


def log_options(query: Query) -> LogOptions:
    """v1.PodLogOptions from a query. Raises Refused for numbers that are none."""
    tail = _first(query, "tailLines") or _first(query, "tail")
    try:
        since = datetime.fromisoformat(text.replace("Z", "+00:00")) if (text := _first(query, "sinceTime")) else None
        if seconds := _first(query, "sinceSeconds"):
            since = datetime.now(UTC) - timedelta(seconds=int(seconds))
        return LogOptions(
            follow=_flag(query, "follow"),
            timestamps=_flag(query, "timestamps"),
            since=since,
            tail=int(tail) if tail and tail != "all" else None,
            limit=int(limit) if (limit := _first(query, "limitBytes")) else None,
            stream=_first(query, "stream") or "All",
        )
    except ValueError:
        raise Refused(400, '{"message": "Unable to decode query."}') from None


def container_to_read(status: Object, pod: str, container: str, *, previous: bool) -> str:
    """The id of the container whose log is meant. Raises Refused in upstream's words."""
    keys = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    found: Object | None = next((s for key in keys for s in status.get(key) or () if s["name"] == container), None)
    if found is None:
        raise Refused(400, f'container "{container}" in pod "{pod}" is not available')
    state, last = found.get("state") or {}, ((found.get("lastState") or {}).get("terminated") or {}).get("containerID")
    if previous:
        if not last:
            raise Refused(400, f'previous terminated container "{container}" in pod "{pod}" not found')
        return str(last)
    if "running" in state:
        return str(found["containerID"])
    if "terminated" in state:
        if wanted := state["terminated"].get("containerID") or last:
            return str(wanted)
        raise Refused(400, f'container "{container}" in pod "{pod}" is terminated')
    if last:
        return str(last)
    reason = (state.get("waiting") or {}).get("reason", "")
    text = {
        "ErrImagePull": "waiting to start: image can't be pulled",
        "ImagePullBackOff": "waiting to start: trying and failing to pull image",
    }.get(reason, f"waiting to start: {reason}" if reason else "waiting to start - no logs yet")
    raise Refused(400, f'container "{container}" in pod "{pod}" is {text}')
