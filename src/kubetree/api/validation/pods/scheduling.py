"""What a pod asks of the scheduler: affinity, tolerations, spreading, gates. Node selectors are shared with volumes and nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.metadata import label_name, label_selector
from kubetree.api.validation.names import dns_label, dns_subdomain, label_key, label_value
from kubetree.api.validation.resources import NOT_POSITIVE

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_WEIGHT = "must be in the range 1-100"


def _requirement(errs: Errors, requirement: Object, path: str, strict_values: bool) -> None:
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            errs.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errs.append(forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errs.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errs.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    label_name(errs, requirement.get("key") or "", f"{path}.key")
    if strict_values:
        for i, value in enumerate(values):
            each(errs, f"{path}.values[{i}]", value, label_value(value))


def _field_requirement(errs: Errors, requirement: Object, path: str) -> None:
    operator, values, key = requirement.get("operator") or "", requirement.get("values") or (), requirement.get("key") or ""
    if operator not in ("In", "NotIn"):
        errs.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        errs.append(required(f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
    if key != "metadata.name":
        errs.append(invalid(f"{path}.key", key, "not a valid field selector key"))
    else:
        for i, value in enumerate(values):
            each(errs, f"{path}.values[{i}]", value, dns_subdomain(value))


def node_selector_term(errs: Errors, term: Object, path: str, *, strict_values: bool = True) -> None:
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        _requirement(errs, requirement, f"{path}.matchExpressions[{i}]", strict_values)
    for i, requirement in enumerate(term.get("matchFields") or ()):
        _field_requirement(errs, requirement, f"{path}.matchFields[{i}]")


def node_selector(errs: Errors, selector: Object, path: str) -> None:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        errs.append(required(f"{path}.nodeSelectorTerms", "must have at least one node selector term"))
    for i, term in enumerate(terms):
        node_selector_term(errs, term, f"{path}.nodeSelectorTerms[{i}]")


def _label_keys(errs: Errors, keys: Iterable[str], selector: Object | None, path: str) -> None:
    if keys and selector is None:
        errs.append(forbidden(path, "must not be specified when labelSelector is not set"))
        return
    for i, key in enumerate(keys):
        label_name(errs, key, f"{path}[{i}]")


def _match_label_keys(errs: Errors, rule: Object, path: str) -> None:
    """matchLabelKeys were merged into the selector on creation: a key may stand in it once, not twice."""
    match, mismatch = rule.get("matchLabelKeys") or (), rule.get("mismatchLabelKeys") or ()
    if not match and not mismatch:
        return
    selector = rule.get("labelSelector")
    _label_keys(errs, match, selector, f"{path}.matchLabelKeys")
    _label_keys(errs, mismatch, selector, f"{path}.mismatchLabelKeys")
    if selector is not None:
        positions = {key: i for i, key in enumerate(match)}
        seen = set(selector.get("matchLabels") or ())
        for expression in selector.get("matchExpressions") or ():
            key = expression.get("key") or ""
            if key in positions and key in seen:
                errs.append(invalid(f"{path}[{positions[key]}]", key, "exists in both matchLabelKeys and labelSelector"))
            seen.add(key)
    for i, key in enumerate(match):
        if key in mismatch:
            errs.append(invalid(f"{path}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys"))


def _pod_term(errs: Errors, term: Object, path: str) -> None:
    label_selector(errs, term.get("labelSelector"), f"{path}.labelSelector")
    label_selector(errs, term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        each(errs, f"{path}.namespace", name, dns_label(name))
    _match_label_keys(errs, term, path)
    key = term.get("topologyKey") or ""
    if not key:
        errs.append(required(f"{path}.topologyKey", "can not be empty"))
    label_name(errs, key, f"{path}.topologyKey")


def affinity(errs: Errors, value: Object, path: str) -> None:
    node = value.get("nodeAffinity")
    hard, soft = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
    if node is not None:
        if node.get(hard) is not None:
            node_selector(errs, node[hard], f"{path}.nodeAffinity.{hard}")
        for i, term in enumerate(node.get(soft) or ()):
            at = f"{path}.nodeAffinity.{soft}[{i}]"
            _weight(errs, term, at)
            node_selector_term(errs, term.get("preference") or {}, f"{at}.preference", strict_values=False)
    for name in ("podAffinity", "podAntiAffinity"):
        rules = value.get(name) or {}
        for i, term in enumerate(rules.get(hard) or ()):
            _pod_term(errs, term, f"{path}.{name}.{hard}[{i}]")
        for i, weighted in enumerate(rules.get(soft) or ()):
            at = f"{path}.{name}.{soft}[{i}]"
            _weight(errs, weighted, at)
            _pod_term(errs, weighted.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")


def _weight(errs: Errors, term: Object, path: str) -> None:
    weight = term.get("weight") or 0
    if not 1 <= weight <= 100:
        errs.append(invalid(f"{path}.weight", weight, _WEIGHT))


def taint_effect(errs: Errors, effect: str, path: str) -> None:
    if effect not in EFFECTS:
        errs.append(not_supported(path, effect, EFFECTS))


def tolerations(errs: Errors, values: list[dict[str, Any]], path: str) -> None:
    for i, toleration in enumerate(values):
        at = f"{path}[{i}]"
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            bad = label_key(key)
            if bad:
                each(errs, f"{at}.key", key, bad)
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errs.append(invalid(f"{at}.operator", operator, detail))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            errs.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("Equal", ""):
            bad = label_value(value)
            if bad:
                errs.append(invalid(f"{at}.operator", value, ";".join(bad)))
        elif operator == "Exists":
            if value:
                errs.append(invalid(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"))
        elif operator in ("Lt", "Gt"):
            errs.append(not_supported(f"{at}.operator", operator, ("Equal", "Exists", "Lt", "Gt")))
        else:
            errs.append(not_supported(f"{at}.operator", operator, ("Equal", "Exists")))
        if effect:
            taint_effect(errs, effect, f"{at}.effect")


_ACTIONS, _INCLUSION = ("DoNotSchedule", "ScheduleAnyway"), ("Honor", "Ignore")


def topology_spread(errs: Errors, values: list[dict[str, Any]], path: str) -> None:
    seen: set[tuple[str, str]] = set()
    repeated = [(c.get("topologyKey") or "", c.get("whenUnsatisfiable") or "") for c in values]
    for i, constraint in enumerate(values):
        at, pair = f"{path}[{i}]", repeated[i]
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            errs.append(invalid(f"{at}.maxSkew", skew, NOT_POSITIVE))
        if not pair[0]:
            errs.append(required(f"{at}.topologyKey", "can not be empty"))
        if pair[1] not in _ACTIONS:
            errs.append(not_supported(f"{at}.whenUnsatisfiable", pair[1], _ACTIONS))
        if pair in repeated[i + 1 :]:
            errs.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}"))
        seen.add(pair)
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errs.append(invalid(f"{at}.minDomains", domains, NOT_POSITIVE))
            if pair[1] != "DoNotSchedule":
                detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {pair[1]}"
                errs.append(invalid(f"{at}.minDomains", domains, detail))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(name)
            if policy is not None and policy not in _INCLUSION:
                errs.append(not_supported(f"{at}.{name}", policy, _INCLUSION))
        _match_label_keys(errs, constraint, at)
        label_selector(errs, constraint.get("labelSelector"), f"{at}.labelSelector")


def scheduling_gates(errs: Errors, gates: list[Object], path: str) -> None:
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        name = gate.get("name") or ""
        each(errs, f"{path}[{i}]", name, label_key(name))
        if name in seen:
            errs.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)


def readiness_gates(errs: Errors, gates: list[Object], path: str) -> None:
    for i, gate in enumerate(gates):
        each(errs, f"{path}[{i}].conditionType", gate.get("conditionType") or "", label_key(gate.get("conditionType") or ""))
