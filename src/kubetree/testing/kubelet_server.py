"""What the API server reaches when it asks for a simulated node's kubelet: it listens on loopback, since nothing is, or something else is,
at the address that the node says it has."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

NAME = "localhost"
"""The nodes' InternalDNS address, by which the API server of the cluster under test finds their kubelet."""
_NO_PROCESS = "simulated pods run no process: nothing can be executed in them, attached to them or forwarded\n"


@asynccontextmanager
async def kubelet_server(certificate: Path, key: Path) -> AsyncIterator[int]:
    """Serves all simulated nodes; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", _logs)
    for path in ("exec", "attach", "portForward", "run"):
        app.router.add_route("*", f"/{path}/{{rest:.*}}", _nothing_runs)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _logs(_: web.Request) -> web.Response:
    """Containers that are none say nothing."""
    return web.Response(content_type="text/plain")


async def _nothing_runs(_: web.Request) -> web.Response:
    return web.Response(status=400, text=_NO_PROCESS)
