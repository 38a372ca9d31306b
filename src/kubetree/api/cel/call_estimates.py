"""What a call of each function may cost at most, by the sizes of what it is called with: a table of rules, cel-go's and Kubernetes'.

The numbers are upstream's to the unit, oddities included. Nothing here knows of the tree: `estimates.py` walks it and asks.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from .cost_ranges import NOTHING, ONE, UNKNOWN, Range, capped, exactly
from .costs import LIST, NOMINAL, REGEX, STRUCT, TRAVERSAL
from .numbers import UINT_MAX
from .tree import Expr, Literal
from .types import Kind, Type

Path = tuple[str, ...]


class CallCost(NamedTuple):
    """What a call costs, and the size of its result where the function tells."""

    cost: Range
    size: Range | None = None


class Operand(NamedTuple):
    """A target or an argument: its path (None for items of a list without one is ()), its type and, if known, its size."""

    path: Path
    type: Type
    size: Range | None
    expr: Expr | None


SizeOf = Callable[[Operand], Range]
"""The size of an operand: what is known, else what its path says, else anything."""


def known_or_any(operand: Operand) -> Range:
    """The size as far as the operand itself tells: upstream asks no more where the function is one of the language's own."""
    return UNKNOWN if operand.size is None else operand.size


Rule = Callable[[SizeOf, str, Operand | None, list[Operand]], CallCost | None]
"""The overload, the target and the arguments to the cost of the call, without that of its operands. None where the rule has nothing to say."""


def _fixed(cost: int) -> Rule:
    return lambda *_: CallCost(exactly(cost))


