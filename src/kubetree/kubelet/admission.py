"""Whether a pod fits on this node: the last word after the scheduler's, worded as upstream's predicates. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubetree.api.placement import host_ports, ports_conflict, required_affinity_matches, untolerated
from kubetree.api.quantities import parse_quantity
from kubetree.kubelet import resources, specs

Object = dict[str, Any]
Refusal = tuple[str, str]
"""Reason and message."""

CRITICAL = 2_000_000_000
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""Kernel settings of a pod's own namespaces that cannot harm its neighbours."""


def admit(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str], node: Object | None) -> Refusal | None:
    """None, or why the pod is refused. `others` are the pods that use the node now; `node` is None without an API server."""
    if refusal := _sysctls(pod):
        return refusal
    if specs.is_static(pod) and (pod["spec"].get("priority") or 0) >= CRITICAL:
        return None
    return room(pod, others, allocatable) or _selector(pod, node) or _ports(pod, others) or _taints(pod, node)


def _sysctls(pod: Object) -> Refusal | None:
    for entry in (pod["spec"].get("securityContext") or {}).get("sysctls") or ():
        name = entry["name"].replace("/", ".")
        own_ipc, own_network = not pod["spec"].get("hostIPC"), not specs.is_host_network(pod)
        if name not in SAFE_SYSCTLS:
            return "SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted'
        if (name.startswith("net.") and not own_network) or (name.startswith("kernel.") and not own_ipc):
            return "SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host net or IPC enabled'
    return None


def room(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str]) -> Refusal | None:
    """Whether the pod's requests fit beside those of the others."""
    limit = int(parse_quantity(allocatable.get("pods", "110")).value())
    if len(others) + 1 > limit:
        return _insufficient("pods", 1, len(others), limit)
    names = ["cpu", "memory", "ephemeral-storage", *_extended(pod)]
    for name in names:
        requested = _units(pod, name)
        if not requested:
            continue
        have = parse_quantity(allocatable.get(name, "0"))
        capacity = have.milli() if name == "cpu" else have.value()
        used = sum(_units(other, name) for other in others)
        if used + requested > capacity:
            return _insufficient(name, requested, used, capacity)
    return None


def _extended(pod: Object) -> list[str]:
    """Resources beyond cpu, memory and storage that the pod asks for, such as hugepages-2Mi or example.com/gpu."""
    found = {name for c in specs.every_container(pod) for name in ((c.get("resources") or {}).get("requests") or {})}
    return sorted(found - {"cpu", "memory", "ephemeral-storage"})


def _units(pod: Object, name: str) -> int:
    total = resources.pod_total(pod, "requests", name)
    return total.milli() if name == "cpu" else total.value()


def _insufficient(name: str, requested: int, used: int, capacity: int) -> Refusal:
    return f"OutOf{name}", f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"


def _selector(pod: Object, node: Object | None) -> Refusal | None:
    if node is None or specs.is_static(pod) or required_affinity_matches(pod["spec"], node):
        return None
    return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


def _ports(pod: Object, others: Sequence[Object]) -> Refusal | None:
    wanted = host_ports(pod["spec"])
    taken = [port for other in others for port in host_ports(other["spec"])] if wanted else ()
    if any(ports_conflict(one, other) for one in wanted for other in taken):
        return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    return None


def _taints(pod: Object, node: Object | None) -> Refusal | None:
    """Only NoExecute counts here: the scheduler's word on NoSchedule stands for pods that were bound before the taint."""
    if node is None or specs.is_static(pod):
        return None
    taint = untolerated(node["spec"].get("taints") or (), pod["spec"].get("tolerations") or (), frozenset({"NoExecute"}))
    if taint is None:
        return None
    text = f"{{{taint['key']}: {taint.get('value', '')}}}"
    return "TaintToleration", f"Predicate TaintToleration failed: node(s) had untolerated taint {text}"
