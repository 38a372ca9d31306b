"""Which UDP flows end when endpoints go."""

from __future__ import annotations

from kubetree.kernel.conntrack import Flow
from kubetree.proxy.stale_flows import udp_frontends

SERVICE = {
    "metadata": {"namespace": "default", "name": "dns"},
    "spec": {
        "clusterIP": "10.96.0.9",
        "externalIPs": ["192.0.2.50"],
        "ports": [{"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053}, {"name": "web", "port": 80, "protocol": "TCP"}],
    },
}


def slices(*endpoints: tuple[str, bool]) -> list[dict[str, object]]:
    items = [{"addresses": [a], "conditions": {"ready": False, "serving": serving, "terminating": True}} for a, serving in endpoints]
    return [{"addressType": "IPv4", "ports": [{"name": "dns", "port": 5353, "protocol": "UDP"}], "endpoints": items}]


def flow(to: str, port: int, answering: str) -> Flow:
    return Flow((to, port), (answering, 5353), b"")


def test_flows_to_endpoints_that_do_not_serve_are_stale() -> None:
    frontends = udp_frontends([(SERVICE, slices(("10.244.0.1", True), ("10.244.0.2", False)))], 4)
    for to, port in (("10.96.0.9", 53), ("192.0.2.50", 53), ("192.0.2.1", 30053)):
        assert frontends.stale(flow(to, port, "10.244.0.2"))
        assert frontends.stale(flow(to, port, to)), "a flow that no rule had redirected"
        assert not frontends.stale(flow(to, port, "10.244.0.1"))
    assert not frontends.stale(flow("10.96.0.9", 80, "10.244.0.2"))
    assert not frontends.stale(flow("10.96.0.8", 53, "10.244.0.2"))


def test_a_service_without_serving_endpoints_keeps_its_flows() -> None:
    frontends = udp_frontends([(SERVICE, slices(("10.244.0.2", False)))], 4)
    assert not frontends
    assert not frontends.stale(flow("10.96.0.9", 53, "10.244.0.2"))
