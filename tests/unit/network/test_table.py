"""Host ports and the table that holds them."""

from __future__ import annotations

from typing import Any

from kubetree.network.node_routes import Route, plan
from kubetree.network.table import HostPort, host_ports, render


def pod(ports: list[dict[str, Any]], *, ip: str = "10.244.0.5", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"ports": ports}]} | spec, "status": {"podIPs": [{"ip": ip}], "phase": phase}}


def test_host_ports_of_pods_that_run() -> None:
    web = {"containerPort": 8080, "hostPort": 80}
    dns = {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "192.0.2.1"}
    pods = [
        pod([web, dns, {"containerPort": 9090}]),
        pod([web], ip="10.244.0.6", phase="Succeeded"),
        pod([web], ip="192.0.2.1", hostNetwork=True),
    ]
    assert host_ports(pods, 4) == [HostPort("", "tcp", 80, "10.244.0.5", 8080), HostPort("192.0.2.1", "udp", 53, "10.244.0.5", 53)]
    assert host_ports(pods, 6) == []


def test_the_table_of_a_node() -> None:
    text = render([HostPort("", "tcp", 80, "10.244.0.5", 8080), HostPort("192.0.2.1", "udp", 53, "10.244.0.5", 53)], ["10.244.0.0/16"], 4)
    assert "elements = { tcp . 80 : 10.244.0.5 . 8080 };" in text
    assert "elements = { 192.0.2.1 . udp . 53 : 10.244.0.5 . 53 };" in text
    assert "elements = { 10.244.0.5 . 10.244.0.5 };" in text
    assert "ip saddr { 10.244.0.0/16 } ip daddr != { 10.244.0.0/16 } masquerade fully-random" in text
    assert "masquerade fully-random\n\t}" in render([], [], 6), "without a range only hairpins are masqueraded"


def node(name: str, cidrs: list[str], *ips: str) -> dict[str, Any]:
    addresses = [{"type": "Hostname", "address": name}, *({"type": "InternalIP", "address": ip} for ip in ips)]
    return {"metadata": {"name": name}, "spec": {"podCIDRs": cidrs}, "status": {"addresses": addresses}}


def test_routes_lead_to_every_other_nodes_pods_by_its_address_of_the_family() -> None:
    nodes = [
        node("here", ["10.244.0.0/24"], "192.0.2.1"),
        node("there", ["10.244.1.0/24", "fd00:1::/80"], "192.0.2.2", "2001:db8::2"),
        node("new", [], "192.0.2.3"),
        node("lost", ["10.244.4.0/24"]),
    ]
    assert plan(nodes, "here") == {Route("10.244.1.0/24", "192.0.2.2"), Route("fd00:1::/80", "2001:db8::2")}
