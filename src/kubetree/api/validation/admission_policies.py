"""Validating and mutating admission policies and their bindings, expressions included: what does not compile is refused here."""

from __future__ import annotations

import re
from typing import Any

from kubetree.api.cel import BOOL, NULL, STRING, list_of
from kubetree.api.cel.checker import RESERVED_FIELDS
from kubetree.api.policy_expressions import Scope, Variables, environment
from kubetree.api.policy_expressions.objects import JSON_PATCH, OBJECT
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.metadata import conditions, label_selector
from kubetree.api.validation.names import dns_1035_label, dns_subdomain, label_key, path_segment
from kubetree.api.validation.webhooks import compiles, enum, match_conditions, rule_with_operations

Thing = dict[str, Any]
_identifier = re.compile("[_a-zA-Z][_a-zA-Z0-9]*").fullmatch
_MUTATING = ("*", "CONNECT", "CREATE", "UPDATE")
_ACTIONS = ("Audit", "Deny", "Warn")


def _named_rule(errs: Errors, rule: Object, path: str) -> None:
    names: set[str] = set()
    for i, name in enumerate(rule.get("resourceNames") or ()):
        each(errs, f"{path}.resourceNames[{i}]", name, path_segment(name))
        if name in names:
            errs.append(duplicate(f"{path}.resourceNames[{i}]", name))
        names.add(name)
    rule_with_operations(errs, rule, path)


def _match_resources(errs: Errors, match: Object, path: str) -> None:
    if match.get("matchPolicy") is None:
        errs.append(required(f"{path}.matchPolicy"))
    enum(errs, match, path, "matchPolicy", "Equivalent", "Exact")
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            errs.append(required(f"{path}.{name}"))
        label_selector(errs, match.get(name), f"{path}.{name}")
    for name in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(name) or ()):
            _named_rule(errs, rule, f"{path}.{name}[{i}]")


def _param_kind(errs: Errors, ref: Object, path: str) -> None:
    version, kind, at = ref.get("apiVersion") or "", ref.get("kind") or "", f"{path}.apiVersion"
    if not version:
        errs.append(required(at))
    elif version.count("/") > 1:
        errs.append(invalid(at, version, f"unexpected GroupVersion string: {version}"))
    else:
        group, _, name = version.rpartition("/")
        if group and dns_subdomain(group):
            errs.append(invalid(at, group, ",".join(dns_subdomain(group))))
        if not name:
            errs.append(invalid(at, version, "version must be specified"))
        elif dns_1035_label(name):
            errs.append(invalid(at, name, ",".join(dns_1035_label(name))))
    if not kind:
        errs.append(required(f"{path}.kind"))
    elif dns_1035_label(kind.lower()):
        detail = f"may have mixed case, but should otherwise match: {','.join(dns_1035_label(kind.lower()))}"
        errs.append(invalid(f"{path}.kind", kind, detail))


def _expression(errs: Errors, value: str | None, path: str, detail: str = "expression is not specified") -> bool:
    """Whether there is one."""
    if not (value or "").strip():
        errs.append(required(path, detail))
        return False
    return True


