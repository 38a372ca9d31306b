"""What a call costs at run time: cel-go's tracker and Kubernetes' estimator, to the unit.

A unit is about 50 ns of upstream's. Rules and policies have budgets in these units, so they must be the same here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from .values import Duration, Timestamp, actual_size, is_list, is_map

TRAVERSAL = 0.1
REGEX = 0.25
LIST, MAP, STRUCT = 10, 30, 40

Args = tuple[Any, ...]
Cost = int | Callable[[Args, Any], int]


def call_cost(function: str, overload: str) -> Cost:
    """The cost of a call: a number, or how to count it from arguments and result. `overload` is "" when types left it open."""
    by_function = _BY_FUNCTION.get(function)
    if by_function is not None:
        return by_function(overload)
    return _BY_OVERLOAD.get(overload, 1)


def needs_result(function: str) -> bool:
    """Whether only the result tells what the call costs."""
    return function in ("join", "slice", "lists.range", "reverse")


def traverse(amount: float) -> int:
    """What it costs to look at `amount` characters or items, rounded up."""
    return ceil(amount * TRAVERSAL)


def _argument(at: int, factor: int = 1) -> Callable[[Args, Any], int]:
    return lambda args, _: traverse(actual_size(args[at]) * factor)


def _regex(args: Args, _: Any) -> int:
    return traverse(1.0 + actual_size(args[0])) * ceil(actual_size(args[1]) * REGEX)


def _contains(args: Args, _: Any) -> int:
    return traverse(actual_size(args[0])) * traverse(actual_size(args[1]))


def _smaller(args: Args, _: Any) -> int:
    return traverse(min(actual_size(args[0]), actual_size(args[1])))


def _both(args: Args, _: Any) -> int:
    return traverse(actual_size(args[0]) + actual_size(args[1]))


def equality_cost(one: Any, other: Any) -> int:
    """That of `==`: libraries' own values cost 1, others by the smaller size."""
    if hasattr(one, "cel_type"):
        return 1
    return traverse(min(actual_size(one), actual_size(other)))


def traversal(value: Any) -> int:
    """The cost of walking through a value."""
    if isinstance(value, str):
        return int(len(value.encode("utf-8", "surrogatepass")) * TRAVERSAL)
    if isinstance(value, bytes):
        return int(len(value) * TRAVERSAL)
    if isinstance(value, Duration | Timestamp):
        return 1
    if is_list(value):
        return sum(map(traversal, value))
    if is_map(value):
        return sum(traversal(key) + traversal(value[key]) for key in value)
    return 1


def selector_cost(length: int) -> int:
    """Of parsing a selector: a pass over it, and what its requirements may hold."""
    return LIST + traverse(length) + ceil(ceil(length * 0.5) * float(LIST + STRUCT))


def _ip(overload: str) -> Cost:
    return 1 if overload == "cidr_ip" else _argument(0)


def _contains_ip(overload: str) -> Cost:
    def run(args: Args, _: Any) -> int:
        cost = traverse(actual_size(args[0]) * 2)
        return cost + (traverse(actual_size(args[1])) if overload == "cidr_contains_ip_string" else 0)

    return run


def _contains_cidr(overload: str) -> Cost:
    def run(args: Args, _: Any) -> int:
        own = actual_size(args[0])
        cost = traverse(own * 2) + traverse(own) + 1
        return cost + (traverse(actual_size(args[1])) if overload == "cidr_contains_cidr_string" else 0)

    return run


def _validate(args: Args, _: Any) -> int:
    size: int | None = getattr(args[0], "max_regex_size", None)
    if size is None:
        return 1
    return traverse(1.0 + actual_size(args[1])) * ceil(size * REGEX)


def _fixed(cost: Cost) -> Callable[[str], Cost]:
    return lambda _: cost


