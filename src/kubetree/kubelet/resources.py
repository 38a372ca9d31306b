"""From a pod's requests and limits to what the kernel is told: QoS class, cgroup paths, shares, quotas, OOM scores. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubetree.api import pod_resources
from kubetree.api.quantities import Quantity, parse_quantity
from kubetree.kubelet import specs

Object = dict[str, Any]

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
CPU_PERIOD = 100_000
_MIN_SHARES, _MAX_SHARES, _MIN_QUOTA = 2, 262_144, 1000
_ZERO = parse_quantity("0")


def _amount(resources: Object, kind: str, name: str) -> Quantity | None:
    value = (resources.get(kind) or {}).get(name)
    return None if value is None else parse_quantity(value)


def qos_class(pod: Object) -> str:
    """Guaranteed when cpu and memory limits equal requests in every container, BestEffort when nothing is asked for."""
    pod_level = pod["spec"].get("resources") or {}
    if pod_level.get("requests") or pod_level.get("limits"):
        return _classify([pod_level])
    return _classify([c.get("resources") or {} for c in (*specs.init_containers(pod), *specs.containers(pod))])


def _classify(all_resources: Iterable[Object]) -> str:
    asked = False
    guaranteed = True
    for resources in all_resources:
        for name in ("cpu", "memory"):
            request, limit = _amount(resources, "requests", name), _amount(resources, "limits", name)
            asked = asked or any(q is not None and not q.is_zero() for q in (request, limit))
            if limit is None or limit.is_zero() or (request is not None and request != limit):
                guaranteed = False
    if not asked:
        return BEST_EFFORT
    return GUARANTEED if guaranteed else BURSTABLE


def pod_total(pod: Object, kind: str, name: str) -> Quantity:
    """What a pod asks for (`kind` requests) or may use (limits) of one resource in all, overhead included."""
    total = pod_resources.pod_requests(pod) if kind == "requests" else pod_resources.pod_limits(pod)
    return total.get(name, _ZERO)


def every_container_has(pod: Object, kind: str, name: str) -> bool:
    if _amount(pod["spec"].get("resources") or {}, kind, name) is not None:
        return True
    everyone = [*specs.containers(pod), *(c for c in specs.init_containers(pod))]
    return all(_amount(c.get("resources") or {}, kind, name) for c in everyone)


def cpu_shares(milli: int) -> int:
    return max(_MIN_SHARES, min(_MAX_SHARES, milli * 1024 // 1000))


def cpu_quota(milli: int) -> int:
    """Microseconds per period; 0 means no limit."""
    return max(_MIN_QUOTA, milli * CPU_PERIOD // 1000) if milli else 0


def weight_from_shares(shares: int) -> int:
    """cgroup v2's cpu.weight for a v1 cpu.shares."""
    return 1 + (shares - 2) * 9999 // 262_142


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """For one cgroup; 0 is unlimited."""

    cpu_shares: int
    cpu_quota: int = 0
    memory_limit: int = 0


def widest(a: CgroupLimits, b: CgroupLimits) -> CgroupLimits:
    """Room for either: what a pod's cgroup has while its containers change."""

    def wider(x: int, y: int) -> int:
        return max(x, y) if x and y else 0

    return CgroupLimits(max(a.cpu_shares, b.cpu_shares), wider(a.cpu_quota, b.cpu_quota), wider(a.memory_limit, b.memory_limit))


def pod_limits(pod: Object) -> CgroupLimits:
    """Limits of the pod's own cgroup: only where every container has one, as the pod is unlimited otherwise."""
    qos = qos_class(pod)
    if qos == BEST_EFFORT:
        return CgroupLimits(_MIN_SHARES)
    cpu = pod_total(pod, "limits", "cpu").milli() if every_container_has(pod, "limits", "cpu") else 0
    memory = pod_total(pod, "limits", "memory").value() if every_container_has(pod, "limits", "memory") else 0
    return CgroupLimits(cpu_shares(pod_total(pod, "requests", "cpu").milli()), cpu_quota(cpu), memory)


def pod_cgroup(cgroup_root: str, pod: Object) -> str:
    """`/kubepods/burstable/pod<uid>`; a Guaranteed pod is directly below kubepods."""
    return "/".join([qos_cgroup(cgroup_root, qos_class(pod)), f"pod{specs.uid(pod)}"])


def qos_cgroup(cgroup_root: str, qos: str) -> str:
    base = f"{cgroup_root.rstrip('/')}/kubepods"
    return base if qos == GUARANTEED else f"{base}/{qos.lower()}"


def oom_score_adj(pod: Object, container: Object, memory_capacity: int) -> int:
    """-997 for Guaranteed and node-critical pods, 1000 for BestEffort, in between by how much of the node's memory is requested."""
    if (pod["spec"].get("priority") or 0) >= 2_000_000_000:
        return -997
    qos = qos_class(pod)
    if qos == GUARANTEED:
        return -997
    if qos == BEST_EFFORT:
        return 1000
    request = _amount(container.get("resources") or {}, "requests", "memory") or _ZERO
    score = 1000 - 1000 * request.value() // max(memory_capacity, 1)
    return max(3, min(999, score))


def linux_resources(pod: Object, container: Object, *, memory_capacity: int, cgroup_v2: bool) -> Object:
    """CRI's LinuxContainerResources."""
    resources = container.get("resources") or {}
    cpu_limit = _amount(resources, "limits", "cpu") or _ZERO
    cpu_request = _amount(resources, "requests", "cpu")
    memory_limit = _amount(resources, "limits", "memory") or _ZERO
    shares_from = cpu_limit if cpu_request is None and not cpu_limit.is_zero() else cpu_request or _ZERO
    result: Object = {
        "cpu_shares": cpu_shares(shares_from.milli()),
        "memory_limit_in_bytes": memory_limit.value(),
        "oom_score_adj": oom_score_adj(pod, container, memory_capacity),
    }
    if quota := cpu_quota(cpu_limit.milli()):
        result |= {"cpu_quota": quota, "cpu_period": CPU_PERIOD}
    if cgroup_v2:
        result["unified"] = {"memory.oom.group": "1"}
    hugepages = [
        {"page_size": name.removeprefix("hugepages-") + "B", "limit": parse_quantity(value).value()}
        for name, value in (resources.get("limits") or {}).items()
        if name.startswith("hugepages-")
    ]
    if hugepages:
        result["hugepage_limits"] = hugepages
    return result
