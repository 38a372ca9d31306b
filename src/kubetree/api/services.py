"""What a Service's spec asks for, by its type: one answer for strategies, validation and the allocators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Spec = Mapping[str, Any]


def needs_cluster_ip(spec: Spec) -> bool:
    """Also of headless Services, whose cluster IP is "None"."""
    return spec.get("type") != "ExternalName"


def needs_node_ports(spec: Spec) -> bool:
    """Whether node ports are given to ports that name none."""
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_check_node_port(spec: Spec) -> bool:
    """Load balancers ask it which nodes have endpoints of their own."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
