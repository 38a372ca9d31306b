"""Warnings about a policy's validations over objects of the kinds that it matches: fields that they do not have, types that do not fit.

Follows plugin/policy/validating/typechecking.go. What cannot be resolved is not warned of: a policy works without its types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kubetree.api.cel import DYN, CompileError, Environment, Type
from kubetree.api.cel.functions.authorization import AUTHORIZER
from kubetree.api.policy_expressions.environments import Variables
from kubetree.api.policy_expressions.types import NAMESPACE, REQUEST

Object = dict[str, Any]
_MOST_TYPES = 10


class Named(NamedTuple):
    """A kind at a version."""

    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


KindsFor = Callable[[str, str, str], Sequence[Named]]
"""Of group ('' for any), version and resource."""
TypeOf = Callable[[Named], Type | None]
"""None for a kind whose schema is not known."""


def check_types(policy: Object, kinds_for: KindsFor, type_of: TypeOf) -> list[Object]:
    """ExpressionWarnings of a ValidatingAdmissionPolicy, in the order of its expressions."""
    spec = policy.get("spec") or {}
    typed = [(kind, found) for kind in _matched(spec, kinds_for) if (found := type_of(kind)) is not None]
    param = _param_kind(spec)
    params = (type_of(param) or DYN) if param is not None else None
    environments = [(kind, _environment(found, params, spec.get("variables") or ())) for kind, found in typed]
    warnings: list[Object] = []
    for i, rule in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            if field == "messageExpression" and not rule.get(field):
                continue
            found_ = [f"{kind}: {issues}\n" for kind, scope in environments if (issues := _issues(scope, rule.get(field) or ""))]
            if found_:
                warnings.append({"fieldRef": f"spec.validations[{i}].{field}", "warning": "\n".join(found_)})
    return warnings


def _environment(obj: Type, params: Type | None, variables: Sequence[Object]) -> Environment:
    known = {"object": obj, "oldObject": obj, "namespaceObject": NAMESPACE, "request": REQUEST, "authorizer": AUTHORIZER}
    if params is not None:
        known["params"] = params
    base, types = Environment(known), Variables()
    for variable in variables:
        try:
            found: Type | None = base.extend({"variables": types.type}).check(variable.get("expression") or "")
        except CompileError:
            found = None
        types.add(variable.get("name") or "", found)
    return base.extend({"variables": types.type})


def _issues(scope: Environment, expression: str) -> str:
    try:
        scope.check(expression)
    except CompileError as error:
        return str(error)
    return ""


def _matched(spec: Object, kinds_for: KindsFor) -> list[Named]:
    """The kinds that the rules name without wildcards."""
    found: set[Named] = set()
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions = sorted(rule.get("apiGroups") or ()), sorted(rule.get("apiVersions") or ())
        resources = sorted(r for r in rule.get("resources") or () if "*" not in r and "/" not in r)
        if any("*" in text for text in (*groups, *versions)):
            continue
        named = [n for g in groups for v in versions for r in resources for n in kinds_for(g, v, r)]
        found.update(named[:_MOST_TYPES])
        if len(named) >= _MOST_TYPES:
            break
    return sorted(found)


def _param_kind(spec: Object) -> Named | None:
    given = spec.get("paramKind")
    if given is None:
        return None
    group, _, version = (given.get("apiVersion") or "").rpartition("/")
    return Named(group, version, given.get("kind") or "")
