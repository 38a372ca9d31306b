"""What an expression may use, and what it becomes: `Environment` compiles, `Program` estimates and evaluates.

The library set is that of Kubernetes 1.36 (apiserver's base environment). Nothing here does I/O; an authorizer is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .attributes import Frame, Missing, Run
from .checker import Checker
from .declarations import Functions
from .errors import CompileError, CostExceeded, EvaluationError, Issue
from .estimates import Estimator, Sizes, sizes_of
from .folds import Exhausted
from .functions.library import FUNCTIONS, TYPE_NAMES
from .macros import Macros
from .parser import DEEPEST, parse
from .plan import Planner
from .tree import Expr
from .types import Reader, Type, is_optional
from .validators import validate
from .values import NONE, Optional

PER_CALL_LIMIT = 1_000_000
StructTypes = Callable[[str], Type | None]
MakeStruct = Callable[[str, dict[str, Any]], Any]


def _no_struct(_: str) -> Type | None:
    return None


def _make_none(name: str, _: dict[str, Any]) -> Any:
    raise EvaluationError(f"unknown type: {name}")


_INTERNAL = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What a function raises for values that it was never meant for: the evaluation fails, as upstream's does when one panics."""


class Environment:
    """Variables with their types over Kubernetes' functions and macros. `functions` and `macros` add to those; `struct_type` gives types that an
    expression may construct by name, and `make_struct` makes their values."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        *,
        functions: Functions | None = None,
        macros: Macros = MappingProxyType({}),
        struct_type: StructTypes = _no_struct,
        make_struct: MakeStruct = _make_none,
    ) -> None:
        self._variables = dict(variables)
        self._functions = FUNCTIONS if not functions else {**FUNCTIONS, **functions}
        self._struct_type, self._make_struct, self._macros = struct_type, make_struct, macros

    @property
    def variables(self) -> Mapping[str, Type]:
        return self._variables

    def extend(self, variables: Mapping[str, Type]) -> Environment:
        """The same environment with more variables, or with others in their place."""
        new = Environment.__new__(Environment)
        new._variables = {**self._variables, **variables}
        new._functions, new._macros = self._functions, self._macros
        new._struct_type, new._make_struct = self._struct_type, self._make_struct
        return new

    def compile(self, expression: str, expected: Type | tuple[Type, ...] | None = None) -> Program:
        """Parses, checks, validates and plans. `expected` is what the result's type must be one of.

        Raises CompileError; ProgramError when the fault shows in planning only.
        """
        try:
            tree, checked = self._checked(expression)
            result = checked.types[tree.id]
            if expected is not None and result not in (expected if isinstance(expected, tuple) else (expected,)):
                raise CompileError(expression, [Issue(_unexpected(expected), -1, -1)])
            planner = Planner(checked, self._functions, self._make_struct)
            run = planner.run(tree)
        except RecursionError:
            raise _too_deep(expression) from None
        return Program(expression, result, tree, checked, run, planner.slots, planner.size, self._variables)

    def check(self, expression: str) -> Type:
        """The type of the result, without a program. Raises CompileError, and no ProgramError."""
        try:
            tree, checked = self._checked(expression)
        except RecursionError:
            raise _too_deep(expression) from None
        return checked.types[tree.id]

    def _checked(self, expression: str) -> tuple[Expr, Checker]:
        tree, offsets, source = parse(expression, self._macros)
        issues: list[Issue] = []
        checked = Checker(source, offsets, issues, self._variables, self._functions, self._struct_type, TYPE_NAMES)
        checked.check(tree)
        if not issues:
            validate(tree, checked)
        if issues:
            raise CompileError(expression, issues)
        return tree, checked


def _too_deep(expression: str) -> CompileError:
    return CompileError(expression, [Issue(f"expression recursion limit exceeded: {DEEPEST}", -1, -1)])


def _unexpected(expected: Type | tuple[Type, ...]) -> str:
    names = [t.name for t in (expected if isinstance(expected, tuple) else (expected,))]
    return f"must evaluate to {names[0]}" if len(names) == 1 else f"must evaluate to one of: {' '.join(names)}"


def reader(t: Type) -> Reader | None:
    """How a variable's JSON is read. An optional one is None for none."""
    if not is_optional(t):
        return t.read
    read = t.params[0].read

    def optional(value: Any) -> Any:
        if value is None or isinstance(value, Optional):
            return value or NONE
        return Optional(value if read is None else read(value))

    return optional


class Program:
    """A compiled expression. `references` are the names of the variables that it reads."""

    def __init__(
        self,
        expression: str,
        result_type: Type,
        tree: Expr,
        checked: Checker,
        run: Run,
        slots: dict[str, int],
        size: int,
        variables: Mapping[str, Type],
    ) -> None:
        self.expression = expression
        self.result_type = result_type
        self.references = frozenset(slots)
        self._tree, self._checked, self._run = tree, checked, run
        self._variables = variables
        self._reads = [(slot, name, reader(variables[name])) for name, slot in slots.items()]
        self._size = size

    def estimate(self, sizes: Sizes | None = None) -> tuple[int, int]:
        """The least and the most that an evaluation may cost. `sizes` bounds the size of what a path leads to ("self", "items",
        "@items", ...); by default the variables' types do."""
        estimator = Estimator(self._checked, sizes or sizes_of(self._variables))
        cost = estimator.cost(self._tree)
        return cost.least, cost.most

    def evaluate(self, variables: Mapping[str, Any], *, limit: int = PER_CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost. Variables are JSON, read through their declared types; those not given fail when read.

        Raises EvaluationError (`cost` is what was spent until then), CostExceeded when that is more than `limit`.
        """
        frame: Frame = [None] * (self._size + 1)
        frame[0], frame[-1] = 0, limit
        for slot, name, read in self._reads:
            try:
                value = variables[name]
            except KeyError:
                frame[slot] = Missing(name)
                continue
            frame[slot] = value if read is None else read(value)
        try:
            result = self._run(frame)
        except EvaluationError as error:
            error.cost = frame[0]
            if frame[0] <= limit:
                raise
        except Exhausted:
            pass
        except _INTERNAL as error:
            failure = EvaluationError(f"internal error: {error}")
            failure.cost = frame[0]
            raise failure from error
        else:
            if frame[0] <= limit:
                return result, frame[0]
        exceeded = CostExceeded()
        exceeded.cost = frame[0]
        raise exceeded
