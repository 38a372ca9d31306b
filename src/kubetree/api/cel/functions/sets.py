"""cel-go's sets: lists compared without regard to order and repetition."""

from __future__ import annotations

from typing import Any

from ..declarations import function, overload, table
from ..types import BOOL, list_of, param
from ..values import contains

LIST_T = list_of(param("T"))


def _contains(values: Any, parts: Any) -> bool:
    return all(contains(values, part) for part in parts)


def _equivalent(one: Any, other: Any) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: Any, other: Any) -> bool:
    return any(contains(other, value) for value in one)


SETS = table(
    function("sets.contains", overload("list_sets_contains_list", (LIST_T, LIST_T), BOOL, _contains)),
    function("sets.equivalent", overload("list_sets_equivalent_list", (LIST_T, LIST_T), BOOL, _equivalent)),
    function("sets.intersects", overload("list_sets_intersects_list", (LIST_T, LIST_T), BOOL, _intersects)),
)
