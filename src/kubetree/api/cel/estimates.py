"""What an expression may cost at most, before it ever runs: cel-go's static estimate with Kubernetes' functions.

A CRD whose rules could cost too much is refused by these numbers, so they are upstream's to the unit. Sizes come from declared types
(`Type.max_elements`), along the path from the variable that a value was reached by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, NamedTuple

from .checker import Checker
from .costs import LIST, MAP, NOMINAL, REGEX, STRUCT, TRAVERSAL
from .numbers import UINT_MAX
from .tree import ACCUMULATOR, Call, Comprehension, Expr, Ident, ListExpr, Literal, MapExpr, Select, StructExpr
from .types import DYN, Kind, Type

OLD_ACCUMULATOR = "__result__"
Path = tuple[str, ...]


class Range(NamedTuple):
    """From least to most: of a size or of a cost. Sums and products stop at the greatest 64 bit number."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        return Range(_cap(self.least + other.least), _cap(self.most + other.most))

    def times(self, other: Range) -> Range:
        return Range(_cap(self.least * other.least), _cap(self.most * other.most))

    def scaled(self, factor: float) -> Range:
        """Rounded up."""
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))


def _cap(value: int) -> int:
    return min(value, UINT_MAX)


def _scaled(value: int, factor: float) -> int:
    product = float(value) * factor
    return UINT_MAX if product >= 2.0**64 or (value > 0 and factor > 0 and float(value) > UINT_MAX / factor) else ceil(product)


def exactly(value: int) -> Range:
    return Range(value, value)


UNKNOWN = Range(0, UINT_MAX)
NOTHING, ONE = exactly(0), exactly(1)


class Entries(NamedTuple):
    """Sizes of the keys and values of a list or map that the expression itself builds."""

    is_list: bool
    key: Range
    value: Range


class CallCost(NamedTuple):
    cost: Range
    size: Range | None = None


class _Local(NamedTuple):
    path: Path
    size: Range | None
    entries: Entries | None


class Operand(NamedTuple):
    """A target or an argument: its path (None for items of a list without one is ()), its type and, if known, its size."""

    path: Path
    type: Type
    size: Range | None
    expr: Expr | None


Sizes = Callable[[Path], Range | None]


def sizes_of(variables: Mapping[str, Type]) -> Sizes:
    """Sizes by the type of `self`, when a schema declares it. As upstream's, it takes every path to start there: that of oldSelf,
    and that of a name like `int` as well, which is thus as large as the root (0 for objects)."""
    root = variables.get("self")

    def size(path: Path) -> Range | None:
        t = root
        if t is None or not t.declared:
            return None
        for name in path[1:]:
            if t is None:
                return None
            if name == "@items" or name == "@values":
                t = t.params[-1] if t.kind in (Kind.LIST, Kind.MAP) else None
            elif name == "@keys":
                t = t.params[0] if t.kind is Kind.MAP else None
            else:
                t = (t.fields or {}).get(name) if t.kind is Kind.STRUCT else None
        return None if t is None else Range(0, t.max_elements)

    return size


