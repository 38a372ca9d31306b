"""Where a pod may be, by its own words and the node's: node selector and affinity, taints and tolerations, host ports. Pure.

The scheduler, the kubelet's own admission and the controllers that evict all ask the same questions here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubetree.api.selectors import node_selector_matches

Object = Mapping[str, Any]
Taint = Mapping[str, Any]
Toleration = Mapping[str, Any]
HostPort = tuple[str, str, int]
"""(host IP, protocol, port); the IP 0.0.0.0 stands for all of a node's."""

ALL_ADDRESSES = "0.0.0.0"


def required_affinity_matches(spec: Object, node: Object) -> bool:
    """Whether a pod of this spec may be on the node, by its nodeSelector and its required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return node_selector_matches(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"), node)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether one toleration covers a taint. An empty key, which only Exists may have, covers every key; an empty effect every effect."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    key = toleration.get("key") or ""
    if key and key != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Equal":
        return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")
    return bool(operator == "Exists")


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration], effects: frozenset[str]) -> Taint | None:
    """The first taint of one of the effects that no toleration covers."""
    listed = list(tolerations)
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(toleration, taint) for toleration in listed):
            return taint
    return None


def host_ports(spec: Object) -> tuple[HostPort, ...]:
    """Every port of the node's that a pod takes: its containers' and its sidecars'."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return tuple(
        (port.get("hostIP") or ALL_ADDRESSES, port.get("protocol") or "TCP", port["hostPort"])
        for container in [*(spec.get("containers") or ()), *sidecars]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def ports_conflict(one: HostPort, other: HostPort) -> bool:
    """Whether two pods with these ports cannot be on one node."""
    return one[1:] == other[1:] and (one[0] == other[0] or ALL_ADDRESSES in (one[0], other[0]))
