"""Arithmetic of resource lists. Follows apiserver/pkg/quota/v1/resources.go."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kubetree.api.quantities import Quantity

ResourceList = dict[str, Quantity]
_ZERO = Quantity(0)


def add(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> ResourceList:
    total = dict(one)
    for name, quantity in other.items():
        total[name] = total[name] + quantity if name in total else quantity
    return total


def largest(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> ResourceList:
    """The larger quantity of each name of either."""
    return {**one, **{name: quantity for name, quantity in other.items() if name not in one or one[name] < quantity}}


def subtract_or_zero(one: Mapping[str, Quantity], other: Mapping[str, Quantity]) -> ResourceList:
    """`one` less `other`, nothing below zero; names of both."""
    left = {name: quantity - other[name] if name in other else quantity for name, quantity in one.items()}
    left |= {name: _ZERO for name in other if name not in one}
    return {name: _ZERO if quantity < _ZERO else quantity for name, quantity in left.items()}


def without_zeros(found: Mapping[str, Quantity]) -> ResourceList:
    return {name: quantity for name, quantity in found.items() if not quantity.is_zero()}


def masked(found: Mapping[str, Quantity], names: Collection[str]) -> ResourceList:
    """Only the resources `names`."""
    return {name: quantity for name, quantity in found.items() if name in names}


def exceeded(found: Mapping[str, Quantity], limit: Mapping[str, Quantity]) -> list[str]:
    """Names of `found` that `limit` has less of."""
    return [name for name, quantity in found.items() if name in limit and limit[name] < quantity]


def pretty(found: Mapping[str, Quantity]) -> str:
    """`pods=1,requests.cpu=2`, as refusals show it."""
    return ",".join(f"{name}={found[name]}" for name in sorted(found))