def _of_argument(factor: float, *, sized: bool = False) -> Rule:
    def rule(size_of: SizeOf, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
        if not args:
            return None
        size = size_of(args[0])
        return CallCost(size.scaled(factor), size if sized else None)

    return rule


def _of_target(factor: float) -> Rule:
    def rule(size_of: SizeOf, _: str, target: Operand | None, __: list[Operand]) -> CallCost | None:
        if target is None:
            return None
        size = size_of(target)
        return CallCost(size.scaled(factor), size)

    return rule


def _selector(size_of: SizeOf, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
    if len(args) != 1:
        return None
    size = size_of(args[0])
    return CallCost(exactly(LIST).plus(size.scaled(TRAVERSAL)).plus(size.scaled(0.5).scaled(float(LIST + STRUCT))))


def _items(target: Operand) -> Operand | None:
    if not target.type.params:
        return None
    return Operand((*target.path, "@items") if target.path else (), target.type.params[0], None, None)


def _traversing(size_of: SizeOf, _: str, target: Operand | None, __: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    item, size = _items(target), size_of(target)
    if item is None:
        return CallCost(size.scaled(TRAVERSAL))
    each = ONE
    if item.type.kind in (Kind.STRING, Kind.BYTES):
        each = each.plus(size_of(item).scaled(TRAVERSAL))
    return CallCost(size.times(each))


def _replace(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) < 2:
        return None
    size, old, new = size_of(target), size_of(args[0]), size_of(args[1])
    if old.least == 0:
        most, kept_most = (size.most + 1 if size.most < UINT_MAX else size.most), size.most
    elif new.most <= old.least:
        most, kept_most = 0, size.most
    else:
        most, kept_most = _divided(size.most, old.least), 0
    if old.most == 0:
        least, kept_least = (size.least + 1 if size.least < UINT_MAX else size.least), size.least
    elif old.most <= new.least:
        least, kept_least = 0, size.least
    else:
        least, kept_least = _divided(size.least, old.most), 0
    return CallCost(size.scaled(2 * TRAVERSAL), Range(least, most).times(new).plus(Range(kept_least, kept_most)))


def _divided(one: int, other: int) -> int:
    return capped(ceil(float(one) / float(other)))


def _split(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    size = size_of(target)
    most = size.most
    if len(args) > 1 and isinstance(args[1].expr, Literal) and type(args[1].expr.value) is int:
        most = args[1].expr.value % (UINT_MAX + 1)
    return CallCost(size.scaled(2 * TRAVERSAL), Range(0, most))


def _join(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    count, item = size_of(target), _items(target)
    size = NOTHING if item is None else count.times(size_of(item))
    if args:
        gaps = Range(max(count.least - 1, 0), max(count.most - 1, 0))
        size = size.plus(size_of(args[0]).times(gaps))
    return CallCost(size.scaled(TRAVERSAL), size)


def _find(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or not args:
        return None
    size = size_of(target)
    cost = size.plus(ONE).scaled(TRAVERSAL).times(size_of(args[0]).scaled(REGEX))
    return CallCost(cost, Range(0, size.most))


def _ip(size_of: SizeOf, id: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(ONE) if id == "cidr_ip" else _of_argument(TRAVERSAL)(size_of, id, target, args)


def _within(name: str, *, masks: bool) -> Rule:
    address = Range(4, 16)

    def rule(size_of: SizeOf, id: str, _: Operand | None, args: list[Operand]) -> CallCost | None:
        if not args:
            return None
        cost = address.plus(address).scaled(TRAVERSAL)
        if masks:
            cost = cost.plus(address.scaled(TRAVERSAL)).plus(ONE)
        if id == name:
            cost = cost.plus(size_of(args[0]).scaled(TRAVERSAL))
        return CallCost(cost)

    return rule


def _validate(size_of: SizeOf, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(size_of(args[0]).scaled(TRAVERSAL).scaled(128 * REGEX)) if args else None


_UNIT_EQUALITY = frozenset(
    {
        "net.IP",
        "net.CIDR",
        "kubernetes.Quantity",
        "kubernetes.Semver",
        "kubernetes.authorization.Authorizer",
        "kubernetes.authorization.PathCheck",
        "kubernetes.authorization.GroupCheck",
        "kubernetes.authorization.ResourceCheck",
        "kubernetes.authorization.Decision",
    }
)


def _equals(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    if len(args) != 2 or args[0].type.name != args[1].type.name or args[0].type.kind not in (Kind.OPAQUE, Kind.STRUCT):
        return None
    name = args[0].type.name
    if name in _UNIT_EQUALITY:
        return CallCost(ONE)
    if name == "kubernetes.NamedFormat":
        return CallCost(Range(1, 64).scaled(TRAVERSAL))
    if name == "kubernetes.URL":
        size = args[1].size
        return CallCost(Range(1, 1 if size is None else size.most).scaled(TRAVERSAL))
    return None


BY_FUNCTION: dict[str, Rule] = {
    **dict.fromkeys(NOMINAL, _fixed(1)),
    "check": _fixed(350_000),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _traversing),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _of_argument(TRAVERSAL, sized=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _of_target(TRAVERSAL)),
    "replace": _replace,
    "split": _split,
    "join": _join,
    **dict.fromkeys(("find", "findAll"), _find),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _of_argument(TRAVERSAL)),
    "ip": _ip,
    "ip.isCanonical": _of_argument(2 * TRAVERSAL),
    "containsIP": _within("cidr_contains_ip_string", masks=False),
    "containsCIDR": _within("cidr_contains_cidr_string", masks=True),
    "validate": _validate,
    "_==_": _equals,
}


def _format(_: SizeOf, __: str, target: Operand | None, ___: list[Operand]) -> CallCost | None:
    return None if target is None else CallCost(known_or_any(target).scaled(TRAVERSAL))


def _to_bytes(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    size = known_or_any(args[0])
    return CallCost(size.scaled(TRAVERSAL), Range(size.least, size.most * 4 & UINT_MAX))


def _to_string(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    size = known_or_any(args[0])
    return CallCost(size.scaled(TRAVERSAL), Range(size.least // 4, size.most))


def _quote(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    size = known_or_any(args[0])
    return CallCost(size.scaled(TRAVERSAL), Range(size.least + 2, size.most * 2 + 2 & UINT_MAX))


def _affix(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(known_or_any(args[0]).scaled(TRAVERSAL)) if len(args) == 1 else None


def _in_list(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(known_or_any(args[1]).scaled(1)) if len(args) == 2 else None


def _matches(_: SizeOf, __: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) != 1:
        return None
    return CallCost(known_or_any(target).plus(ONE).scaled(TRAVERSAL).times(known_or_any(args[0]).scaled(REGEX)))


def _contains(_: SizeOf, __: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) != 1:
        return None
    return CallCost(known_or_any(target).scaled(TRAVERSAL).times(known_or_any(args[0]).scaled(TRAVERSAL)))


def _smaller(_: SizeOf, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    most = min(known_or_any(args[0]).most, known_or_any(args[1]).most)
    return CallCost(Range(1 if most else 0, most).scaled(TRAVERSAL))


def _allocated(factor: float, size: Range) -> CallCost:
    return CallCost(size.scaled(factor).plus(ONE).plus(exactly(LIST)), size)


def _literal_int(operand: Operand, otherwise: int) -> int:
    e = operand.expr
    if not isinstance(e, Literal) or type(e.value) is not int:
        return otherwise
    return max(e.value, 0)


def _slice(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) != 2:
        return None
    start, end = _literal_int(args[0], 0), _literal_int(args[1], size_of(target).most)
    return _allocated(1, exactly((end - start) & UINT_MAX))


def _range(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    return _allocated(1, exactly(_literal_int(args[0], UINT_MAX))) if target is None and len(args) == 1 else None


def _reverse(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    return None if target is None else _allocated(1, size_of(target))


def _flatten(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    return _allocated(float(_literal_int(args[0], UINT_MAX) if args else 1), size_of(target))


def _distinct(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    size = size_of(target)
    return _allocated(2.0, size.times(size))


def _sorting(name: str, *, by_keys: bool) -> Rule:
    factor = 2.0 + (TRAVERSAL if name in ("string", "bytes") else 0)

    def rule(size_of: SizeOf, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
        if target is None or len(args) != by_keys:
            return None
        size = size_of(args[0] if by_keys else target)
        return _allocated(factor, size.times(size))

    return rule


def _sets(factor: float) -> Rule:
    def rule(size_of: SizeOf, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
        if len(args) != 2:
            return None
        return CallCost(size_of(args[0]).times(size_of(args[1])).scaled(factor).plus(ONE))

    return rule


_SORTED = ("int", "uint", "double", "bool", "google.protobuf.Duration", "google.protobuf.Timestamp", "string", "bytes")
BY_OVERLOAD: dict[str, Rule] = {
    "list_slice": _slice,
    "lists_range": _range,
    "list_reverse": _reverse,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "list_distinct": _distinct,
    **{f"list_{name}_sort": _sorting(name, by_keys=False) for name in _SORTED},
    **{f"list_{name}_sortByAssociatedKeys": _sorting(name, by_keys=True) for name in _SORTED},
    "list_sets_contains_list": _sets(1),
    "list_sets_intersects_list": _sets(1),
    "list_sets_equivalent_list": _sets(2),
    "string_format": _format,
    "string_to_bytes": _to_bytes,
    "bytes_to_string": _to_string,
    "strings_quote": _quote,
    "starts_with_string": _affix,
    "ends_with_string": _affix,
    "in_list": _in_list,
    "matches_string": _matches,
    "contains_string": _contains,
    "equals": _smaller,
    "not_equals": _smaller,
    **dict.fromkeys(
        [f"{word}_{kind}" for word in ("less", "greater", "less_equals", "greater_equals") for kind in ("string", "bytes")], _smaller
    ),
}
