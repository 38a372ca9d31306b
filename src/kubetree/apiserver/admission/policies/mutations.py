"""A MutatingAdmissionPolicy compiled, and what it makes of an object. Follows plugin/policy/mutating: compilation.go and patch/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubetree.api.apply.atomics import check_fit, merged
from kubetree.api.apply.types import EXPRESSED_NULL
from kubetree.api.apply.versions import Versions
from kubetree.api.cel import EvaluationError, list_of
from kubetree.api.kinds import Kind
from kubetree.api.patches import PatchFailed, json_patch
from kubetree.api.policy_expressions import Compiled, Scope, compiled, environment
from kubetree.api.policy_expressions.environments import BUDGET
from kubetree.api.policy_expressions.objects import JSON_PATCH, OBJECT, Built, holds_null, misnamed, to_json
from kubetree.apiserver.admission.matching.conditions import Conditions, compile_conditions
from kubetree.apiserver.admission.matching.evaluation import Activation, OutOfBudget, evaluate
from kubetree.apiserver.admission.policies.validations import compile_variables

Object = dict[str, Any]


class MutationFailed(Exception):
    """A mutation that could not be computed or does not apply."""


@dataclass(frozen=True, slots=True)
class Mutator:
    """A MutatingAdmissionPolicy, compiled."""

    mutations: tuple[Mutation, ...]
    conditions: Conditions | None
    variables: dict[str, Compiled]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One of its expressions, and how what it gives changes an object."""

    expression: Compiled
    apply: Callable[[Any, Object, Kind | None], Object]

    def patched(self, activation: Activation, obj: Object, row: Kind | None) -> Object:
        """A new object. `row` None: the kind is no resource of its own, and has no type to be merged by. Raises MutationFailed."""
        if self.expression.program is None:
            raise MutationFailed(self.expression.error)
        try:
            outcome, _ = evaluate(self.expression, activation, BUDGET)
        except OutOfBudget as error:
            raise MutationFailed(str(error)) from None
        if outcome.error:
            raise MutationFailed(outcome.error)
        try:
            return self.apply(outcome.value, obj, row)
        except EvaluationError as error:
            raise MutationFailed(error.message) from None


def _configured(value: Any, obj: Object, row: Kind | None) -> Object:
    wrong = misnamed(value)
    if wrong:
        raise MutationFailed("type mismatch: " + "\n".join(wrong))
    if row is None:
        shown = f"no corresponding type for {obj['apiVersion']}, Kind={obj['kind']}"
        raise MutationFailed(f"error applying patch: failed to convert patch object to typed object: {shown}")
    identity = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    patch: Object = {**to_json(value), **identity}
    try:
        check_fit(Versions(row).type, {**to_json(value, EXPRESSED_NULL), **identity})
        return merged(Versions(row).type, obj, patch)
    except ValueError as error:
        raise MutationFailed(f"error applying patch: {error}") from None


def _patched(value: Any, obj: Object, row: Kind | None) -> Object:
    operations = []
    for item in value:
        if not isinstance(item, Built):
            raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
        made = item.fields.get("value")
        if isinstance(made, Built):
            wrong = misnamed(made, made.name)
            if wrong:
                raise MutationFailed("type mismatch: " + "\n".join(wrong))
        if holds_null(made):
            raise MutationFailed(_NO_JSON)
        operation: Object = {"op": item.fields.get("op", ""), "path": item.fields.get("path", "")}
        if item.fields.get("from"):
            operation["from"] = item.fields["from"]
        if "value" in item.fields:
            operation["value"] = to_json(made)
        operations.append(operation)
    try:
        return json_patch(obj, operations)
    except PatchFailed as error:
        if error.why.endswith("test failed"):
            return obj
        raise MutationFailed(f"JSON Patch: {error.why}") from None


_NO_JSON = "JSONPath valueExpression evaluated to a type that could not marshal to JSON: proto: invalid type: structpb.NullValue"
_KINDS = {"ApplyConfiguration": ("applyConfiguration", OBJECT, _configured), "JSONPatch": ("jsonPatch", list_of(JSON_PATCH), _patched)}


def compile_policy(obj: Object) -> Mutator:
    """Raises nothing: an expression that does not compile fails when it is evaluated."""
    spec = obj.get("spec") or {}
    params, ignores = spec.get("paramKind") is not None, spec.get("failurePolicy") == "Ignore"
    types, variables = compile_variables(spec.get("variables") or (), params=params)
    scope = environment(Scope(params=params, patches=True), types)
    mutations = []
    for given in spec.get("mutations") or ():
        field, result, apply = _KINDS[given["patchType"]]
        mutations.append(Mutation(compiled(scope, (given.get(field) or {}).get("expression") or "", result), apply))
    conditions = spec.get("matchConditions")
    labels = (obj["metadata"]["name"], "policy", "validate")
    return Mutator(
        tuple(mutations),
        compile_conditions(conditions, labels, fails=not ignores, params=params, types=types, variables=variables) if conditions else None,
        variables,
    )
