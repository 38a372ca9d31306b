"""A ValidatingAdmissionPolicy compiled, and what it says of one request. Follows plugin/policy/validating/validator.go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.cel import BOOL, NULL, STRING
from kubetree.api.policy_expressions import Compiled, Scope, Variables, compiled, environment
from kubetree.api.policy_expressions.environments import BUDGET
from kubetree.apiserver.admission.matching.conditions import Conditions, compile_conditions
from kubetree.apiserver.admission.matching.evaluation import Activation, Outcome, OutOfBudget, evaluate
from kubetree.apiserver.admission.metrics import AdmissionMetrics

Object = dict[str, Any]
_LONGEST_MESSAGE = 5 * 1024
ADMIT, DENY = "admit", "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one expression came to. `failed`: it could not be evaluated. `index` is its place in the policy."""

    action: str
    message: str = ""
    reason: str = ""
    failed: bool = False
    index: int = 0
    seconds: float = 0.0

    @property
    def error_type(self) -> str:
        """As upstream's metrics have it."""
        return error_type(self.message) if self.failed else "no_error"


def error_type(message: str) -> str:
    """What metrics call the failure that a message tells of."""
    if "compilation" in message:
        return "compile_error"
    return "out_of_budget" if "cost budget" in message else "invalid_error"


_PASSED = Decision(ADMIT)


@dataclass(frozen=True, slots=True)
class Annotation:
    """For the audit log."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one policy for one request: a decision a validation, in their order."""

    decisions: tuple[Decision, ...] = ()
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Validation:
    condition: Compiled
    message_expression: Compiled | None
    message: str
    reason: str


@dataclass(frozen=True, slots=True)
class Validator:
    """A ValidatingAdmissionPolicy, compiled."""

    validations: tuple[_Validation, ...]
    annotations: tuple[tuple[str, Compiled], ...]
    conditions: Conditions | None
    variables: dict[str, Compiled]
    ignores_failures: bool
    speaks: bool
    """Whether there is a messageExpression."""

    def verdict(self, activation: Activation, operation: str, metrics: AdmissionMetrics, clock: Callable[[], float]) -> Verdict:
        if self.conditions is not None:
            matched = self.conditions.matched(activation, operation, metrics, clock)
            if matched.error:
                return self._failure(matched.error)
            if not matched.matches:
                return Verdict()
        try:
            outcomes, left = self._outcomes(activation.with_variables(self.variables), clock)
        except OutOfBudget as error:
            return self._failure(str(error))
        messages = self._messages(activation, left)
        decisions = tuple(self._decision(i, validation, outcomes[i], messages) for i, validation in enumerate(self.validations))
        if not self.annotations:
            return Verdict(decisions)
        try:
            annotations, failures = self._annotations(activation.with_variables(self.variables))
        except OutOfBudget as error:
            return self._failure(str(error))
        return Verdict(decisions + failures, annotations)

    def _failure(self, message: str) -> Verdict:
        return Verdict((self._failed(message),))

    def _failed(self, message: str, index: int = 0, seconds: float = 0.0) -> Decision:
        return Decision(ADMIT if self.ignores_failures else DENY, message, "", True, index, seconds)

    def _outcomes(self, activation: Activation, clock: Callable[[], float]) -> tuple[list[tuple[Outcome, float]], int]:
        found, left = [], BUDGET
        for validation in self.validations:
            started = clock()
            outcome, left = evaluate(validation.condition, activation, left)
            found.append((outcome, clock() - started))
        return found, left

    def _messages(self, activation: Activation, left: int) -> list[Outcome | None] | str:
        """One for each validation, or why there is none."""
        found: list[Outcome | None] = []
        if not self.speaks:
            return [None] * len(self.validations)
        activation = activation.with_variables(self.variables)
        try:
            for validation in self.validations:
                outcome = None
                if validation.message_expression is not None:
                    outcome, left = evaluate(validation.message_expression, activation, left)
                found.append(outcome)
        except OutOfBudget as error:
            return f"failed messageExpression: {error}"
        return found

    def _decision(
        self, index: int, validation: _Validation, timed: tuple[Outcome, float], messages: list[Outcome | None] | str
    ) -> Decision:
        outcome, seconds = timed
        if outcome.error:
            return self._failed(outcome.error, index, seconds)
        if isinstance(messages, str):
            return self._failed(messages, index, seconds)
        if outcome.value is True:
            return _PASSED
        message = _evaluated(messages[index]) or validation.message.strip()
        message = message or f"failed expression: {validation.condition.expression.strip()}"
        return Decision(DENY, message, validation.reason or "Invalid", False, index, seconds)

    def _annotations(self, activation: Activation) -> tuple[tuple[Annotation, ...], tuple[Decision, ...]]:
        found, failures, left = [], [], BUDGET
        for key, expression in self.annotations:
            outcome, left = evaluate(expression, activation, left)
            if outcome.error:
                if not self.ignores_failures:
                    failures.append(Decision(DENY, outcome.error, "", True, -1))
            elif isinstance(outcome.value, str) and outcome.value.strip():
                found.append(Annotation(key, outcome.value.strip()))
        return tuple(found), tuple(failures)


def _evaluated(outcome: Outcome | None) -> str:
    """What a messageExpression says, '' where it says nothing that can be shown."""
    if outcome is None or outcome.error or not isinstance(outcome.value, str):
        return ""
    message = outcome.value.strip()
    return "" if len(message.encode()) > _LONGEST_MESSAGE or "\n" in message else message


def compile_policy(obj: Object) -> Validator:
    """Raises nothing: an expression that does not compile fails when it is evaluated."""
    spec = obj.get("spec") or {}
    params, ignores = spec.get("paramKind") is not None, spec.get("failurePolicy") == "Ignore"
    types, variables = compile_variables(spec.get("variables") or (), params=params)
    full, quiet = environment(Scope(params=params), types), environment(Scope(params=params, authorizer=False), types)
    conditions = spec.get("matchConditions")
    labels = (obj["metadata"]["name"], "policy", "validate")
    return Validator(
        tuple(
            _Validation(
                compiled(full, rule.get("expression") or "", BOOL),
                compiled(quiet, rule["messageExpression"], STRING) if rule.get("messageExpression") else None,
                rule.get("message") or "",
                rule.get("reason") or "",
            )
            for rule in spec.get("validations") or ()
        ),
        tuple(
            (annotation["key"], compiled(full, annotation.get("valueExpression") or "", STRING, NULL))
            for annotation in spec.get("auditAnnotations") or ()
        ),
        compile_conditions(conditions, labels, fails=not ignores, params=params, types=types, variables=variables) if conditions else None,
        variables,
        ignores,
        any(rule.get("messageExpression") for rule in spec.get("validations") or ()),
    )


def compile_variables(given: Sequence[Object], *, params: bool) -> tuple[Variables, dict[str, Compiled]]:
    """Each may use those before it. One that does not compile has any type: who reads it fails."""
    types, found = Variables(), dict[str, Compiled]()
    for variable in given:
        name = variable["name"]
        found[name] = compiled(environment(Scope(params=params), types), variable.get("expression") or "")
        types.add(name, found[name].type)
    return types, found