NOMINAL = frozenset(
    [
        "serviceAccount",
        "path",
        "group",
        "resource",
        "subresource",
        "namespace",
        "name",
        "allowed",
        "reason",
        "error",
        "errored",
        "masked",
        "prefixLength",
        "family",
        "isUnspecified",
        "isLoopback",
        "isLinkLocalMulticast",
        "isLinkLocalUnicast",
        "isGlobalUnicast",
        "format.named",
        "sign",
        "asInteger",
        "isInteger",
        "asApproximateFloat",
        "isGreaterThan",
        "isLessThan",
        "compareTo",
        "add",
        "sub",
        "major",
        "minor",
        "patch",
        "getScheme",
        "getHostname",
        "getHost",
        "getPort",
        "getEscapedPath",
        "getQuery",
    ]
)
"""Functions that cost one, whatever they are given."""

_BY_FUNCTION: dict[str, Callable[[str], Cost]] = {
    **dict.fromkeys(NOMINAL, _fixed(1)),
    "check": _fixed(350_000),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _fixed(lambda args, _: selector_cost(actual_size(args[1])))),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _fixed(lambda args, _: traversal(args[0]))),
    **dict.fromkeys(
        [
            "url",
            "lowerAscii",
            "upperAscii",
            "substring",
            "trim",
            "jsonpatch.escapeKey",
            "cidr",
            "isIP",
            "isCIDR",
            "quantity",
            "isQuantity",
            "semver",
            "isSemver",
        ],
        _fixed(_argument(0)),
    ),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _fixed(_argument(0, 2))),
    "join": _fixed(lambda _, result: traverse(actual_size(result) * 2)),
    **dict.fromkeys(("find", "findAll"), _fixed(_regex)),
    "ip": _ip,
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": _fixed(_validate),
    "_==_": _fixed(lambda args, _: equality_cost(args[0], args[1])),
    "_!=_": _fixed(_smaller),
}


def _allocating(factor: float, size: Callable[[Args, Any], int]) -> Callable[[Args, Any], int]:
    return lambda args, result: int(size(args, result) * factor) + 1 + LIST


def _self_compare(at: int) -> Callable[[Args, Any], int]:
    """Of comparing the elements of a list with one another."""

    def run(args: Args, _: Any) -> int:
        values = args[at]
        count = actual_size(values)
        factor = 2.0
        if is_list(values) and count and isinstance(values[0], str | bytes):
            factor += TRAVERSAL
        return int(count * count * factor) + 1 + LIST

    return run


def _flatten(args: Args, _: Any) -> int:
    depth = 1.0 if len(args) < 2 or not isinstance(args[1], int) else float(args[1])
    return int(actual_size(args[0]) * depth) + 1 + LIST


def _sets(factor: int) -> Callable[[Args, Any], int]:
    return lambda args, _: 1 + actual_size(args[0]) * actual_size(args[1]) * factor


_SORTED = ("int", "uint", "double", "bool", "google.protobuf.Duration", "google.protobuf.Timestamp", "string", "bytes")
_BY_OVERLOAD: dict[str, Cost] = {
    **dict.fromkeys(("list_slice", "lists_range", "list_reverse"), _allocating(1, lambda _, result: actual_size(result))),
    **dict.fromkeys(("list_flatten", "list_flatten_int"), _flatten),
    "list_distinct": _self_compare(0),
    **dict.fromkeys([f"list_{name}_sort" for name in _SORTED], _self_compare(0)),
    **dict.fromkeys([f"list_{name}_sortByAssociatedKeys" for name in _SORTED], _self_compare(1)),
    **dict.fromkeys(("list_sets_contains_list", "list_sets_intersects_list"), _sets(1)),
    "list_sets_equivalent_list": _sets(2),
    **dict.fromkeys(
        ("starts_with_string", "ends_with_string", "string_to_bytes", "bytes_to_string", "strings_quote", "string_format"), _argument(0)
    ),
    "in_list": lambda args, _: actual_size(args[1]),
    **dict.fromkeys(
        [f"{word}_{kind}" for word in ("less", "greater", "less_equals", "greater_equals") for kind in ("string", "bytes")], _smaller
    ),
    **dict.fromkeys(("add_string", "add_bytes"), _both),
    "matches_string": _regex,
    "contains_string": _contains,
}
