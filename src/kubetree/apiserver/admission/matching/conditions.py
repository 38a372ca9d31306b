"""matchConditions: expressions that must all hold before a webhook is asked or a policy looks. Follows plugin/webhook/matchconditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.cel import BOOL
from kubetree.api.policy_expressions import Compiled, Scope, Variables, compiled, environment
from kubetree.api.policy_expressions.environments import CONDITIONS_BUDGET
from kubetree.apiserver.admission.matching.evaluation import Activation, OutOfBudget, evaluate
from kubetree.apiserver.admission.metrics import AdmissionMetrics

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Matched:
    """`error`: why the request is refused although nothing said that it does not match."""

    matches: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """`fails`: a condition that cannot be evaluated refuses the request, else the webhook or policy is passed over. `labels` are what
    metrics call it: its name, webhook or policy, and the phase. `variables` are those of the policy."""

    expressions: tuple[Compiled, ...]
    fails: bool
    labels: tuple[str, str, str]
    variables: Mapping[str, Compiled] | None = None

    def matched(self, activation: Activation, operation: str, metrics: AdmissionMetrics, clock: Callable[[], float]) -> Matched:
        started, errors = clock(), []
        if self.variables is not None:
            activation = activation.with_variables(self.variables)
        left = CONDITIONS_BUDGET
        try:
            outcomes = []
            for expression in self.expressions:
                outcome, left = evaluate(expression, activation, left)
                outcomes.append(outcome)
        except OutOfBudget as error:
            return Matched(False, str(error) if self.fails else "")
        finally:
            metrics.conditions_evaluated(clock() - started, *self.labels, operation)
        for outcome in outcomes:
            if outcome.error:
                errors.append(outcome.error)
                metrics.condition_failed(*self.labels, operation)
            elif outcome.value is False:
                return Matched(False)
        if not errors:
            return Matched(True)
        if not self.fails:
            return Matched(False)
        listed = list(dict.fromkeys(errors))
        return Matched(False, listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]")


def compile_conditions(
    given: Sequence[Object],
    labels: tuple[str, str, str],
    *,
    fails: bool,
    params: bool = False,
    types: Variables | None = None,
    variables: Mapping[str, Compiled] | None = None,
) -> Conditions:
    """Of matchConditions. `types` and `variables` are those of the policy that they belong to, None for a webhook's."""
    scope = environment(Scope(params=params), types)
    return Conditions(tuple(compiled(scope, condition["expression"], BOOL) for condition in given), fails, labels, variables)
