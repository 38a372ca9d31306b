"""Nodes of what macros expand to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tree import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Entry,
    Expr,
    Field,
    Ident,
    ListExpr,
    Literal,
    MapExpr,
    Select,
    StructExpr,
    Unspecified,
)

if TYPE_CHECKING:
    from .parser import Parser


class Expander:
    """Builds the nodes of one macro's expansion: all stand where the macro's call does."""

    __slots__ = ("_offset", "_parser")

    def __init__(self, parser: Parser, number: int) -> None:
        self._parser, self._offset = parser, parser.offsets.get(number)

    def number(self) -> int:
        return self._parser.number(self._offset)

    def literal(self, value: object) -> Expr:
        return Literal(self.number(), value)

    def ident(self, name: str) -> Expr:
        return Ident(self.number(), name)

    def accumulator(self) -> Expr:
        return Ident(self.number(), ACCUMULATOR)

    def list(self, *elements: Expr) -> Expr:
        return ListExpr(self.number(), list(elements))

    def map(self) -> Expr:
        return MapExpr(self.number(), [])

    def call(self, function: str, *args: Expr) -> Expr:
        return Call(self.number(), function, list(args))

    def method(self, function: str, target: Expr, *args: Expr) -> Expr:
        return Call(self.number(), function, list(args), target)

    def presence(self, operand: Expr, field: str) -> Expr:
        return Select(self.number(), operand, field, test_only=True)

    def fold(self, range: Expr, var: str, var2: str, accumulator: str, init: Expr, condition: Expr, step: Expr, result: Expr) -> Expr:
        return Comprehension(self.number(), range, var, var2, accumulator, init, condition, step, result)

    def copy(self, e: Expr) -> Expr:
        """The same nodes under new numbers, at the old places."""
        new = self._parser.number(self._parser.offsets.get(e.id))
        if isinstance(e, Literal):
            return Literal(new, e.value)
        if isinstance(e, Ident):
            return Ident(new, e.name)
        if isinstance(e, Select):
            return Select(new, self.copy(e.operand), e.field, test_only=e.test_only)
        if isinstance(e, Call):
            args = [self.copy(arg) for arg in e.args]
            return Call(new, e.function, args, None if e.target is None else self.copy(e.target))
        if isinstance(e, ListExpr):
            return ListExpr(new, [self.copy(element) for element in e.elements], e.optionals)
        if isinstance(e, MapExpr):
            return MapExpr(new, [Entry(self.number(), self.copy(k), self.copy(v), optional) for _, k, v, optional in e.entries])
        if isinstance(e, StructExpr):
            return StructExpr(new, e.type_name, [Field(self.number(), n, self.copy(v), optional) for _, n, v, optional in e.fields])
        if isinstance(e, Comprehension):
            parts = [self.copy(part) for part in (e.range, e.init, e.condition, e.step, e.result)]
            return Comprehension(new, parts[0], e.var, e.var2, e.accumulator, *parts[1:])
        return Unspecified(new)
