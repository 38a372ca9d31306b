"""Quantities in their canonical form, as a round trip through upstream's types leaves them; cached, since clusters use few spellings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubetree.api.quantities import parse_quantity


@lru_cache(maxsize=1 << 16)
def canonical(quantity: str | int | float) -> str | int | float:
    """`"1000m"` to `"1"`, `0.5` to `"500m"`. What does not parse is returned as it is: the schema check names it."""
    try:
        return str(parse_quantity(quantity))
    except ValueError:
        return quantity


@lru_cache(maxsize=1 << 16)
def _rounded(quantity: str | int | float) -> str | int | float:
    """Canonical and rounded up to a thousandth, as upstream does in every ResourceList."""
    try:
        exact = parse_quantity(quantity)
        milli = parse_quantity(f"{exact.milli()}m")
    except ValueError:
        return quantity
    return str(exact) if exact == milli else str(milli)


def resource_list(amounts: dict[str, Any] | None) -> None:
    """Canonicalizes a ResourceList in place."""
    if amounts:
        for name, quantity in amounts.items():
            amounts[name] = _rounded(quantity)


def resource_requirements(resources: dict[str, Any] | None) -> None:
    """Canonicalizes `limits` and `requests` of a ResourceRequirements in place."""
    if resources:
        resource_list(resources.get("limits"))
        resource_list(resources.get("requests"))


def quantity_field(parent: dict[str, Any] | None, name: str) -> None:
    """Canonicalizes the quantity `parent[name]` if it is there."""
    if parent and parent.get(name) is not None:
        parent[name] = canonical(parent[name])
