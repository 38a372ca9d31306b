"""The small HTTPS endpoint that a component has beside its work: /healthz, /livez, /readyz for anyone, /metrics for who may.

As upstream's, with its default --authorization-always-allow-paths; the certificate is self-signed unless files are given.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from kubetree.client.delegated import Delegated
from kubetree.client.self_signed import self_signed

Check = Callable[[], str]
"""Empty when all is well, else what is wrong."""
OPEN_PATHS = ("/healthz", "/livez", "/readyz")
_PROCESS = CollectorRegistry()
"""What /metrics of every component says of its process: memory, CPU, files."""
ProcessCollector(registry=_PROCESS)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a component serves, and with what. Port 0 serves nothing, as upstream."""

    address: str
    port: int
    cert_file: str = ""
    key_file: str = ""


def add_arguments(parser: argparse.ArgumentParser, port: int) -> None:
    """Upstream's serving flags."""
    parser.add_argument("--bind-address", default="0.0.0.0", help="the address to serve on")
    parser.add_argument("--secure-port", type=int, default=port, help="the port to serve HTTPS on; 0: none")
    parser.add_argument("--tls-cert-file", default="", help="certificate to serve with; self-signed unless given")
    parser.add_argument("--tls-private-key-file", default="")


def endpoint(options: argparse.Namespace) -> Endpoint:
    return Endpoint(options.bind_address, options.secure_port, options.tls_cert_file, options.tls_private_key_file)


@asynccontextmanager
async def serving(
    where: Endpoint, checks: Mapping[str, Check], metrics: Callable[[], bytes], delegated: Delegated | None
) -> AsyncIterator[int]:
    """Serves while the block runs; gives the port. `delegated` None leaves /metrics closed to everyone."""
    if where.port == 0:
        yield 0
        return
    server = web.Server(_Handler(checks, metrics, delegated).handle, access_log=None)
    context = await asyncio.to_thread(_tls, where)
    listening = await asyncio.get_running_loop().create_server(server, where.address, where.port, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await server.shutdown(1)


class _Handler:
    def __init__(self, checks: Mapping[str, Check], metrics: Callable[[], bytes], delegated: Delegated | None) -> None:
        self._checks, self._metrics, self._delegated = checks, metrics, delegated

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="Method Not Allowed\n")
        base, _, name = request.path[1:].partition("/")
        if f"/{base}" in OPEN_PATHS:
            return self._health(base, name, "verbose" in request.query)
        if request.path != "/metrics":
            return web.Response(status=404, text="404 page not found\n")
        if (refused := await self._refused(request)) is not None:
            return refused
        return web.Response(
            body=self._metrics() + generate_latest(_PROCESS), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    def _health(self, base: str, name: str, verbose: bool) -> web.Response:
        if name and name not in self._checks:
            return web.Response(status=404, text="404 page not found\n")
        chosen = {name: self._checks[name]} if name else self._checks
        wrong = {each: reason for each, check in chosen.items() if (reason := check())}
        if not wrong and not verbose:
            return web.Response(text="ok")
        lines = [f"[-]{each} failed: {wrong[each]}" if each in wrong else f"[+]{each} ok" for each in chosen]
        lines.append(f"{base} check {'failed' if wrong else 'passed'}")
        return web.Response(status=500 if wrong else 200, text="\n".join(lines) + "\n")

    async def _refused(self, request: web.BaseRequest) -> web.Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        caller = await self._delegated.caller(token) if self._delegated is not None and scheme.lower() == "bearer" and token else None
        if caller is None or self._delegated is None:
            return web.Response(status=401, text="Unauthorized\n")
        if not await self._delegated.allowed(caller, path=request.path):
            return web.Response(status=403, text=f'Forbidden: user "{caller.name}" cannot get path "{request.path}"\n')
        return None


def _tls(where: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if where.cert_file:
        context.load_cert_chain(where.cert_file, where.key_file or None)
        return context
    with tempfile.TemporaryDirectory(prefix="kubetree-") as folder:
        pair = Path(folder) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(self_signed("localhost", (), datetime.now(UTC))))
        context.load_cert_chain(pair)
    return context
