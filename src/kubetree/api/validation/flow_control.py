"""API priority and fairness: flow schemas and priority levels."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.names import dns_label, dns_subdomain

Thing = dict[str, Any]
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_ALL_RESOURCES = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
_ALL_PATHS = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def _everyone(*groups: str) -> list[dict[str, Any]]:
    subjects = [{"kind": "Group", "group": {"name": g}} for g in groups]
    return [{"subjects": subjects, "resourceRules": [_ALL_RESOURCES], "nonResourceRules": [_ALL_PATHS]}]


MANDATORY_SCHEMAS: dict[str, dict[str, Any]] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": _everyone("system:masters"),
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": _everyone("system:unauthenticated", "system:authenticated"),
    },
}
MANDATORY_LEVELS: dict[str, dict[str, Any]] = {
    "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    "catch-all": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
    },
}


def _path_problem(path: str) -> str:
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    if path.count("*") > 1 or ("*" in path and not path.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def _wild(errs: Errors, values: list[str], path: str, missing: str, others: str) -> bool:
    """Refuses an empty list and a `*` beside other values; True when the values are left to check."""
    if not values:
        errs.append(required(path, missing))
        return False
    if "*" in values:
        if len(values) > 1:
            errs.append(invalid(path, values, f"if '*' is present, must not specify other {others}"))
        return False
    return True


def _verbs(errs: Errors, rule: Object, path: str) -> None:
    values = rule.get("verbs") or []
    if _wild(errs, values, f"{path}.verbs", "verbs must contain at least one value", "verbs") and not set(values) <= set(_VERBS):
        errs.append(not_supported(f"{path}.verbs", values, _VERBS))


_SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}


def _subject(errs: Errors, subject: Object, path: str) -> None:
    kind = subject.get("kind") or ""
    field = _SUBJECTS.get(kind)
    if field is None:
        errs.append(not_supported(f"{path}.kind", kind, ("Group", "ServiceAccount", "User")))
        return
    value, at = subject.get(field), f"{path}.{field}"
    if value is None:
        errs.append(required(at, f"{field} is required when subject kind is '{kind}'"))
    else:
        name = value.get("name") or ""
        if not name:
            errs.append(required(f"{at}.name"))
        if kind == "ServiceAccount":
            if name and name != "*":
                each(errs, f"{at}.name", name, dns_subdomain(name))
            if value.get("namespace"):
                each(errs, f"{at}.namespace", value["namespace"], dns_label(value["namespace"]))
            else:
                errs.append(required(f"{at}.namespace", "must specify namespace for service account"))
    for other, name in _SUBJECTS.items():
        if other != kind and subject.get(name) is not None:
            errs.append(forbidden(f"{path}.{name}", f"{name} is forbidden when subject kind is not '{other}'"))


def _resource_rule(errs: Errors, rule: Object, path: str) -> None:
    _verbs(errs, rule, path)
    _wild(errs, rule.get("apiGroups") or [], f"{path}.apiGroups", "resource rules must supply at least one api group", "api groups")
    _wild(errs, rule.get("resources") or [], f"{path}.resources", "resource rules must supply at least one resource", "resources")
    namespaces, at = rule.get("namespaces") or [], f"{path}.namespaces"
    if namespaces or not rule.get("clusterScope"):
        missing = "resource rules that are not cluster scoped must supply at least one namespace"
        if _wild(errs, namespaces, at, missing, "namespaces"):
            for i, name in enumerate(namespaces):
                messages = [f"each member of this list must be '*' or a DNS-1123 label; {m}" for m in dns_label(name)]
                each(errs, f"{at}[{i}]", name, messages)


def _path_rule(errs: Errors, rule: Object, path: str) -> None:
    _verbs(errs, rule, path)
    urls, at = rule.get("nonResourceURLs") or [], f"{path}.nonResourceURLs"
    if _wild(errs, urls, at, "nonResourceURLs must contain at least one value", "non-resource URLs"):
        for i, url in enumerate(urls):
            problem = _path_problem(url)
            if problem:
                errs.append(invalid(f"{at}[{i}]", url, problem))


def _conditions(errs: Errors, obj: Thing) -> None:
    seen: set[str] = set()
    for i, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind in seen:
            errs.append(duplicate(f"status.conditions[{i}].type", kind))
        seen.add(kind)
        if not kind:
            errs.append(required(f"status.conditions[{i}].type"))


def flow_schema(errs: Errors, obj: Thing) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    precedence, at = spec.get("matchingPrecedence") or 0, "spec.matchingPrecedence"
    if precedence <= 0:
        errs.append(invalid(at, precedence, "must be a positive value"))
    if precedence > 10000:
        errs.append(invalid(at, precedence, "must not be greater than 10000"))
    if precedence == 1 and name != "exempt":
        errs.append(invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        errs.append(
            not_supported(
                "spec.distinguisherMethod.type", go_struct("flowcontrol.FlowDistinguisherMethod", method), ("ByNamespace", "ByUser")
            )
        )
    level, at = (spec.get("priorityLevelConfiguration") or {}).get("name") or "", "spec.priorityLevelConfiguration.name"
    if level:
        each(errs, at, level, dns_subdomain(level))
    else:
        errs.append(required(at, "must reference a priority level"))
    for i, rule in enumerate(spec.get("rules") or ()):
        path = f"spec.rules[{i}]"
        for j, subject in enumerate(rule.get("subjects") or ()):
            _subject(errs, subject, f"{path}.subjects[{j}]")
        if not rule.get("subjects"):
            errs.append(required(f"{path}.subjects", "subjects must contain at least one value"))
        if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
            errs.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
        for j, part in enumerate(rule.get("resourceRules") or ()):
            _resource_rule(errs, part, f"{path}.resourceRules[{j}]")
        for j, part in enumerate(rule.get("nonResourceRules") or ()):
            _path_rule(errs, part, f"{path}.nonResourceRules[{j}]")
    fixed = MANDATORY_SCHEMAS.get(name)
    if fixed is not None and not semantic_equal(spec, fixed):
        errs.append(invalid("spec", spec, f"spec of '{name}' must equal the fixed value"))
    _conditions(errs, obj)


def status(errs: Errors, new: Thing, old: Thing) -> None:
    _conditions(errs, new)


def _percent(errs: Errors, value: int | None, path: str) -> None:
    if value is not None and not 0 <= value <= 100:
        errs.append(invalid(path, value, "must be between 0 and 100, inclusive"))


def _entropy(queues: int, hand: int) -> int:
    """The bits of a hash that dealing `hand` of `queues` cards takes."""
    return ceil(sum(log2(queues - i) for i in range(hand)))


def _queuing(errs: Errors, queuing: Object, path: str) -> None:
    queues, hand, length = (queuing.get(n) or 0 for n in ("queues", "handSize", "queueLengthLimit"))
    if length <= 0:
        errs.append(invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        errs.append(invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > 10_000_000:
        errs.append(invalid(f"{path}.queues", queues, "must not be greater than 10000000"))
    if hand <= 0:
        errs.append(invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        errs.append(invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif hand > 60 or _entropy(queues, hand) > 60:
        detail = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than 60"
        errs.append(invalid(f"{path}.handSize", hand, detail))


def _limited(errs: Errors, limited: Object, path: str) -> None:
    shares, borrowing, response = (
        limited.get("nominalConcurrencyShares"),
        limited.get("borrowingLimitPercent"),
        limited.get("limitResponse") or {},
    )
    if (shares or 0) < 0:
        errs.append(invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    at, queuing = f"{path}.limitResponse", response.get("queuing")
    if response.get("type") == "Reject":
        if queuing is not None:
            errs.append(forbidden(f"{at}.queuing", "must be nil if limited.limitResponse.type is not Limited"))
    elif response.get("type") == "Queue":
        if queuing is None:
            errs.append(required(f"{at}.queuing", "must not be empty if limited.limitResponse.type is Limited"))
        else:
            _queuing(errs, queuing, f"{at}.queuing")
    else:
        errs.append(not_supported(f"{at}.type", response.get("type") or "", ("Queue", "Reject")))
    _percent(errs, limited.get("lendablePercent"), f"{path}.lendablePercent")
    if borrowing is not None and borrowing < 0:
        errs.append(invalid(f"{path}.borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer"))


def priority_level(errs: Errors, obj: Thing) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    sort, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (sort == "Exempt"):
        errs.append(invalid("spec.type", sort, "must be 'Exempt' if and only if `name` is 'exempt'"))
    if sort == "Exempt":
        if limited is not None:
            errs.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
        if exempt is not None:
            if (exempt.get("nominalConcurrencyShares") or 0) < 0:
                shares = exempt["nominalConcurrencyShares"]
                errs.append(invalid("spec.exempt.nominalConcurrencyShares", shares, "must be a non-negative integer"))
            _percent(errs, exempt.get("lendablePercent"), "spec.exempt.lendablePercent")
    elif sort == "Limited":
        if exempt is not None:
            errs.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            errs.append(required("spec.limited", "must not be empty when type is Limited"))
        else:
            _limited(errs, limited, "spec.limited")
    else:
        errs.append(not_supported("spec.type", sort, ("Exempt", "Limited")))
    fixed = MANDATORY_LEVELS.get(name)
    if name == "exempt" and fixed is not None:
        if not semantic_equal({**spec, "exempt": fixed["exempt"]}, fixed):
            errs.append(invalid("spec", spec, "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"))
    elif fixed is not None and not semantic_equal(spec, fixed):
        errs.append(invalid("spec", spec, f"spec of '{name}' must equal the fixed value"))
    _conditions(errs, obj)
