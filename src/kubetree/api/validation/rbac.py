"""Roles and their bindings."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import Errors, Object, each, invalid, not_supported, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import label_selector
from kubetree.api.validation.names import dns_subdomain, path_segment
from kubetree.api.validation.rules import ChangeCheck, Check
from kubetree.api.validation.selection import well_formed

GROUP = "rbac.authorization.k8s.io"
Thing = dict[str, Any]


def policy_rule(errs: Errors, rule: Object, path: str, namespaced: bool) -> None:
    if not rule.get("verbs"):
        errs.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        if namespaced:
            errs.append(invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            errs.append(invalid(f"{path}.nonResourceURLs", urls, detail))
        return
    if not rule.get("apiGroups"):
        errs.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errs.append(required(f"{path}.resources", "resource rules must supply at least one resource"))


def role(errs: Errors, obj: Thing) -> None:
    for i, rule in enumerate(obj.get("rules") or ()):
        policy_rule(errs, rule, f"rules[{i}]", True)


def cluster_role(errs: Errors, obj: Thing) -> None:
    for i, rule in enumerate(obj.get("rules") or ()):
        policy_rule(errs, rule, f"rules[{i}]", False)
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        path, selectors = "aggregationRule.clusterRoleSelectors", aggregation.get("clusterRoleSelectors") or ()
        if not selectors:
            errs.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
        for i, selector in enumerate(selectors):
            label_selector(errs, selector, f"{path}[{i}]")
            if not well_formed(selector):
                errs.append(invalid(f"{path}[{i}]", None, "invalid label selector."))


def _subject(errs: Errors, subject: Object, path: str, namespaced: bool) -> None:
    name, kind, group = subject.get("name") or "", subject.get("kind") or "", subject.get("apiGroup") or ""
    if not name:
        errs.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            each(errs, f"{path}.name", name, dns_subdomain(name))
        if group:
            errs.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errs.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            errs.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        errs.append(not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))


def binding(namespaced: bool) -> Check:
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)

    def check(errs: Errors, obj: Thing) -> None:
        ref = obj.get("roleRef") or {}
        name = ref.get("name") or ""
        if ref.get("apiGroup") != GROUP:
            errs.append(not_supported("roleRef.apiGroup", ref.get("apiGroup") or "", (GROUP,)))
        if ref.get("kind") not in kinds:
            errs.append(not_supported("roleRef.kind", ref.get("kind") or "", kinds))
        if not name:
            errs.append(required("roleRef.name"))
        else:
            each(errs, "roleRef.name", name, path_segment(name))
        for i, subject in enumerate(obj.get("subjects") or ()):
            _subject(errs, subject, f"subjects[{i}]", namespaced)

    return check


def binding_update(namespaced: bool) -> ChangeCheck:
    create = binding(namespaced)

    def check(errs: Errors, new: Thing, old: Thing) -> None:
        create(errs, new)
        if not semantic_equal(new.get("roleRef"), old.get("roleRef")):
            errs.append(invalid("roleRef", go_struct("rbac.RoleRef", new.get("roleRef")), "cannot change roleRef"))

    return check
