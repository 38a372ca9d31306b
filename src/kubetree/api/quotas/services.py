"""Services in quotas: their number, load balancers, and node ports as many as they are meant to have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.quantities import Quantity
from kubetree.api.quotas.resource_lists import ResourceList

_NAMES = frozenset({"count/services", "services", "services.nodeports", "services.loadbalancers"})

Object = Mapping[str, Any]


def usage(service: Object, now: datetime) -> ResourceList:
    spec = service.get("spec") or {}
    ports = spec.get("ports") or ()
    node_ports = balancers = 0
    if spec.get("type") == "NodePort":
        node_ports = len(ports)
    elif spec.get("type") == "LoadBalancer":
        balancers = 1
        suppressed = spec.get("allocateLoadBalancerNodePorts") is False
        node_ports = sum(1 for port in ports if port.get("nodePort")) if suppressed else len(ports)
    counts = {"count/services": 1, "services": 1, "services.nodeports": node_ports, "services.loadbalancers": balancers}
    return {name: Quantity(count) for name, count in counts.items()}


def matches_name(name: str) -> bool:
    return name in _NAMES


def handles(operation: str, subresource: str, new: Object, old: Object | None) -> bool:
    return not subresource and operation in ("CREATE", "UPDATE")
