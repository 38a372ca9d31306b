"""Changing a running pod's resources in place: what is allocated, what has been carried out, and what is left to do. Pure.

The spec says what is wanted; the kubelet allocates it when the node has room, then brings each running container there. Follows
pkg/kubelet/allocation and computePodResizeAction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kubetree.api.quantities import parse_quantity
from kubetree.kubelet import admission, resources, specs
from kubetree.kubelet.lifecycle import Kill
from kubetree.kubelet.runtime_state import PodRuntime, State

Object = dict[str, Any]
Allocation = Mapping[str, Object]
"""v1.ResourceRequirements by container name."""

DEFERRED, INFEASIBLE = "Deferred", "Infeasible"
PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
CONDITIONS = (PENDING, IN_PROGRESS)
_FIELDS = ("cpu_shares", "cpu_quota", "memory_limit_in_bytes")


def resizable_containers(pod: Object) -> list[Object]:
    return [*specs.init_containers(pod), *specs.containers(pod)]


def wanted(pod: Object) -> dict[str, Object]:
    """What the spec asks for."""
    return {c["name"]: c.get("resources") or {} for c in resizable_containers(pod)}


def remembered(pod: Object) -> dict[str, Object]:
    """What an earlier kubelet had allocated, as the pod's status tells; the spec's where it tells nothing."""
    known = wanted(pod)
    status = pod.get("status") or {}
    for entry in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        if entry["name"] in known and "running" in (entry.get("state") or {}) and "resources" in entry:
            shown = dict(entry["resources"] or {})
            if entry.get("allocatedResources"):
                shown["requests"] = entry["allocatedResources"]
            known[entry["name"]] = shown
    return known


def with_allocation(pod: Object, allocation: Allocation) -> Object:
    """The pod with the resources that it has been allocated instead of those it wants."""
    if all(allocation.get(c["name"], c.get("resources") or {}) == (c.get("resources") or {}) for c in resizable_containers(pod)):
        return pod

    def replaced(containers: Sequence[Object]) -> list[Object]:
        return [{**c, "resources": allocation.get(c["name"], c.get("resources") or {})} for c in containers]

    spec = {**pod["spec"], "containers": replaced(specs.containers(pod))}
    if specs.init_containers(pod):
        spec["initContainers"] = replaced(specs.init_containers(pod))
    return {**pod, "spec": spec}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a resize waits (DEFERRED) or never happens (INFEASIBLE)."""

    reason: str
    message: str


def refusal(pod: Object, others: Sequence[Object], allocatable: Mapping[str, str]) -> Refusal | None:
    """Whether the node has room for the pod as it wants to be."""
    if specs.is_static(pod):
        return Refusal(INFEASIBLE, "In-place resize of static-pods is not supported")
    for name in ("cpu", "memory"):
        have = parse_quantity(allocatable.get(name, "0"))
        total = resources.pod_total(pod, "requests", name)
        amount, capacity = (total.milli(), have.milli()) if name == "cpu" else (total.value(), have.value())
        if amount > capacity:
            return Refusal(INFEASIBLE, f"Node didn't have enough capacity: {name}, requested: {amount}, capacity: {capacity}")
    refused = admission.room(pod, others, allocatable)
    return Refusal(DEFERRED, refused[1]) if refused else None


@dataclass(frozen=True, slots=True)
class Update:
    """A running container whose cgroup is to be changed; `linux` is CRI's LinuxContainerResources."""

    id: str
    container: str
    linux: Object


@dataclass(frozen=True, slots=True)
class ResizePlan:
    """`settled` are containers that need nothing but a note: their figures are the same."""

    updates: tuple[Update, ...] = ()
    restarts: tuple[Kill, ...] = ()
    settled: tuple[str, ...] = ()


def plan(pod: Object, runtime: PodRuntime, actuated: Allocation) -> ResizePlan:
    """From the allocated `pod` and what running containers have (by container id; unknown ones have what they should)."""
    updates: list[Update] = []
    restarts: list[Kill] = []
    settled: list[str] = []
    for container in resizable_containers(pod):
        record = runtime.latest(container["name"])
        if record is None or record.state is not State.RUNNING:
            continue
        target, current = container.get("resources") or {}, actuated.get(record.id)
        if current is None or current == target:
            continue
        before, after = _linux(pod, container, current), _linux(pod, container, target)
        changed = [field for field in _FIELDS if before.get(field, 0) != after.get(field, 0)]
        if not changed:
            settled.append(record.id)
        elif _must_restart(container, changed):
            restarts.append(Kill(record.id, container["name"], f"Container {container['name']} resize requires restart"))
        else:
            updates.append(Update(record.id, container["name"], _change(before, after)))
    grows = {u.id: u.linux["memory_limit_in_bytes"] for u in updates}
    return ResizePlan(tuple(sorted(updates, key=lambda u: grows[u.id])), tuple(restarts), tuple(settled))


def _linux(pod: Object, container: Object, requirements: Object) -> Object:
    return resources.linux_resources(pod, {**container, "resources": requirements}, memory_capacity=1, cgroup_v2=False)


def _change(before: Object, after: Object) -> Object:
    """What the runtime is told: a limit that was taken away is -1, since 0 means no change."""
    linux: Object = {"cpu_shares": after["cpu_shares"], "cpu_period": resources.CPU_PERIOD}
    for field in ("cpu_quota", "memory_limit_in_bytes"):
        value = after.get(field, 0)
        linux[field] = value if value or not before.get(field, 0) else -1
    return linux


def _must_restart(container: Object, changed: Sequence[str]) -> bool:
    policies = {p["resourceName"]: p["restartPolicy"] for p in container.get("resizePolicy") or ()}
    touched = {"memory" if field == "memory_limit_in_bytes" else "cpu" for field in changed}
    return any(policies.get(name) == "RestartContainer" for name in touched)


def summary(pod: Object, error: str = "") -> str:
    """The JSON that upstream's events about resizes carry."""

    def entries(containers: Sequence[Object]) -> list[Object]:
        return [{"name": c["name"], "resources": c.get("resources") or {}} for c in containers]

    told: Object = {}
    if specs.init_containers(pod):
        told["initContainers"] = entries(specs.init_containers(pod))
    told |= {"containers": entries(specs.containers(pod)), "generation": specs.generation(pod)}
    if error:
        told["error"] = error
    return orjson.dumps(told).decode()
