"""What a pod asks of a node as integers: CPU in thousandths of a core, everything else in its own unit.

The sums are those of `api/pod_resources.py`, which quotas and limit ranges count with too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kubetree.api import pod_resources
from kubetree.api.quantities import Quantity, parse_quantity

Amounts = dict[str, int]

CPU, MEMORY, EPHEMERAL_STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"
SCORED_DEFAULTS = {CPU: "100m", MEMORY: "200Mi"}
"""What scoring takes a container for that asks for nothing, so that such containers spread too."""


def _amount(resource: str, quantity: Quantity) -> int:
    return quantity.milli() if resource == CPU else quantity.value()


@lru_cache(maxsize=4096)
def _parsed(resource: str, quantity: str | int | float) -> int:
    return _amount(resource, parse_quantity(quantity))


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """A ResourceList as integers."""
    return {resource: _parsed(resource, quantity) for resource, quantity in (quantities or {}).items()}


def pod_requests(spec: Mapping[str, Any]) -> Amounts:
    """What filtering counts for a pod."""
    return {resource: _amount(resource, quantity) for resource, quantity in pod_resources.pod_requests({"spec": spec}).items()}


def scored_requests(spec: Mapping[str, Any]) -> Amounts:
    """What scoring counts for a pod: a container without a CPU or memory request stands for the defaults."""
    scored = {field: [_with_defaults(container) for container in spec.get(field) or ()] for field in ("containers", "initContainers")}
    return pod_requests({**spec, **scored})


def _with_defaults(container: Mapping[str, Any]) -> Mapping[str, Any]:
    requests = (container.get("resources") or {}).get("requests") or {}
    if CPU in requests and MEMORY in requests:
        return container
    return {**container, "resources": {"requests": {**SCORED_DEFAULTS, **requests}}}
