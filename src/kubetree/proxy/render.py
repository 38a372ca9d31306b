"""From a service and its slices to elements of the table's maps. Pure: no I/O, no clock, no state.

A service's elements depend on that service, its slices and the node alone, so a change renders one service anew.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubetree.proxy.services import Endpoint, ServicePort, endpoints, proxied, service_ports
from kubetree.proxy.table import Chain, Family, Settings, pick, slot_text, split
from kubetree.proxy.topology import Reachable, reachable

Object = dict[str, Any]
Key = tuple[str, str]
"""The set or map, and the element's key in it, as nft(8) writes it."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node that the proxy runs on. `node_port_ips` are the addresses of the family that answer on NodePorts."""

    name: str
    zone: str = ""
    ips: tuple[str, ...] = ()
    node_port_ips: tuple[str, ...] = ()


@dataclass(slots=True)
class Tables:
    """Elements by set or map and key, with their values ("" in sets), and the chains that the values point to."""

    elements: dict[Key, str] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)

    def goto(self, table: str, key: str, chain: Chain) -> None:
        self.chains[chain.name] = chain
        self.elements[table, key] = f"goto {chain.name}"


def render(services: Iterable[Object], slices: Iterable[Object], node: Node, family: Family, settings: Settings) -> Tables:
    """All services at once, as the golden files show them."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for slice_ in slices:
        name = (slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        by_service.setdefault((slice_["metadata"].get("namespace", ""), name), []).append(slice_)
    tables = render_node(node)
    for service in services:
        metadata = service["metadata"]
        own = render_service(service, by_service.get((metadata.get("namespace", ""), metadata["name"]), ()), node, family, settings)
        tables.elements.update(own.elements)
        tables.chains.update(own.chains)
    return tables


def render_node(node: Node) -> Tables:
    """What the node itself adds: the addresses of NodePorts."""
    return Tables({("node-port-ips", ip): "" for ip in node.node_port_ips})


def render_service(service: Object, slices: Sequence[Object], node: Node, family: Family, settings: Settings) -> Tables:
    """One service's elements in one family; none when it is not kube-proxy's."""
    tables = Tables()
    if not proxied(service):
        return tables
    for port in service_ports(service, family.version):
        found = endpoints(slices, port.name, port.protocol, family.version)
        _Frontends(tables, port, reachable(found, port, node.name, node.zone), node, family, settings).add()
        for endpoint in found:
            if endpoint.node in ("", node.name):
                tables.elements["hairpin", f"{endpoint.address} . {endpoint.address}"] = ""
    return tables


@dataclass(frozen=True, slots=True)
class _Frontends:
    """Writes one service port's frontends: its cluster IP, its external IPs and its NodePort."""

    tables: Tables
    port: ServicePort
    reachable: Reachable
    node: Node
    family: Family
    settings: Settings

    def add(self) -> None:
        port = self.port
        transport = port.protocol.lower()
        self.tables.elements["cluster-ips", port.cluster_ip] = ""
        self._cluster_ip(f"{port.cluster_ip} . {transport} . {port.port}")
        for ip in (*port.external_ips, *port.load_balancer_ips):
            self._external("ip", f"{ip} . {transport} . {port.port}", "services", "unavailable", "masquerade-ips")
        if port.node_port:
            self._external("port", f"{transport} . {port.node_port}", "node-ports", "unavailable-node-ports", "masquerade-node-ports")
        if port.source_ranges:
            for ip in port.load_balancer_ips:
                self._firewall(ip, f"{ip} . {transport} . {port.port}")

    def _cluster_ip(self, key: str) -> None:
        chosen = self.reachable.local if self.port.internal_local else self.reachable.cluster
        if chain := self._pick("ip", key, chosen):
            self.tables.goto("services", key, chain)
        else:
            self._unavailable("unavailable", key)

    def _external(self, scope: str, key: str, verdicts: str, unavailable: str, masquerade: str) -> None:
        """A frontend that the outside reaches too, under externalTrafficPolicy."""
        found = self.reachable
        if not self.port.external_local:
            if chain := self._pick(scope, key, found.cluster):
                self.tables.goto(verdicts, key, chain)
                self.tables.elements[masquerade, key] = "goto masquerade-always"
            else:
                self._unavailable(unavailable, key)
            return
        if found.any:
            inside = self._pick(scope, key, found.cluster)
            outside = self._pick(f"{scope}-local", key, found.local)
            for chain in (inside, outside):
                if chain:
                    self.tables.chains[chain.name] = chain
            self.tables.goto(verdicts, key, split(self.family, self.settings, inside, outside))
            self.tables.elements[masquerade, key] = "goto masquerade-node"
        if not found.local:
            self._unavailable(unavailable, key)

    def _unavailable(self, table: str, key: str) -> None:
        """Nobody anywhere: the client is told at once. Nobody that the traffic policy allows: silence, as upstream."""
        self.tables.elements[table, key] = "drop" if self.reachable.any else "goto refuse"

    def _pick(self, scope: str, key: str, chosen: Sequence[Endpoint]) -> Chain | None:
        if not chosen:
            return None
        elements = self.tables.elements
        if not self.port.affinity_timeout:
            for slot, endpoint in enumerate(chosen):
                elements[f"{scope}-endpoints", f"{key} . {slot_text(slot)}"] = f"{endpoint.address} . {endpoint.port}"
        else:
            for slot, (number, endpoint) in enumerate(_numbered(chosen)):
                elements[f"{scope}-slots", f"{key} . {slot_text(slot)}"] = number
                elements[f"{scope}-numbers", f"{key} . {number}"] = f"{endpoint.address} . {endpoint.port}"
        return pick(self.family, scope, len(chosen), self.port.affinity_timeout)

    def _firewall(self, ip: str, key: str) -> None:
        """loadBalancerSourceRanges. A node in a range may also come from the balancer's address, which it may have itself."""
        ranges = [ipaddress.ip_network(r) for r in self.port.source_ranges]
        if any(ipaddress.ip_address(own) in r for own in self.node.ips for r in ranges):
            ranges.append(ipaddress.ip_network(ip))
        self.tables.elements["firewalled", key] = ""
        for network in _collapsed(ranges):
            self.tables.elements["allowed-sources", f"{key} . {network}"] = ""


def _collapsed(networks: Iterable[Any]) -> Iterator[str]:
    """Ranges that do not overlap, which interval sets ask for; a single address without its prefix length."""
    for network in ipaddress.collapse_addresses(networks):
        yield str(network.network_address) if network.num_addresses == 1 else str(network)


def _numbered(chosen: Sequence[Endpoint]) -> Iterator[tuple[str, Endpoint]]:
    """Each endpoint with a number that stays its own while others come and go, and over restarts of the proxy."""
    taken = {0, 0xFFFFFFFF}
    for endpoint in chosen:
        number = zlib.crc32(f"{endpoint.address} {endpoint.port}".encode())
        while number in taken:
            number = (number + 1) & 0xFFFFFFFF
        taken.add(number)
        yield slot_text(number), endpoint
