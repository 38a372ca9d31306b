"""Functions as the checker sees them (names, overloads, types) and as the planner calls them (plain Python callables)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .types import Kind, Type

Implementation = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of a function. `run` takes the values of the arguments, the target first, and raises EvaluationError.

    `variadic` says that upstream binds it as a function of any number of arguments: then evaluation stops at the first argument
    that fails, where otherwise all arguments are evaluated (and paid for) before the first failure is the answer.
    """

    id: str
    args: tuple[Type, ...]
    result: Type
    member: bool = False
    run: Implementation | None = None
    variadic: bool = False
    params: tuple[str, ...] = ()


@dataclass(slots=True)
class Function:
    """`run` is one implementation for all overloads, by the values; without it the overload decides."""

    name: str
    overloads: list[Overload] = field(default_factory=list)
    run: Implementation | None = None

    def extended(self, other: Function) -> Function:
        known = {overload.id for overload in self.overloads}
        return Function(self.name, self.overloads + [o for o in other.overloads if o.id not in known], self.run or other.run)


Functions = dict[str, Function]


def overload(
    id: str, args: Iterable[Type], result: Type, run: Implementation | None = None, *, member: bool = False, variadic: bool = False
) -> Overload:
    """`run` is called with the values of `args`. Type variables are found in the types."""
    args = tuple(args)
    names: dict[str, None] = {}
    for t in (*args, result):
        _collect(t, names)
    return Overload(id, args, result, member, run, variadic, tuple(names))


def method(id: str, args: Iterable[Type], result: Type, run: Implementation | None = None, *, variadic: bool = False) -> Overload:
    """An overload called on its first argument."""
    return overload(id, args, result, run, member=True, variadic=variadic)


def function(name: str, *overloads: Overload, run: Implementation | None = None) -> Function:
    """The overloads of one name; `run` where one implementation serves them all."""
    return Function(name, list(overloads), run)


def table(*functions: Function) -> Functions:
    """Functions by name; those of one name are one function with the overloads of all, in order."""
    out: Functions = {}
    for one in functions:
        known = out.get(one.name)
        out[one.name] = one if known is None else known.extended(one)
    return out


def _collect(t: Type, names: dict[str, None]) -> None:
    if t.kind is Kind.PARAM:
        names[t.name] = None
    for p in t.params:
        _collect(p, names)
