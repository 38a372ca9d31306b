"""How this node reaches the pods of the others: which route leads to which node's pod range. Pure, but for `NodeRoutes`.

Nodes that share a link need no tunnel: the other node is the gateway (host-gw). A node behind routers needs an overlay; a route's
`link` is where its device goes, and everything else about a route stays the same.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubetree.kernel.routes import RouteError, own_routes, remove_route, replace_route

log = logging.getLogger("kubetree.network")
Object = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """Packets to `destination` go to `gateway`. `link` is "" where the kernel finds the link by the gateway."""

    destination: str
    gateway: str
    link: str = ""


def pod_cidrs(node: Object) -> list[str]:
    spec = node.get("spec", {})
    found: list[str] = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return found


def internal_ips(node: Object) -> list[str]:
    return [a["address"] for a in node.get("status", {}).get("addresses") or () if a["type"] == "InternalIP"]


def plan(nodes: Iterable[Object], own_name: str) -> set[Route]:
    """The routes that `own_name` needs: one for each pod range of each other node, by its address of the same family."""
    routes = set()
    for node in nodes:
        if node["metadata"]["name"] == own_name:
            continue
        gateways = {ipaddress.ip_address(ip).version: ip for ip in reversed(internal_ips(node))}
        for cidr in pod_cidrs(node):
            gateway = gateways.get(ipaddress.ip_network(cidr).version)
            if gateway:
                routes.add(Route(cidr, gateway))
    return routes


class NodeRoutes:
    """Keeps the kernel's routes to other nodes equal to a plan. Knows its own routes by their protocol number, also after a
    restart. Blocks for a moment."""

    def __init__(self) -> None:
        self._refused: set[Route] = set()
        self._made: set[Route] | None = None

    def follow(self, wanted: set[Route]) -> None:
        if wanted == self._made and not self._refused:
            return
        present = {Route(destination, gateway) for destination, gateway in own_routes()}
        for route in sorted(present - wanted):
            if not any(route.destination == other.destination for other in wanted):
                remove_route(route.destination)
        refused = set()
        for route in sorted(wanted - present):
            try:
                replace_route(route.destination, route.gateway)
            except RouteError as error:
                refused.add(route)
                if route not in self._refused:
                    log.error("no way to the pods in %s: node %s is not on a link of ours (%s)", route.destination, route.gateway, error)
        self._refused, self._made = refused, wanted
