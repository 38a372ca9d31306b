"""Pod-level resources: what the pod asks for as a whole, filled in from its containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubetree.api.quantities import Quantity, parse_quantity

Amounts = dict[str, Quantity]


def _supported(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def _parsed(container: dict[str, Any], field: str) -> Amounts:
    return {n: parse_quantity(q) for n, q in (container.get("resources") or {}).get(field, {}).items() or ()}


def _add(into: Amounts, amounts: Amounts) -> None:
    for name, quantity in amounts.items():
        into[name] = into[name] + quantity if name in into else quantity


def _raise_to(into: Amounts, amounts: Amounts) -> None:
    for name, quantity in amounts.items():
        if name not in into or into[name] < quantity:
            into[name] = quantity


def _phases(spec: dict[str, Any], field: str) -> Iterator[Amounts]:
    """What runs together at each step of the pod's life: every init container with the sidecars before it, then all the rest."""
    sidecars: Amounts = {}
    for c in spec.get("initContainers") or ():
        amounts = _parsed(c, field)
        if c.get("restartPolicy") == "Always":
            _add(sidecars, amounts)
            yield dict(sidecars)
        else:
            _add(amounts, sidecars)
            yield amounts
    running = dict(sidecars)
    for c in spec.get("containers") or ():
        _add(running, _parsed(c, field))
    yield running


def aggregate(spec: dict[str, Any], field: str) -> Amounts:
    """The most that the containers want of each resource at any time; `field` is `requests` or `limits`."""
    most: Amounts = {}
    for amounts in _phases(spec, field):
        _raise_to(most, amounts)
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
        if _supported(name):
            requests.setdefault(name, limit)
    if requests:
        resources["requests"] = requests
