"""Which UDP flows must end because their endpoint is gone: connection tracking would keep sending a client there as long as it talks.

Follows pkg/proxy/conntrack: a flow to a service's address goes when it does not lead to a serving endpoint of the service. TCP
needs nothing: its connections end by themselves. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from kubetree.kernel.conntrack import Address, Flow
from kubetree.proxy.services import endpoints, proxied, service_ports

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UdpFrontends:
    """The serving endpoints behind each (virtual IP, port) and each NodePort. A frontend without endpoints is left out: its
    flows are left alone, as upstream does."""

    addresses: Mapping[Address, Set[Address]]
    node_ports: Mapping[int, Set[Address]]

    def stale(self, flow: Flow) -> bool:
        serving = self.addresses.get(flow.destination)
        if serving is None:
            serving = self.node_ports.get(flow.destination[1])
        return serving is not None and flow.answering not in serving

    def __bool__(self) -> bool:
        return bool(self.addresses or self.node_ports)


def udp_frontends(services: Iterable[tuple[Object, Sequence[Object]]], version: int) -> UdpFrontends:
    """The frontends of (service, its slices) pairs in IP `version`."""
    addresses: dict[Address, Set[Address]] = {}
    node_ports: dict[int, Set[Address]] = {}
    for service, slices in services:
        if not proxied(service):
            continue
        for port in service_ports(service, version):
            if port.protocol != "UDP":
                continue
            serving = frozenset((e.address, e.port) for e in endpoints(slices, port.name, "UDP", version) if e.serving)
            if not serving:
                continue
            for ip in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
                addresses[ip, port.port] = serving
            if port.node_port:
                node_ports[port.node_port] = serving
    return UdpFrontends(addresses, node_ports)
