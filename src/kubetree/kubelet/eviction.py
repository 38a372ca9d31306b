"""Which pods have to go when the node runs short, and which used more disk than they may. Pure.

Follows pkg/kubelet/eviction: the ranking and the messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.quantities import Quantity, parse_quantity
from kubetree.kubelet import resources, specs

Object = dict[str, Any]

REASON = "Evicted"
_CRITICAL = 2_000_000_000


@dataclass(frozen=True, slots=True)
class PodUsage:
    """Bytes: memory by container, disk by container (writable layer and logs) and by emptyDir volume."""

    memory: Mapping[str, int]
    disk: Mapping[str, int]
    volumes: Mapping[str, int]


def over_limits(pod: Object, usage: PodUsage) -> str | None:
    """The message of an eviction for local storage, or None."""
    for volume in pod["spec"].get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and not parse_quantity(limit).is_zero() and usage.volumes.get(volume["name"], 0) > parse_quantity(limit).value():
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    for container in specs.containers(pod):
        limit = ((container.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
        if limit and usage.disk.get(container["name"], 0) > parse_quantity(limit).value():
            return f'Container {container["name"]} exceeded its local ephemeral storage limit "{limit}". '
    total = resources.pod_total(pod, "limits", "ephemeral-storage")
    used = sum(usage.disk.values()) + sum(usage.volumes.values())
    if not total.is_zero() and resources.every_container_has(pod, "limits", "ephemeral-storage") and used > total.value():
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    return None


def rank_for_memory(pods: Sequence[Object], usages: Mapping[str, PodUsage]) -> list[Object]:
    """Who goes first: who uses more than requested, then low priority, then who exceeds the request by most. Critical pods never."""

    def order(pod: Object) -> tuple[int, int, int]:
        used = sum(usages[specs.uid(pod)].memory.values()) if specs.uid(pod) in usages else 0
        requested = resources.pod_total(pod, "requests", "memory").value()
        return (0 if used > requested else 1, pod["spec"].get("priority") or 0, requested - used)

    movable = [p for p in pods if not specs.is_static(p) and (p["spec"].get("priority") or 0) < _CRITICAL]
    return sorted(movable, key=order)


def memory_message(pod: Object, usage: PodUsage | None, threshold: int, available: int) -> str:
    text = f"The node was low on resource: memory. Threshold quantity: {_binary(threshold)}, available: {available // 1024}Ki. "
    for container in specs.containers(pod):
        used = (usage.memory if usage else {}).get(container["name"], 0)
        request = parse_quantity(((container.get("resources") or {}).get("requests") or {}).get("memory") or "0")
        if used > request.value():
            text += f"Container {container['name']} was using {used // 1024}Ki, request is {request}, has larger consumption of memory. "
    return text


def _binary(amount: int) -> str:
    return str(Quantity(amount, "BinarySI"))
