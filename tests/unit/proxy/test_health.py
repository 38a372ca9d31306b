"""What load balancers and people ask the proxy over HTTP."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import pytest

from kubetree.proxy.health import HealthCheckPorts, endpoints_app, health_app, healthy, metrics_app, serve
from kubetree.proxy.metrics import Metrics
from kubetree.proxy.proxier import Status, addresses_in, families_of
from kubetree.proxy.table import IPV4, IPV6, Settings


class FakeProxier:
    def __init__(self) -> None:
        self.status = Status(synced=True, updated_at=1000.0)
        self.ports: dict[int, tuple[str, str]] = {}
        self.on_synced: Any = None

    def health_check_ports(self) -> dict[int, tuple[str, str]]:
        return self.ports


async def get(url: str) -> tuple[int, Any, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        body = await (response.json() if response.content_type == "application/json" else response.text())
        return response.status, body, response.headers


def clock() -> float:
    return 1010.0


def test_a_proxy_is_healthy_while_no_change_waits_too_long() -> None:
    assert not healthy(Status(), 0)
    assert healthy(Status(synced=True, queued_at=5, updated_at=6), 1000)
    assert healthy(Status(synced=True, queued_at=990, updated_at=6), 1000)
    assert not healthy(Status(synced=True, queued_at=900, updated_at=6), 1000)


async def test_a_node_about_to_go_is_not_healthy_but_alive() -> None:
    proxier = FakeProxier()
    runner = await serve(health_app(proxier, clock), "127.0.0.1", 0)  # type: ignore[arg-type]
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        status, body, _ = await get(f"{base}/healthz")
        assert (status, body["nodeEligible"], body["lastUpdated"]) == (200, True, "1970-01-01T00:16:40Z")
        proxier.status.node_eligible = False
        assert (await get(f"{base}/healthz"))[0] == 503
        assert (await get(f"{base}/livez"))[0] == 200
    finally:
        await runner.cleanup()


async def test_a_services_health_check_port_tells_whether_this_node_has_endpoints() -> None:
    proxier = FakeProxier()
    owner = ("default", "web")
    runner = await serve(endpoints_app(proxier, owner, clock), "127.0.0.1", 0)  # type: ignore[arg-type]
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        assert (await get(f"{base}/healthz"))[0] == 503
        proxier.status.local_endpoints = {owner: 2}
        status, body, headers = await get(f"{base}/anything")
        assert status == 200
        assert body == {"service": {"namespace": "default", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": True}
        assert headers["X-Load-Balancing-Endpoint-Weight"] == "2"
    finally:
        await runner.cleanup()


async def test_health_check_ports_open_and_close_with_their_services(caplog: pytest.LogCaptureFixture) -> None:
    proxier = FakeProxier()
    ports = HealthCheckPorts(proxier, clock)  # type: ignore[arg-type]
    with socket.create_server(("", 0)) as taken, socket.create_server(("", 0)) as probe:
        free = probe.getsockname()[1]
        probe.close()
        await ports._follow({free: ("default", "a"), taken.getsockname()[1]: ("default", "b")})
        assert "service default/b: cannot listen" in caplog.text
        assert (await get(f"http://127.0.0.1:{free}/"))[0] == 503
        await ports._follow({})
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(f"http://127.0.0.1:{free}/")


async def test_metrics_and_mode() -> None:
    metrics = Metrics()
    metrics.full_syncs.inc()
    runner = await serve(metrics_app(metrics.registry), "127.0.0.1", 0)
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        assert "kubeproxy_sync_full_proxy_rules_total 1.0" in (await get(f"{base}/metrics"))[1]
        assert (await get(f"{base}/proxyMode"))[1] == "nftables"
    finally:
        await runner.cleanup()


def test_which_addresses_and_families() -> None:
    assert addresses_in(["192.0.2.1", "10.0.0.1", "2001:db8::1"], ["192.0.2.0/24", "2001:db8::/32"]) == ["192.0.2.1", "2001:db8::1"]
    assert families_of(Settings()) == [IPV4]
    assert families_of(Settings(("10.244.0.0/16", "fd00::/64"))) == [IPV4, IPV6]
    assert families_of(Settings((), ("fd00::/112",))) == [IPV6]
