"""What a pod asks of a node: amounts of resources as integers, CPU in thousandths of a core and everything else in its own unit.

Follows upstream's resource helpers (PodRequests): containers add up, an init container counts only while it runs, restartable
init containers (sidecars) stay, pod-level requests replace the sums of what they name, overhead comes on top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kubetree.api.quantities import parse_quantity

Amounts = dict[str, int]

CPU, MEMORY, EPHEMERAL_STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"
DEFAULT_MILLI_CPU, DEFAULT_MEMORY = 100, 200 * 1024 * 1024
"""What scoring takes a container for that asks for nothing, so that such containers spread too."""


@lru_cache(maxsize=4096)
def _amount(resource: str, quantity: str | int | float) -> int:
    parsed = parse_quantity(quantity)
    return parsed.milli() if resource == CPU else parsed.value()


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """A ResourceList as integers."""
    return {resource: _amount(resource, quantity) for resource, quantity in (quantities or {}).items()}


def _requests(container: Mapping[str, Any]) -> Amounts:
    return amounts((container.get("resources") or {}).get("requests"))


def _scored_requests(container: Mapping[str, Any]) -> Amounts:
    return {CPU: DEFAULT_MILLI_CPU, MEMORY: DEFAULT_MEMORY, **_requests(container)}


def pod_requests(spec: Mapping[str, Any]) -> Amounts:
    """What filtering counts for a pod."""
    return _total(spec, _requests)


def scored_requests(spec: Mapping[str, Any]) -> Amounts:
    """What scoring counts for a pod: a container without a CPU or memory request stands for the defaults."""
    return _total(spec, _scored_requests)


def _total(spec: Mapping[str, Any], requests: Callable[[Mapping[str, Any]], Amounts]) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, requests(container))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = requests(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, asked)
            _raise(peak, sidecars)
        else:
            during = dict(sidecars)
            _add(during, asked)
            _raise(peak, during)
    _add(total, sidecars)
    _raise(total, peak)
    total.update(amounts((spec.get("resources") or {}).get("requests")))
    _add(total, amounts(spec.get("overhead")))
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for resource, amount in more.items():
        total[resource] = total.get(resource, 0) + amount


def _raise(total: Amounts, least: Amounts) -> None:
    for resource, amount in least.items():
        if amount > total.get(resource, 0):
            total[resource] = amount
