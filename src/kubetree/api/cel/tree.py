"""The syntax tree of an expression. Nodes are numbered in cel-go's order: places, types and cost estimates go by number.

Nodes change in one way only: the checker resolves names in place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

ACCUMULATOR = "@result"
UNUSED = "#unused"


class Expr:
    """A node. `id` is its number."""

    __slots__ = ("id",)

    id: int


class Unspecified(Expr):
    """What stands where an error was reported."""

    __slots__ = ()

    def __init__(self, id: int) -> None:
        self.id = id


class Literal(Expr):
    """`value` is None, a bool, int, UInt, float, str or bytes."""

    __slots__ = ("value",)

    def __init__(self, id: int, value: Any) -> None:
        self.id, self.value = id, value


class Ident(Expr):
    """A variable, a constant of a type's name, or the beginning of a qualified name."""

    __slots__ = ("name",)

    def __init__(self, id: int, name: str) -> None:
        self.id, self.name = id, name


class Select(Expr):
    """`operand.field`, or with `test_only` the question of `has(operand.field)`."""

    __slots__ = ("field", "operand", "test_only")

    def __init__(self, id: int, operand: Expr, field: str, *, test_only: bool = False) -> None:
        self.id, self.operand, self.field, self.test_only = id, operand, field, test_only


class Call(Expr):
    """`target` is None for a global function or an operator."""

    __slots__ = ("args", "function", "target")

    def __init__(self, id: int, function: str, args: list[Expr], target: Expr | None = None) -> None:
        self.id, self.function, self.args, self.target = id, function, args, target


class ListExpr(Expr):
    """`optionals` are the indices of elements written `?element`."""

    __slots__ = ("elements", "optionals")

    def __init__(self, id: int, elements: list[Expr], optionals: frozenset[int] = frozenset()) -> None:
        self.id, self.elements, self.optionals = id, elements, optionals


class Entry(NamedTuple):
    """Of a map: its number is the colon's. `optional`: written `?key: value`."""

    id: int
    key: Expr
    value: Expr
    optional: bool


class MapExpr(Expr):
    """`{key: value, ...}`"""

    __slots__ = ("entries",)

    def __init__(self, id: int, entries: list[Entry]) -> None:
        self.id, self.entries = id, entries


class Field(NamedTuple):
    """Of an object that an expression makes. `optional`: written `?name: value`."""

    id: int
    name: str
    value: Expr
    optional: bool


class StructExpr(Expr):
    """`Type{name: value, ...}`"""

    __slots__ = ("fields", "type_name")

    def __init__(self, id: int, type_name: str, fields: list[Field]) -> None:
        self.id, self.type_name, self.fields = id, type_name, fields


class Comprehension(Expr):
    """What every macro over a range becomes: fold `step` over `range` while `condition` holds, then `result`.

    `var2` is "" in the form of one variable. `cel.bind` and `optMap` are folds over nothing: their `init` is read lazily.
    """

    __slots__ = ("accumulator", "condition", "init", "range", "result", "step", "var", "var2")

    def __init__(
        self, id: int, range: Expr, var: str, var2: str, accumulator: str, init: Expr, condition: Expr, step: Expr, result: Expr
    ) -> None:
        self.id, self.range, self.var, self.var2 = id, range, var, var2
        self.accumulator, self.init, self.condition, self.step, self.result = accumulator, init, condition, step, result

    @property
    def is_bind(self) -> bool:
        return (
            isinstance(self.range, ListExpr)
            and not self.range.elements
            and isinstance(self.condition, Literal)
            and not self.condition.value
        )


def children(e: Expr) -> list[Expr]:
    """The nodes right below, in cel-go's order."""
    if isinstance(e, Select):
        return [e.operand]
    if isinstance(e, Call):
        return ([e.target] if e.target is not None else []) + e.args
    if isinstance(e, ListExpr):
        return e.elements
    if isinstance(e, MapExpr):
        return [node for entry in e.entries for node in (entry.key, entry.value)]
    if isinstance(e, StructExpr):
        return [field.value for field in e.fields]
    if isinstance(e, Comprehension):
        return [e.range, e.init, e.condition, e.step, e.result]
    return []


def qualified_name(e: Expr) -> str | None:
    """'a.b.c' when the node may be a name with dots in it."""
    if isinstance(e, Ident):
        return e.name
    if isinstance(e, Select) and not e.test_only:
        prefix = qualified_name(e.operand)
        return None if prefix is None else f"{prefix}.{e.field}"
    return None
