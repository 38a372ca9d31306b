"""What an expression may cost at most, before it ever runs: cel-go's static estimate with Kubernetes' functions.

A CRD whose rules could cost too much is refused by these numbers, so they are upstream's to the unit. Sizes come from declared types
(`Type.max_elements`), along the path from the variable that a value was reached by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .call_estimates import BY_FUNCTION, BY_OVERLOAD, CallCost, Operand, Path, known_or_any
from .checker import Checker
from .cost_ranges import NOTHING, ONE, UNKNOWN, Range, exactly
from .costs import LIST, MAP, STRUCT, TRAVERSAL
from .numbers import UINT_MAX
from .tree import ACCUMULATOR, Call, Comprehension, Expr, Ident, ListExpr, Literal, MapExpr, Select, StructExpr
from .types import DYN, Kind, Type

OLD_ACCUMULATOR = "__result__"


class Entries(NamedTuple):
    """Sizes of the keys and values of a list or map that the expression itself builds."""

    is_list: bool
    key: Range
    value: Range


class _Local(NamedTuple):
    path: Path
    size: Range | None
    entries: Entries | None


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
        own = BY_FUNCTION.get(e.function)
        if own is not None:
            found = own(self._given_size, id, target, args)
            if found is not None:
                return CallCost(found.cost.plus(spent), found.size)
        if id in ("logical_or", "logical_and"):
            return CallCost(Range(costs[0].least, costs[0].plus(costs[1]).most))
        if id == "conditional":
            size = known_or_any(args[1]).union(known_or_any(args[2]))
            one, other = self._entry_sizes(e.args[1]), self._entry_sizes(e.args[2])
            if one is not None and other is not None:
                self._entries[e.id] = _joined(one, other)
            return CallCost(costs[0].plus(costs[1].union(costs[2])), size)
        if id in ("add_string", "add_bytes", "add_list") and len(args) == 2:
            size = known_or_any(args[0]).plus(known_or_any(args[1]))
            one, other = self._entry_sizes(e.args[0]), self._entry_sizes(e.args[1])
            if one is not None and other is not None:
                self._entries[e.id] = _joined(one, other)
            return CallCost((ONE if id == "add_list" else size.scaled(TRAVERSAL)).plus(spent), size)
        by_overload = BY_OVERLOAD.get(id)
        if by_overload is not None:
            found = by_overload(self._given_size, id, target, args)
            if found is not None:
                return CallCost(found.cost.plus(spent), found.size)
        return CallCost(ONE.plus(spent))

    def _given_size(self, operand: Operand) -> Range:
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
    """Whether values of the type are of one size."""
    if t.kind is Kind.OPAQUE and t.name == "optional_type":
        return is_scalar(t.params[0])
    return t.kind in (Kind.BOOL, Kind.DOUBLE, Kind.DURATION, Kind.INT, Kind.TIMESTAMP, Kind.UINT)


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
