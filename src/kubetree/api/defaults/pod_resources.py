"""Pod-level resources: what the pod asks for as a whole, filled in from its containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubetree.api.pod_resources import ResourceList, add_to, container_resources, pod_level_supported, raise_to


def _phases(spec: dict[str, Any], field: str) -> Iterator[ResourceList]:
    """What runs together at each step of the pod's life: every init container with the sidecars before it, then all the rest."""
    sidecars: ResourceList = {}
    for c in spec.get("initContainers") or ():
        amounts = container_resources(c, field)
        if c.get("restartPolicy") == "Always":
            add_to(sidecars, amounts)
            yield dict(sidecars)
        else:
            add_to(amounts, sidecars)
            yield amounts
    running = dict(sidecars)
    for c in spec.get("containers") or ():
        add_to(running, container_resources(c, field))
    yield running


def aggregate(spec: dict[str, Any], field: str) -> ResourceList:
    """The most that the containers want of each resource at any time; `field` is `requests` or `limits`."""
    most: ResourceList = {}
    for amounts in _phases(spec, field):
        raise_to(most, amounts)
    return most


def pod_level_resources(spec: dict[str, Any]) -> None:
    """Fills `spec.resources` in from the containers, as upstream does when it is given in part."""
    resources = spec["resources"]
    if not resources.get("limits") and not resources.get("requests"):
        return
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    for name, quantity in aggregate(spec, "limits").items():
        if name.startswith("hugepages-") and name not in requests:
            limits.setdefault(name, str(quantity))
    if limits:
        resources["limits"] = limits
    else:
        return
    for name, quantity in aggregate(spec, "requests").items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, str(quantity))
    for name, limit in limits.items():
        if pod_level_supported(name):
            requests.setdefault(name, limit)
    if requests:
        resources["requests"] = requests
