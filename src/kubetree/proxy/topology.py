"""Which endpoints a service's traffic may go to, seen from one node. Pure.

Follows pkg/proxy/topology.go: traffic policies, topology hints, and terminating endpoints as a last resort.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubetree.proxy.services import Endpoint, ServicePort


@dataclass(frozen=True, slots=True)
class Reachable:
    """`cluster` serves traffic of policy Cluster, `local` of policy Local. `any` tells "nobody anywhere" (the packet is
    rejected) from "nobody that the policy allows" (the packet is dropped)."""

    cluster: Sequence[Endpoint]
    local: Sequence[Endpoint]
    any: bool


def reachable(endpoints: Sequence[Endpoint], port: ServicePort, node: str, zone: str) -> Reachable:
    """`node` is the name of the node that the traffic passes, `zone` its topology.kubernetes.io/zone label."""
    cluster: Sequence[Endpoint] = ()
    local: Sequence[Endpoint] = ()
    if port.uses_cluster_endpoints:
        hinted = _hint_filter(endpoints, node, zone)
        cluster = [e for e in endpoints if e.ready and hinted(e)] or _draining(endpoints)
    if port.uses_local_endpoints:
        here = [e for e in endpoints if e.node == node]
        local = [e for e in here if e.ready] or _draining(here)
    usable = bool(cluster) or (port.uses_local_endpoints and any(e.ready or (e.serving and e.terminating) for e in endpoints))
    return Reachable(cluster, local, usable)


def _draining(endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
    """Endpoints that end but still serve: better than none."""
    return [e for e in endpoints if e.serving and e.terminating]


def _hint_filter(endpoints: Sequence[Endpoint], node: str, zone: str) -> Callable[[Endpoint], bool]:
    """Hints count only when every ready endpoint has them and one is for this node, or else this zone."""
    ready = [e for e in endpoints if e.ready]
    if ready and all(e.node_hints for e in ready) and any(node in e.node_hints for e in ready):
        return lambda e: node in e.node_hints
    if ready and all(e.zone_hints for e in ready) and any(zone in e.zone_hints for e in ready):
        return lambda e: zone in e.zone_hints
    return lambda e: True
