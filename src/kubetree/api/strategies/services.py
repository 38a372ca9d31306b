"""Services: what a change of type gives up, unless the user sets it to something else at the same time."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.networking import externally_accessible
from kubetree.api.services import needs_cluster_ip, needs_health_check_node_port, needs_node_ports

Object = dict[str, Any]


def _same(new: Object, old: Object, *names: str) -> bool:
    return all((new.get(n) or None) == (old.get(n) or None) for n in names)


def _node_ports(spec: Object) -> list[int]:
    return sorted({p.get("nodePort") or 0 for p in spec.get("ports") or ()} - {0})


def _drop(spec: Object, *names: str) -> None:
    for name in names:
        spec.pop(name, None)


def service_update(obj: Object, before: Object) -> None:
    """Drops what the new type does not need and the user did not set anew; keeps what was allocated."""
    _patch_allocated(obj, before)
    new, old = obj.get("spec") or {}, before.get("spec") or {}
    if needs_cluster_ip(old) and not needs_cluster_ip(new):
        if _same(new, old, "clusterIP", "clusterIPs"):
            _drop(new, "clusterIP", "clusterIPs")
        if _same(new, old, "ipFamilies"):
            _drop(new, "ipFamilies")
        if _same(new, old, "ipFamilyPolicy"):
            _drop(new, "ipFamilyPolicy")
    if needs_node_ports(old) and not needs_node_ports(new) and _node_ports(new) == _node_ports(old):
        for port in new.get("ports") or ():
            port.pop("nodePort", None)
    if needs_health_check_node_port(old) and not needs_health_check_node_port(new) and _same(new, old, "healthCheckNodePort"):
        _drop(new, "healthCheckNodePort")
    if old.get("type") == "LoadBalancer" and new.get("type") != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if new.get(name) == old.get(name):
                _drop(new, name)
    if externally_accessible(old) and not externally_accessible(new) and _same(new, old, "externalTrafficPolicy"):
        _drop(new, "externalTrafficPolicy")
    if new.get("type") != "LoadBalancer":
        obj["status"] = {**(obj.get("status") or {}), "loadBalancer": {}}


def _patch_allocated(obj: Object, before: Object) -> None:
    """What was allocated and is left out of an update stays: clients that PUT a manifest without a clusterIP keep the service's."""
    new, old = obj.get("spec") or {}, before.get("spec") or {}
    if needs_cluster_ip(old) and needs_cluster_ip(new):
        if not new.get("clusterIP") and old.get("clusterIP"):
            new["clusterIP"] = old["clusterIP"]
        if not new.get("clusterIPs") and new.get("clusterIP") == old.get("clusterIP") and old.get("clusterIPs"):
            new["clusterIPs"] = list(old["clusterIPs"])
    if needs_node_ports(old) and needs_node_ports(new):
        allocated = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in old.get("ports") or () if p.get("nodePort")}
        taken = {(p.get("protocol"), p.get("nodePort")) for p in new.get("ports") or () if p.get("nodePort")}
        for port in new.get("ports") or ():
            number = allocated.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and number and (port.get("protocol"), number) not in taken:
                port["nodePort"] = number
    if (
        needs_health_check_node_port(old)
        and needs_health_check_node_port(new)
        and not new.get("healthCheckNodePort")
        and old.get("healthCheckNodePort")
    ):
        new["healthCheckNodePort"] = old["healthCheckNodePort"]
