"""What a pod asks for and may use in all: the sum over its containers as the scheduler, quotas and limit ranges count it. Pure.

Follows component-helpers/resource/helpers.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubetree.api.quantities import Quantity, parse_quantity

ResourceList = dict[str, Quantity]
Object = Mapping[str, Any]

_POD_LEVEL = ("cpu", "memory")


def resource_list(stated: Mapping[str, Any] | None) -> ResourceList:
    """A map of resource names to quantities as the API has it, parsed. Raises ValueError."""
    return {name: parse_quantity(value) for name, value in (stated or {}).items()}


def container_resources(container: Object, field: str) -> ResourceList:
    """`field` is requests or limits."""
    return resource_list((container.get("resources") or {}).get(field))


def pod_level_supported(name: str) -> bool:
    """Whether spec.resources may set it for the whole pod."""
    return name in _POD_LEVEL or name.startswith("hugepages-")


def has_pod_level_resources(spec: Object) -> bool:
    """Whether the pod asks for something as a whole."""
    stated = spec.get("resources") or {}
    return any(pod_level_supported(name) for field in ("requests", "limits") for name in stated.get(field) or ())


def pod_requests(pod: Object, *, overhead: bool = True, use_status: bool = False) -> ResourceList:
    """Requests of containers and sidecars together, or of the init phase where that asks for more. `use_status` counts what a
    container that is being resized holds."""
    return _total(pod, "requests", overhead=overhead, use_status=use_status)


def pod_limits(pod: Object, *, overhead: bool = True, use_status: bool = False) -> ResourceList:
    """As `pod_requests`, for limits."""
    return _total(pod, "limits", overhead=overhead, use_status=use_status)


def is_best_effort(pod: Object) -> bool:
    """status.qosClass where it is set, else what it will be: no container asks for or limits cpu or memory."""
    stated = (pod.get("status") or {}).get("qosClass")
    if stated:
        return bool(stated == "BestEffort")
    spec = pod.get("spec") or {}
    stated_by = [spec] if spec.get("resources") else [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return not any(
        name in _POD_LEVEL and not quantity.is_zero()
        for holder in stated_by
        for field in ("requests", "limits")
        for name, quantity in container_resources(holder, field).items()
    )


def _total(pod: Object, field: str, *, overhead: bool, use_status: bool) -> ResourceList:
    spec = pod.get("spec") or {}
    held = _held(pod, field) if use_status else {}
    total: ResourceList = {}
    for container in spec.get("containers") or ():
        add_to(total, _container(container, field, held))
    sidecars: ResourceList = {}
    init: ResourceList = {}
    for container in spec.get("initContainers") or ():
        wanted = _container(container, field, held)
        if container.get("restartPolicy") == "Always":
            add_to(total, wanted)
            add_to(sidecars, wanted)
            raise_to(init, sidecars)
        else:
            phase = dict(sidecars)
            add_to(phase, wanted)
            raise_to(init, phase)
    raise_to(total, init)
    for name, quantity in resource_list((spec.get("resources") or {}).get(field)).items():
        if pod_level_supported(name):
            total[name] = quantity
    if overhead:
        extra = resource_list(spec.get("overhead"))
        add_to(total, extra if field == "requests" else {name: q for name, q in extra.items() if name in total})
    return total


def _container(container: Object, field: str, held: Mapping[str, ResourceList]) -> ResourceList:
    wanted = container_resources(container, field)
    raise_to(wanted, held.get(container.get("name", ""), {}))
    return wanted


def _held(pod: Object, field: str) -> dict[str, ResourceList]:
    status = pod.get("status") or {}
    held: dict[str, ResourceList] = {}
    for container in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        found = container_resources(container, field)
        if field == "requests":
            raise_to(found, resource_list(container.get("allocatedResources")))
        if found:
            held[container["name"]] = found
    return held


def add_to(total: ResourceList, more: Mapping[str, Quantity]) -> None:
    """In place."""
    for name, quantity in more.items():
        total[name] = total[name] + quantity if name in total else quantity


def raise_to(total: ResourceList, other: Mapping[str, Quantity]) -> None:
    """Makes every quantity at least the other one, in place."""
    for name, quantity in other.items():
        if name not in total or total[name] < quantity:
            total[name] = quantity