def _shared(errs: Errors, spec: Object) -> Variables:
    """Failure policy, parameters, constraints, conditions and variables. Gives the variables' types."""
    if spec.get("failurePolicy") is None:
        errs.append(required("spec.failurePolicy"))
    enum(errs, spec, "spec", "failurePolicy", "Fail", "Ignore")
    if spec.get("paramKind") is not None:
        _param_kind(errs, spec["paramKind"], "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errs.append(required("spec.matchConstraints"))
    else:
        _match_resources(errs, constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            errs.append(required("spec.matchConstraints.resourceRules"))
    params, variables = spec.get("paramKind") is not None, Variables()
    match_conditions(errs, spec.get("matchConditions") or [], "spec.matchConditions", params=params)
    for i, variable in enumerate(spec.get("variables") or ()):
        at, name = f"spec.variables[{i}]", variable.get("name") or ""
        if not name.strip():
            errs.append(required(f"{at}.name", "name is not specified"))
        elif not _identifier(name) or name in RESERVED_FIELDS:
            errs.append(invalid(f"{at}.name", name, "must be a valid CEL identifier"))
        if _expression(errs, variable.get("expression"), f"{at}.expression"):
            scope = environment(Scope(params=params), variables)
            variables.add(name, compiles(errs, variable["expression"], f"{at}.expression", scope))
    return variables


def _validation(errs: Errors, rule: Object, path: str, params: bool, variables: Variables | None) -> None:
    if _expression(errs, rule.get("expression"), f"{path}.expression"):
        compiles(errs, rule["expression"], f"{path}.expression", environment(Scope(params=params), variables), BOOL)
    told, message = rule.get("messageExpression") or "", rule.get("message") or ""
    if told.strip():
        quiet = environment(Scope(params=params, authorizer=False), variables)
        compiles(errs, told, f"{path}.messageExpression", quiet, STRING)
    for name, value in (("messageExpression", told), ("message", message)):
        if value and not value.strip():
            errs.append(invalid(f"{path}.{name}", value, "must be non-empty if specified"))
    if "\n" in message.strip() or "\r" in message.strip():
        errs.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    enum(errs, rule, path, "reason", "Forbidden", "Invalid", "RequestEntityTooLarge")


def validating_policy(errs: Errors, obj: Thing) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    params, found = spec.get("paramKind") is not None, _shared(errs, spec)
    variables = found if spec.get("variables") else None
    validations, annotations_ = spec.get("validations") or (), spec.get("auditAnnotations") or []
    if not validations and not annotations_:
        for field in ("validations", "auditAnnotations"):
            errs.append(required(f"spec.{field}", "validations or auditAnnotations must contain at least one item"))
    for i, rule in enumerate(validations):
        _validation(errs, rule, f"spec.validations[{i}]", params, variables)
    if len(annotations_) > 20:
        errs.append(invalid("spec.auditAnnotations", annotations_, "must not have more than 20 auditAnnotations"))
    keys: set[str] = set()
    for i, annotation in enumerate(annotations_):
        at, key = f"spec.auditAnnotations[{i}]", annotation.get("key") or ""
        if name:
            each(errs, f"{at}.key", f"{name}/{key}", label_key(f"{name}/{key}"))
        else:
            errs.append(invalid(f"{at}.key", key, "requires metadata.name be non-empty"))
        value = (annotation.get("valueExpression") or "").strip()
        if not _expression(errs, value, f"{at}.valueExpression", "valueExpression is not specified"):
            pass
        elif len(value) > 5 * 1024:
            errs.append(required(f"{at}.valueExpression", "must not exceed 5120 bytes in length"))
        else:
            scope, given = environment(Scope(params=params), variables), annotation["valueExpression"]
            compiles(errs, value, f"{at}.valueExpression", scope, STRING, NULL, shown=given)
        if key in keys:
            errs.append(duplicate(f"{at}.key", key))
        keys.add(key)


def validating_policy_status(errs: Errors, new: Thing, old: Thing) -> None:
    status = new.get("status") or {}
    for i, warning in enumerate((status.get("typeChecking") or {}).get("expressionWarnings") or ()):
        for name in ("warning", "fieldRef"):
            if not (warning.get(name) or "").strip():
                errs.append(required(f"status.typeChecking.expressionWarnings[{i}].{name}"))
    conditions(errs, status.get("conditions"), "status.conditions")


def _mutating_operations(errs: Errors, match: Object | None, path: str) -> None:
    for rule in (match or {}).get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            if operation not in _MUTATING:
                errs.append(not_supported(f"{path}.resourceRules.operations", operation, _MUTATING))


_PATCHES = {"JSONPatch": ("jsonPatch", list_of(JSON_PATCH)), "ApplyConfiguration": ("applyConfiguration", OBJECT)}


def mutating_policy(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    scope = environment(Scope(params=spec.get("paramKind") is not None, patches=True), _shared(errs, spec))
    _mutating_operations(errs, spec.get("matchConstraints"), "spec.matchConstraints")
    mutations = spec.get("mutations") or ()
    if not mutations:
        errs.append(required("spec.mutations", "mutations must contain at least one item"))
    for i, mutation in enumerate(mutations):
        at, sort = f"spec.mutations[{i}]", mutation.get("patchType") or ""
        if not sort:
            errs.append(required(f"{at}.patchType"))
        elif sort not in _PATCHES:
            errs.append(not_supported(f"{at}.patchType", sort, ("ApplyConfiguration", "JSONPatch")))
        else:
            field, result = _PATCHES[sort]
            if mutation.get(field) is None:
                errs.append(required(f"{at}.{field}", f"must be specified when patchType is {sort}"))
            elif _expression(errs, mutation[field].get("expression"), f"{at}.{field}.expression", ""):
                compiles(errs, mutation[field]["expression"].strip(), f"{at}.{field}.expression", scope, result)
            for other, _ in _PATCHES.values():
                if other != field and mutation.get(other) is not None:
                    errs.append(invalid(f"{at}.{other}", f"{{{other}}}", f"must not be specified when patchType is {sort}"))
    if not spec.get("reinvocationPolicy"):
        errs.append(required("spec.reinvocationPolicy"))
    else:
        enum(errs, spec, "spec", "reinvocationPolicy", "IfNeeded", "Never")


def _param_ref(errs: Errors, ref: Object, path: str) -> None:
    name, selector, action = ref.get("name") or "", ref.get("selector"), ref.get("parameterNotFoundAction")
    exclusive = "name and selector are mutually exclusive"
    if name:
        each(errs, f"{path}.name", name, path_segment(name))
        if selector is not None:
            errs.append(forbidden(f"{path}.name", exclusive))
    if selector is not None:
        label_selector(errs, selector, f"{path}.selector")
        if name:
            errs.append(forbidden(f"{path}.selector", exclusive))
    if not name and selector is None:
        errs.append(required(path, "one of name or selector must be specified"))
    if not action:
        errs.append(required(f"{path}.parameterNotFoundAction"))
    elif action not in ("Deny", "Allow"):
        errs.append(not_supported(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow")))


def _binding(errs: Errors, spec: Object) -> None:
    policy = spec.get("policyName") or ""
    if not policy:
        errs.append(required("spec.policyName"))
    else:
        each(errs, "spec.policyName", policy, dns_subdomain(policy))
    if spec.get("paramRef") is not None:
        _param_ref(errs, spec["paramRef"], "spec.paramRef")
    if spec.get("matchResources") is not None:
        _match_resources(errs, spec["matchResources"], "spec.matchResources")


def validating_binding(errs: Errors, obj: Thing) -> None:
    spec, path = obj.get("spec") or {}, "spec.validationActions"
    _binding(errs, spec)
    actions = spec.get("validationActions") or []
    for i, action in enumerate(actions):
        if action not in _ACTIONS:
            errs.append(not_supported(f"{path}[{i}]", action, _ACTIONS))
        if action in actions[:i]:
            errs.append(duplicate(f"{path}[{i}]", action))
    if "Deny" in actions and "Warn" in actions:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers "
            "serves no purpose)"
        )
        errs.append(invalid(path, actions, detail))
    if not actions:
        errs.append(required(path, "at least one validation action is required"))


def mutating_binding(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    _binding(errs, spec)
    _mutating_operations(errs, spec.get("matchResources"), "spec.matchResources")
