"""Evaluating what users wrote over a request: what each variable is, and what everything together may cost.

Follows admission/plugin/cel: activation.go, condition.go and composition.go. Variables are computed when an expression reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.cel import PER_CALL_LIMIT, EvaluationError
from kubetree.api.policy_expressions import Compiled

Object = dict[str, Any]


class OutOfBudget(Exception):
    """All that the expressions may cost has been spent."""

    def __init__(self) -> None:
        super().__init__("validation failed due to running out of cost budget, no further validation rules will be run")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` '' means that `value` is what the expression came to."""

    value: Any = None
    error: str = ""


class Activation(Mapping[str, Any]):
    """The variables of one evaluation. `lazy` ones are computed at the first reading and then `known`; `variables` are a policy's own."""

    def __init__(
        self, known: dict[str, Any], lazy: Mapping[str, Callable[[], Any]], variables: Mapping[str, Compiled] | None = None
    ) -> None:
        self._known, self._lazy = known, lazy
        self.composed = Composed(variables, self) if variables else None

    def with_variables(self, variables: Mapping[str, Compiled]) -> Activation:
        """None of them computed yet."""
        return Activation(self._known, self._lazy, variables) if variables else self

    def __getitem__(self, name: str) -> Any:
        if name == "variables" and self.composed is not None:
            return self.composed
        if name not in self._known:
            self._known[name] = self._lazy[name]()
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter({*self._known, *self._lazy})

    def __len__(self) -> int:
        return len({*self._known, *self._lazy})


@dataclass(eq=False)
class Composed(Mapping[str, Any]):
    """`variables`: each computed once, and charged to the expression that reads it first."""

    compiled: Mapping[str, Compiled]
    activation: Activation
    cost: int = 0
    _known: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._computed(name, self.compiled[name])
        found = self._known[name]
        if isinstance(found, EvaluationError):
            raise EvaluationError(found.message)
        return found

    def _computed(self, name: str, compiled: Compiled) -> Any:
        if compiled.program is None:
            return EvaluationError(f'composited variable "{name}" fails to compile: {compiled.error}')
        try:
            value, cost = compiled.program.evaluate(self.activation, limit=PER_CALL_LIMIT)
        except EvaluationError as error:
            self.cost += error.cost
            return EvaluationError(f'composited variable "{name}" fails to evaluate: {error.message}')
        self.cost += cost
        return value

    def take_cost(self) -> int:
        """What was spent since it was last asked."""
        spent, self.cost = self.cost, 0
        return spent

    def __iter__(self) -> Iterator[str]:
        return iter(self.compiled)

    def __len__(self) -> int:
        return len(self.compiled)


def evaluate(compiled: Compiled, activation: Activation, budget: int) -> tuple[Outcome, int]:
    """What came of it, and what is left of the budget. Raises OutOfBudget."""
    if compiled.program is None:
        return Outcome(error=f"compilation error: {compiled.error}"), budget
    try:
        value, cost = compiled.program.evaluate(activation, limit=PER_CALL_LIMIT)
        outcome = Outcome(value)
    except EvaluationError as error:
        cost = error.cost
        outcome = Outcome(error=f"expression '{compiled.expression}' resulted in error: {error.message}")
    if activation.composed is not None:
        cost += activation.composed.take_cost()
    if cost > budget:
        raise OutOfBudget
    return outcome, budget - cost