class Estimator:
    """Walks a checked tree once."""

    def __init__(self, checked: Checker, sizes: Sizes) -> None:
        self._checked, self._sizes = checked, sizes
        self._types, self._overloads = checked.types, checked.overloads
        self._paths: dict[int, Path] = {}
        self._known: dict[int, Range] = {}
        self._entries: dict[int, Entries] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, e: Expr) -> Range:
        return _COSTS[type(e)](self, e)

    # nodes

    def _literal(self, e: Literal) -> Range:
        return NOTHING

    def _ident(self, e: Ident) -> Range:
        local = self._local(e.name)
        self._paths[e.id] = (e.name,) if local is None else local.path
        return ONE

    def _select(self, e: Select) -> Range:
        name = self._checked.name(e)
        if name is not None:
            self._paths[e.id] = (name,)
            return ONE
        total = self.cost(e.operand)
        if e.test_only:
            return total
        if self._types[e.operand.id].kind in (Kind.MAP, Kind.STRUCT, Kind.PARAM):
            total = total.plus(ONE)
        self._paths[e.id] = (*self._path(e.operand), e.field)
        return total

    def _call(self, e: Call) -> Range:
        if e.function == "dyn":
            total = ONE.plus(self.cost(e.args[0]))
            self._copy(e, e.args[0])
            return total
        costs, operands = [], []
        for arg in e.args:
            costs.append(self.cost(arg))
            operands.append(self._operand(arg))
        ids = self._overloads.get(e.id)
        if not ids:
            return NOTHING
        total, target = NOTHING, None
        if e.target is not None:
            total = self.cost(e.target)
            target = self._operand(e.target)
        spent, size = Range(UINT_MAX, 0), None
        for id in ids:
            found = self._function(e, id, target, operands, costs)
            spent = spent.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            if id in ("index_list", "index_map"):
                entries = self._entry_sizes(e.args[0])
                size = None if entries is None else entries.value
                self._paths[e.id] = (*self._path(e.args[0]), "@items" if id == "index_list" else "@values")
            if size is None:
                size = self._size(e)
        if size is not None:
            self._known[e.id] = size
        return total.plus(spent)

    def _list(self, e: ListExpr) -> Range:
        total = NOTHING
        items = Range(UINT_MAX if e.elements else 0, 0)
        for element in e.elements:
            total = total.plus(self.cost(element))
            items = items.union(self._size_or_unknown(element))
        self._entries[e.id] = Entries(True, ONE, items)
        return total.plus(exactly(LIST))

    def _map(self, e: MapExpr) -> Range:
        total = NOTHING
        keys = values = Range(UINT_MAX if e.entries else 0, 0)
        for _, key, value, _ in e.entries:
            total = total.plus(self.cost(key)).plus(self.cost(value))
            keys = keys.union(self._size_or_unknown(key))
            values = values.union(self._size_or_unknown(value))
        self._entries[e.id] = Entries(False, keys, values)
        return total.plus(exactly(MAP))

    def _struct(self, e: StructExpr) -> Range:
        total = exactly(STRUCT)
        for field in e.fields:
            total = total.plus(self.cost(field.value))
        return total

    def _fold(self, e: Comprehension) -> Range:
        total = self.cost(e.range).plus(self.cost(e.init))
        if e.is_bind and e.accumulator != OLD_ACCUMULATOR:
            self._push(e.accumulator, self._path(e.init), self._size(e.init), self._entry_sizes(e.init))
            total = total.plus(self.cost(e.result))
            self._locals[e.accumulator].pop()
            self._copy(e, e.result)
            return total
        self._push(e.accumulator, self._path(e.init), self._size(e.init), self._entry_sizes(e.init))
        self._push_variables(e)
        turn = self.cost(e.condition)
        turn = self.cost(e.step).plus(turn)
        self._locals[e.var].pop()
        if e.var2:
            self._locals[e.var2].pop()
        total = total.plus(self.cost(e.result))
        self._locals[e.accumulator].pop()
        count = self._size_or_unknown(e.range)
        total = total.plus(count.times(turn))
        if isinstance(e.init, Literal):
            size = self._size(e.init)
            if size is not None:
                self._known[e.id] = size
        elif isinstance(e.init, ListExpr | MapExpr):
            self._known[e.id] = count
            entries = self._entry_sizes(e.step)
            if entries is not None:
                self._entries[e.id] = entries
        return total

    def _push_variables(self, e: Comprehension) -> None:
        entries, path = self._entry_sizes(e.range), self._path(e.range)
        is_list = self._types[e.range.id].kind is Kind.LIST if entries is None else entries.is_list
        key = None if entries is None else entries.key
        value = None if entries is None else entries.value
        if e.var2:
            self._push(e.var, (*path, "@indices" if is_list else "@keys"), key, None)
            self._push(e.var2, (*path, "@items" if is_list else "@values"), value, None)
        elif is_list:
            self._push(e.var, (*path, "@items"), value, None)
        else:
            self._push(e.var, (*path, "@keys"), key, None)

    # functions

    def _function(self, e: Call, id: str, target: Operand | None, args: list[Operand], costs: list[Range]) -> CallCost:
        spent = NOTHING
        for cost in costs:
            spent = spent.plus(cost)
        own = _BY_FUNCTION.get(e.function)
        if own is not None:
            found = own(self, id, target, args)
            if found is not None:
                return CallCost(found.cost.plus(spent), found.size)
        if id in ("logical_or", "logical_and"):
            return CallCost(Range(costs[0].least, costs[0].plus(costs[1]).most))
        if id == "conditional":
            size = _or_unknown(args[1]).union(_or_unknown(args[2]))
            one, other = self._entry_sizes(e.args[1]), self._entry_sizes(e.args[2])
            if one is not None and other is not None:
                self._entries[e.id] = _joined(one, other)
            return CallCost(costs[0].plus(costs[1].union(costs[2])), size)
        if id in ("add_string", "add_bytes", "add_list") and len(args) == 2:
            size = _or_unknown(args[0]).plus(_or_unknown(args[1]))
            one, other = self._entry_sizes(e.args[0]), self._entry_sizes(e.args[1])
            if one is not None and other is not None:
                self._entries[e.id] = _joined(one, other)
            return CallCost((ONE if id == "add_list" else size.scaled(TRAVERSAL)).plus(spent), size)
        by_overload = _BY_OVERLOAD.get(id)
        if by_overload is not None:
            found = by_overload(self, id, target, args)
            if found is not None:
                return CallCost(found.cost.plus(spent), found.size)
        return CallCost(ONE.plus(spent))

    def given_size(self, operand: Operand) -> Range:
        """The size of an operand: what is known, else what its path says, else anything."""
        if operand.size is not None:
            return operand.size
        found = self._sizes(operand.path) if operand.path else None
        return UNKNOWN if found is None else found

    # sizes

    def _operand(self, e: Expr) -> Operand:
        path = self._path(e)
        if path and path[0] in (ACCUMULATOR, OLD_ACCUMULATOR):
            path = ()
        return Operand(path, self._types.get(e.id, DYN), self._size(e), e)

    def _path(self, e: Expr) -> Path:
        if isinstance(e, Ident):
            local = self._local(e.name)
            if local is not None:
                return local.path
        return self._paths.get(e.id, ())

    def _local(self, name: str) -> _Local | None:
        stack = self._locals.get(name)
        return stack[-1] if stack else None

    def _push(self, name: str, path: Path, size: Range | None, entries: Entries | None) -> None:
        self._locals.setdefault(name, []).append(_Local(path, size, entries))

    def _copy(self, e: Expr, source: Expr) -> None:
        size, entries = self._size(source), self._entry_sizes(source)
        if size is not None:
            self._known[e.id] = size
        if entries is not None:
            self._entries[e.id] = entries

    def _size_or_unknown(self, e: Expr) -> Range:
        size = self._size(e)
        return UNKNOWN if size is None else size

    def _size(self, e: Expr) -> Range | None:
        known = self._known.get(e.id)
        if known is not None:
            return known
        written = _written_size(e)
        if written is not None:
            return written
        path = self._path(e)
        declared = self._sizes(path) if path else None
        if declared is not None:
            self._known[e.id] = declared
            return declared
        if is_scalar(self._types[e.id]):
            return ONE
        if isinstance(e, Ident):
            local = self._local(e.name)
            if local is not None:
                return local.size
        return None

    def _entry_sizes(self, e: Expr) -> Entries | None:
        known = self._entries.get(e.id)
        if known is not None:
            return known
        if isinstance(e, Ident):
            local = self._local(e.name)
            if local is not None:
                return local.entries
        return None


