"""matchConditions of authorization webhooks: expressions over the question that must all hold before the webhook is asked.

Follows apiserver's pkg/authorization/cel: fields that are empty in the review are there for the expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from kubetree.api.cel import BOOL, STRING, CompileError, Environment, EvaluationError, list_of, map_of
from kubetree.api.cel.types import Type, struct

Object = dict[str, Any]
_RESOURCE_FIELDS = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


@cache
def _environment() -> Environment:
    requirement = struct("kubernetes.SelectorRequirement", {"key": STRING, "operator": STRING, "values": list_of(STRING)})

    def selector(kind: str) -> Type:
        return struct(f"kubernetes.{kind}SelectorAttributes", {"rawSelector": STRING, "requirements": list_of(requirement)})

    selectors = {"fieldSelector": selector("Field"), "labelSelector": selector("Label")}
    resource = struct("kubernetes.ResourceAttributes", {**dict.fromkeys(_RESOURCE_FIELDS, STRING), **selectors})
    fields = {
        "resourceAttributes": resource,
        "nonResourceAttributes": struct("kubernetes.NonResourceAttributes", {"path": STRING, "verb": STRING}),
        "user": STRING,
        "groups": list_of(STRING),
        "extra": map_of(STRING, list_of(STRING)),
        "uid": STRING,
    }
    return Environment({"request": struct("kubernetes.SubjectAccessReviewSpec", fields)})


class MatchConditions:
    """Raises ValueError, naming the expression, for one that does not compile."""

    def __init__(self, expressions: Sequence[str]) -> None:
        self._programs = []
        for i, expression in enumerate(expressions):
            try:
                program = _environment().compile(expression)
            except CompileError as error:
                raise ValueError(_fault(i, expression, f"compilation failed: {error}")) from None
            if program.result_type != BOOL:
                raise ValueError(_fault(i, expression, f"must evaluate to bool but got {program.result_type.name}"))
            self._programs.append(program)

    def matches(self, spec: Object) -> bool:
        """Raises ValueError when none says no and one cannot be evaluated."""
        variables = {"request": complete(spec)}
        errors = []
        for program in self._programs:
            try:
                holds, _ = program.evaluate(variables)
            except EvaluationError as error:
                errors.append(f"cel evaluation error: expression '{program.expression}' resulted in error: {error}")
                continue
            if not holds:
                return False
        if errors:
            raise ValueError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
        return True


def complete(spec: Object) -> Object:
    """A SubjectAccessReviewSpec with its empty fields."""
    found: Object = {"user": "", "groups": [], "uid": "", "extra": {}, **spec}
    if "resourceAttributes" in spec:
        found["resourceAttributes"] = {**dict.fromkeys(_RESOURCE_FIELDS, ""), **spec["resourceAttributes"]}
    if "nonResourceAttributes" in spec:
        found["nonResourceAttributes"] = {"path": "", "verb": "", **spec["nonResourceAttributes"]}
    return found


def _fault(index: int, expression: str, why: str) -> str:
    return f'matchConditions[{index}].expression: Invalid value: "{expression}": {why}'
