"""The proxy's HTTP ports: its own health, its metrics, and for each load-balanced service whether this node has endpoints.

Follows pkg/proxy/healthcheck: paths, bodies and status codes, which load balancers of cloud providers read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from kubetree.api.times import format_time
from kubetree.proxy.ledger import Owner
from kubetree.proxy.proxier import Proxier, Status

log = logging.getLogger("kubetree.proxy")

STALE_AFTER = 60.0
"""Seconds that a change may wait to be written before the proxy calls itself unhealthy."""


def healthy(status: Status, now: float) -> bool:
    """Whether the tables follow the API. Pure."""
    return status.synced and (status.queued_at <= status.updated_at or now - status.queued_at < STALE_AFTER)


def health_app(proxier: Proxier, clock: Callable[[], float]) -> web.Application:
    """/healthz also says no when the node is about to go, so that balancers send nothing new; /livez is about the proxy alone."""

    def answer(ok: bool, eligible: bool) -> web.Response:
        now = clock()
        body = {
            "lastUpdated": format_time(datetime.fromtimestamp(proxier.status.updated_at or now, UTC)),
            "currentTime": format_time(datetime.fromtimestamp(now, UTC)),
            "nodeEligible": eligible,
        }
        return web.json_response(body, status=200 if ok else 503, headers={"X-Content-Type-Options": "nosniff"})

    async def healthz(_: web.Request) -> web.Response:
        eligible = proxier.status.node_eligible
        return answer(healthy(proxier.status, clock()) and eligible, eligible)

    async def livez(_: web.Request) -> web.Response:
        return answer(healthy(proxier.status, clock()), proxier.status.node_eligible)

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/livez", livez)])
    return app


def metrics_app(registry: CollectorRegistry) -> web.Application:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), content_type="text/plain", charset="utf-8")

    async def ok(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def mode(_: web.Request) -> web.Response:
        return web.Response(text="nftables")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", ok), web.get("/proxyMode", mode)])
    return app


def endpoints_app(proxier: Proxier, owner: Owner, clock: Callable[[], float]) -> web.Application:
    """What a service's healthCheckNodePort answers: 200 when this node has ready endpoints of it."""

    async def health(_: web.Request) -> web.Response:
        count, well = proxier.status.local_endpoints.get(owner, 0), healthy(proxier.status, clock())
        body = {"service": {"namespace": owner[0], "name": owner[1]}, "localEndpoints": count, "serviceProxyHealthy": well}
        headers = {"X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": str(count)}
        return web.json_response(body, status=200 if count and well else 503, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", health)
    return app


async def serve(app: web.Application, address: str, port: int) -> web.AppRunner:
    """Starts to listen; the caller ends it with `cleanup()`. Raises OSError when the port is taken."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address or None, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


class HealthCheckPorts:
    """Listens on the healthCheckNodePort of every service that has one."""

    def __init__(self, proxier: Proxier, clock: Callable[[], float]) -> None:
        self._proxier, self._clock = proxier, clock
        self._wake = asyncio.Event()
        self._open: dict[int, tuple[Owner, web.AppRunner]] = {}
        proxier.on_synced = self._wake.set

    async def run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._follow(self._proxier.health_check_ports())
        finally:
            for _, runner in self._open.values():
                await runner.cleanup()

    async def _follow(self, wanted: Mapping[int, Owner]) -> None:
        for port, (owner, runner) in list(self._open.items()):
            if wanted.get(port) != owner:
                del self._open[port]
                await runner.cleanup()
        for port, owner in wanted.items():
            if port in self._open:
                continue
            try:
                runner = await serve(endpoints_app(self._proxier, owner, self._clock), "", port)
            except OSError as error:
                log.error("service %s/%s: cannot listen on its healthCheckNodePort %d: %s", *owner, port, error.strerror)
                continue
            self._open[port] = (owner, runner)