def _joined(one: Entries, other: Entries) -> Entries:
    return Entries(one.is_list, one.key.union(other.key), one.value.union(other.value))


def _written_size(e: Expr) -> Range | None:
    if isinstance(e, Literal):
        return exactly(len(e.value)) if isinstance(e.value, str | bytes) else ONE
    if isinstance(e, ListExpr):
        return exactly(len(e.elements))
    if isinstance(e, MapExpr):
        return exactly(len(e.entries))
    return None


def is_scalar(t: Type) -> bool:
    if t.kind is Kind.OPAQUE and t.name == "optional_type":
        return is_scalar(t.params[0])
    return t.kind in (Kind.BOOL, Kind.DOUBLE, Kind.DURATION, Kind.INT, Kind.TIMESTAMP, Kind.UINT)


def _or_unknown(operand: Operand) -> Range:
    return UNKNOWN if operand.size is None else operand.size


# what calls cost

Rule = Callable[[Estimator, str, Operand | None, list[Operand]], CallCost | None]


def _fixed(cost: int) -> Rule:
    return lambda *_: CallCost(exactly(cost))


def _of_argument(factor: float, *, sized: bool = False) -> Rule:
    def rule(self: Estimator, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
        if not args:
            return None
        size = self.given_size(args[0])
        return CallCost(size.scaled(factor), size if sized else None)

    return rule


def _of_target(factor: float) -> Rule:
    def rule(self: Estimator, _: str, target: Operand | None, __: list[Operand]) -> CallCost | None:
        if target is None:
            return None
        size = self.given_size(target)
        return CallCost(size.scaled(factor), size)

    return rule


def _selector(self: Estimator, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
    if len(args) != 1:
        return None
    size = self.given_size(args[0])
    return CallCost(exactly(LIST).plus(size.scaled(TRAVERSAL)).plus(size.scaled(0.5).scaled(float(LIST + STRUCT))))


def _items(target: Operand) -> Operand | None:
    if not target.type.params:
        return None
    return Operand((*target.path, "@items") if target.path else (), target.type.params[0], None, None)


def _traversing(self: Estimator, _: str, target: Operand | None, __: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    item, size = _items(target), self.given_size(target)
    if item is None:
        return CallCost(size.scaled(TRAVERSAL))
    each = ONE
    if item.type.kind in (Kind.STRING, Kind.BYTES):
        each = each.plus(self.given_size(item).scaled(TRAVERSAL))
    return CallCost(size.times(each))


def _replace(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) < 2:
        return None
    size, old, new = self.given_size(target), self.given_size(args[0]), self.given_size(args[1])
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
    return _cap(ceil(float(one) / float(other)))


def _split(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    size = self.given_size(target)
    most = size.most
    if len(args) > 1 and isinstance(args[1].expr, Literal) and type(args[1].expr.value) is int:
        most = args[1].expr.value % (UINT_MAX + 1)
    return CallCost(size.scaled(2 * TRAVERSAL), Range(0, most))


def _join(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    count, item = self.given_size(target), _items(target)
    size = NOTHING if item is None else count.times(self.given_size(item))
    if args:
        gaps = Range(max(count.least - 1, 0), max(count.most - 1, 0))
        size = size.plus(self.given_size(args[0]).times(gaps))
    return CallCost(size.scaled(TRAVERSAL), size)


def _find(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or not args:
        return None
    size = self.given_size(target)
    cost = size.plus(ONE).scaled(TRAVERSAL).times(self.given_size(args[0]).scaled(REGEX))
    return CallCost(cost, Range(0, size.most))


def _ip(self: Estimator, id: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(ONE) if id == "cidr_ip" else _of_argument(TRAVERSAL)(self, id, target, args)


def _within(name: str, *, masks: bool) -> Rule:
    address = Range(4, 16)

    def rule(self: Estimator, id: str, _: Operand | None, args: list[Operand]) -> CallCost | None:
        if not args:
            return None
        cost = address.plus(address).scaled(TRAVERSAL)
        if masks:
            cost = cost.plus(address.scaled(TRAVERSAL)).plus(ONE)
        if id == name:
            cost = cost.plus(self.given_size(args[0]).scaled(TRAVERSAL))
        return CallCost(cost)

    return rule


def _validate(self: Estimator, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(self.given_size(args[0]).scaled(TRAVERSAL).scaled(128 * REGEX)) if args else None


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


def _equals(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
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


_BY_FUNCTION: dict[str, Rule] = {
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


def _format(_: Estimator, __: str, target: Operand | None, ___: list[Operand]) -> CallCost | None:
    return None if target is None else CallCost(_or_unknown(target).scaled(TRAVERSAL))


def _to_bytes(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    size = _or_unknown(args[0])
    return CallCost(size.scaled(TRAVERSAL), Range(size.least, size.most * 4 & UINT_MAX))


def _to_string(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    size = _or_unknown(args[0])
    return CallCost(size.scaled(TRAVERSAL), Range(size.least // 4, size.most))


def _quote(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    size = _or_unknown(args[0])
    return CallCost(size.scaled(TRAVERSAL), Range(size.least + 2, size.most * 2 + 2 & UINT_MAX))


def _affix(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(_or_unknown(args[0]).scaled(TRAVERSAL)) if len(args) == 1 else None


def _in_list(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    return CallCost(_or_unknown(args[1]).scaled(1)) if len(args) == 2 else None


def _matches(_: Estimator, __: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) != 1:
        return None
    return CallCost(_or_unknown(target).plus(ONE).scaled(TRAVERSAL).times(_or_unknown(args[0]).scaled(REGEX)))


def _contains(_: Estimator, __: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) != 1:
        return None
    return CallCost(_or_unknown(target).scaled(TRAVERSAL).times(_or_unknown(args[0]).scaled(TRAVERSAL)))


def _smaller(_: Estimator, __: str, ___: Operand | None, args: list[Operand]) -> CallCost | None:
    most = min(_or_unknown(args[0]).most, _or_unknown(args[1]).most)
    return CallCost(Range(1 if most else 0, most).scaled(TRAVERSAL))


def _allocated(factor: float, size: Range) -> CallCost:
    return CallCost(size.scaled(factor).plus(ONE).plus(exactly(LIST)), size)


def _literal_int(operand: Operand, otherwise: int) -> int:
    e = operand.expr
    if not isinstance(e, Literal) or type(e.value) is not int:
        return otherwise
    return max(e.value, 0)


def _slice(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None or len(args) != 2:
        return None
    start, end = _literal_int(args[0], 0), _literal_int(args[1], self.given_size(target).most)
    return _allocated(1, exactly((end - start) & UINT_MAX))


def _range(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    return _allocated(1, exactly(_literal_int(args[0], UINT_MAX))) if target is None and len(args) == 1 else None


def _reverse(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    return None if target is None else _allocated(1, self.given_size(target))


def _flatten(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    return _allocated(float(_literal_int(args[0], UINT_MAX) if args else 1), self.given_size(target))


def _distinct(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
    if target is None:
        return None
    size = self.given_size(target)
    return _allocated(2.0, size.times(size))


def _sorting(name: str, *, by_keys: bool) -> Rule:
    factor = 2.0 + (TRAVERSAL if name in ("string", "bytes") else 0)

    def rule(self: Estimator, _: str, target: Operand | None, args: list[Operand]) -> CallCost | None:
        if target is None or len(args) != by_keys:
            return None
        size = self.given_size(args[0] if by_keys else target)
        return _allocated(factor, size.times(size))

    return rule


def _sets(factor: float) -> Rule:
    def rule(self: Estimator, _: str, __: Operand | None, args: list[Operand]) -> CallCost | None:
        if len(args) != 2:
            return None
        return CallCost(self.given_size(args[0]).times(self.given_size(args[1])).scaled(factor).plus(ONE))

    return rule


_SORTED = ("int", "uint", "double", "bool", "google.protobuf.Duration", "google.protobuf.Timestamp", "string", "bytes")
_BY_OVERLOAD: dict[str, Rule] = {
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
_COSTS: dict[type, Callable[[Estimator, Any], Range]] = {
    Literal: Estimator._literal,
    Ident: Estimator._ident,
    Select: Estimator._select,
    Call: Estimator._call,
    ListExpr: Estimator._list,
    MapExpr: Estimator._map,
    StructExpr: Estimator._struct,
    Comprehension: Estimator._fold,
}
