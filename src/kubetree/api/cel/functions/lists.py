"""Functions of lists: Kubernetes' own (sum, min, max, isSorted, indexOf) and cel-go's list library, version 3."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from ..declarations import Function, function, method, overload, table
from ..errors import EvaluationError
from ..numbers import UInt
from ..operations import add, compare, unsupported
from ..types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, UINT, Type, list_of, param
from ..values import Duration, equal, is_list, no_such_overload, type_of_value

A, T = param("A"), param("T")
_SUMMABLE = (("int", INT), ("uint", UINT), ("double", DOUBLE), ("duration", DURATION))
_COMPARABLE = (
    ("int", INT),
    ("uint", UINT),
    ("double", DOUBLE),
    ("bool", BOOL),
    ("duration", DURATION),
    ("timestamp", TIMESTAMP),
    ("string", STRING),
    ("bytes", BYTES),
)
_SORTABLE = (INT, UINT, DOUBLE, BOOL, DURATION, TIMESTAMP, STRING, BYTES)


def _is_sorted(values: Any) -> bool:
    items = list(values)
    return all(compare(one, other) <= 0 for one, other in pairwise(items))


def _sum(zero: Any) -> Callable[[Any], Any]:
    def run(values: Any) -> Any:
        total = zero
        for value in values:
            total = add(total, value)
        return total

    return run


def _best(name: str, order: int) -> Callable[[Any], Any]:
    def run(values: Any) -> Any:
        items = iter(values)
        try:
            found = next(items)
        except StopIteration:
            raise EvaluationError(f"{name} called on empty list") from None
        for value in items:
            if compare(found, value) == order:
                found = value
        return found

    return run


def _index_of(values: Any, item: Any) -> int:
    return next((at for at, value in enumerate(values) if equal(value, item)), -1)


def _last_index_of(values: Any, item: Any) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if equal(values[at], item)), -1)


def _slice(values: Any, start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if len(values) < end:
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return [values[at] for at in range(start, end)]


def _flatten(values: Any, depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    out: list[Any] = []
    for value in values:
        if depth and is_list(value):
            out.extend(_flatten(value, depth - 1))
        else:
            out.append(value)
    return out


def sort_by(values: Any, keys: Any) -> Any:
    if not is_list(values):
        raise unsupported("@sortByAssociatedKeys", values)
    if not is_list(keys):
        raise no_such_overload()
    if len(values) != len(keys):
        raise EvaluationError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list,"
            f" but got {len(values)} and {len(keys)} elements respectively"
        )
    if not len(values):
        return values
    known = list(keys)
    kind = type_of_value(known[0])
    if kind not in _SORTABLE:
        raise EvaluationError("list elements must be comparable")
    if any(type_of_value(key) != kind for key in known):
        raise EvaluationError("list elements must have the same type")
    by_key = cmp_to_key(compare)
    return [values[at] for at in sorted(range(len(known)), key=lambda at: by_key(known[at]))]


def _sort(values: Any) -> Any:
    if not is_list(values):
        raise unsupported("sort", values)
    return sort_by(values, values)


def _distinct(values: Any) -> Any:
    out: list[Any] = []
    for value in values:
        if not any(equal(value, known) for known in out):
            out.append(value)
    return out


def _of_each(name: str, types: tuple[tuple[str, Type], ...], id: str, result: Type | None, run: Callable[[str], Any]) -> Function:
    return function(name, *(method(id.format(kind), (list_of(t),), result or t, run(kind)) for kind, t in types))


_ZEROS: dict[str, Any] = {"int": 0, "double": 0.0, "duration": Duration(0)}


def _zero(kind: str) -> Any:
    return UInt(0) if kind == "uint" else _ZEROS[kind]


LISTS = table(
    _of_each("isSorted", _COMPARABLE, "list_{}_is_sorted_bool", BOOL, lambda _: _is_sorted),
    _of_each("sum", _SUMMABLE, "list_{0}_sum_{0}", None, lambda kind: _sum(_zero(kind))),
    _of_each("max", _COMPARABLE, "list_{0}_max_{0}", None, lambda _: _best("max", -1)),
    _of_each("min", _COMPARABLE, "list_{0}_min_{0}", None, lambda _: _best("min", 1)),
    function("indexOf", method("list_a_index_of_int", (list_of(A), A), INT, _index_of)),
    function("lastIndexOf", method("list_a_last_index_of_int", (list_of(A), A), INT, _last_index_of)),
    function("slice", method("list_slice", (list_of(T), INT, INT), list_of(T), _slice, variadic=True)),
    function(
        "flatten",
        method("list_flatten", (list_of(list_of(T)),), list_of(T), _flatten),
        method("list_flatten_int", (list_of(DYN), INT), list_of(DYN), _flatten),
    ),
    function("sort", *(method(f"list_{t.name}_sort", (list_of(t),), list_of(t)) for t in _SORTABLE), run=_sort),
    function(
        "@sortByAssociatedKeys",
        *(method(f"list_{t.name}_sortByAssociatedKeys", (list_of(T), list_of(t)), list_of(T)) for t in _SORTABLE),
        run=sort_by,
    ),
    function("lists.range", overload("lists_range", (INT,), list_of(INT), lambda count: list(range(count)))),
    function("reverse", method("list_reverse", (list_of(T),), list_of(T), lambda values: list(values)[::-1])),
    function("distinct", method("list_distinct", (list_of(T),), list_of(T), _distinct)),
)
