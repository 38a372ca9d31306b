"""Probes over the network: HTTP, TCP and gRPC. Each answers an Outcome; none raises for a target that is unwell."""

from __future__ import annotations

import asyncio
import errno
import functools
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import grpc

from kubetree.kubelet.cri.messages import build

Object = dict[str, Any]

USER_AGENT = "kube-probe/1.36"
MAX_BODY = 10 * 1024
MAX_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """`output` is what the Unhealthy event says; `warning` marks a success that deserves one."""

    ok: bool
    output: str = ""
    warning: bool = False


def resolve_port(port: int | str, container: Object) -> int:
    """A number, or the container's port of that name. Raises ValueError."""
    if isinstance(port, int):
        return port
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port}")


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def dial_error(error: OSError, target: str) -> str:
    """As Go's net package words it."""
    words = {
        errno.ECONNREFUSED: "connect: connection refused",
        errno.EHOSTUNREACH: "connect: no route to host",
        errno.ENETUNREACH: "connect: network is unreachable",
        errno.ETIMEDOUT: "connect: connection timed out",
    }
    return f"dial tcp {target}: {words.get(error.errno or 0, error.strerror or str(error))}"


async def tcp(host: str, port: int, timeout: float) -> Outcome:
    target = address(host, port)
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(False, f"dial tcp {target}: i/o timeout")
    except OSError as error:
        return Outcome(False, dial_error(error, target))
    writer.close()
    return Outcome(True)


def http_url(action: Object, container: Object, pod_ip: str) -> str:
    host = action.get("host") or pod_ip
    scheme = (action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    return f"{scheme}://{address(host, resolve_port(action['port'], container))}/{path.removeprefix('/')}"


async def http(url: str, headers: list[Object], timeout: float) -> Outcome:
    """GET; 200 to 399 is success. Redirects on the same host are followed, to another host they are a warning."""
    host, current = urlsplit(url).hostname, url
    try:
        async with asyncio.timeout(timeout):
            for _ in range(MAX_REDIRECTS):
                status, location, body = await _get(current, headers)
                if status in (301, 302, 303, 307, 308) and location:
                    current = urljoin(current, location)
                    if urlsplit(current).hostname != host:
                        return Outcome(True, f"Probe terminated redirects, Response body: {body}", warning=True)
                    continue
                if 200 <= status < 400:
                    return Outcome(True, body)
                return Outcome(False, f"HTTP probe failed with statuscode: {status}")
            return Outcome(False, f'Get "{current}": stopped after {MAX_REDIRECTS} redirects')
    except TimeoutError:
        return Outcome(False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
    except asyncio.IncompleteReadError:
        return Outcome(False, f'Get "{url}": EOF')
    except (ssl.SSLError, ValueError, asyncio.LimitOverrunError) as error:
        return Outcome(False, f'Get "{url}": {error}')
    except OSError as error:
        target = urlsplit(url)
        return Outcome(False, f'Get "{url}": {dial_error(error, f"{target.hostname}:{target.port}")}')


def _request(url: str, headers: list[Object]) -> bytes:
    parts = urlsplit(url)
    lines = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    extra: list[tuple[str, str]] = []
    for header in headers:
        name, value = header["name"], header.get("value", "")
        replaced = next((own for own in lines if own.lower() == name.lower()), None)
        if replaced is not None:
            del lines[replaced]
        if value:
            extra.append((name, value))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    text = "".join(f"{name}: {value}\r\n" for name, value in (*lines.items(), *extra))
    return f"GET {target} HTTP/1.1\r\n{text}\r\n".encode()


async def _get(url: str, headers: list[Object]) -> tuple[int, str, str]:
    """Status, Location and the beginning of the body. Probes come each second from every pod: this costs a tenth of a full client."""
    parts = urlsplit(url)
    secure = _insecure_tls() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if secure else 80), ssl=secure)
    try:
        writer.write(_request(url, headers))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *fields = head.split("\r\n")
        status = int(status_line.split(" ", 2)[1])
        values = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if status in (204, 304) or values.get("content-length") == "0":
            return status, values.get("location", ""), ""
        wanted = int(values.get("content-length") or MAX_BODY)
        body = b""
        while len(body) < min(wanted, MAX_BODY) and (block := await reader.read(MAX_BODY)):
            body += block
        return status, values.get("location", ""), body[:MAX_BODY].decode(errors="replace")
    finally:
        writer.close()


@functools.cache
def _insecure_tls() -> ssl.SSLContext:
    """Probes do not verify, as in upstream: pods' certificates are known to nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_HEALTH = """
HealthCheckRequest: 1 service string
HealthCheckResponse: 1 status int32
"""
_SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def grpc_health(host: str, port: int, service: str, timeout: float) -> Outcome:
    """grpc.health.v1.Health/Check."""
    messages = build(_HEALTH, "grpc.health.v1", "kubetree/grpc_health.proto")
    target = address(host, port)
    request, response = messages["HealthCheckRequest"], messages["HealthCheckResponse"]
    async with grpc.aio.insecure_channel(target, options=[("grpc.primary_user_agent", USER_AGENT)]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            answer = await check(request(service=service), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return Outcome(False, _grpc_failure(error, target, timeout))
    if answer.status == 1:
        return Outcome(True)
    return Outcome(False, f'service unhealthy (responded with "{_SERVING.get(answer.status, answer.status)}")')


def _grpc_failure(error: grpc.aio.AioRpcError, target: str, timeout: float) -> str:
    code = error.code()
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {error.details()}"
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return "timeout: health rpc did not complete within " + f"{timeout:g}s"
    if code == grpc.StatusCode.UNAVAILABLE:
        return f'timeout: failed to connect service "{target}" within {timeout:g}s: context deadline exceeded'
    return f"error: health rpc probe failed: {error.details()}"
