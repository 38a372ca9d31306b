"""Workloads and PodGroups: pods that are scheduled together. Upstream declares these rules at the fields of the types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import Errors, Object, duplicate, each, invalid, not_supported, required, too_many
from kubetree.api.validation.go_structs import GoStruct
from kubetree.api.validation.metadata import IMMUTABLE, conditions
from kubetree.api.validation.names import NameRule, dns_label, dns_subdomain, label_key, path_segment

Thing = dict[str, Any]
_MOST_TEMPLATES, _MOST_CLAIMS, _MOST_TOPOLOGIES = 8, 4, 1
_MODES = ("Pod", "PodGroup")
_HIGHEST, _LOWEST = 1_000_000_000, -(1 << 31)


def workload(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    reference = spec.get("controllerRef")
    if reference is not None:
        path = "spec.controllerRef"
        if reference.get("apiGroup"):
            each(errs, f"{path}.apiGroup", reference["apiGroup"], dns_subdomain(reference["apiGroup"]))
        for field in ("kind", "name"):
            _named(errs, reference, field, path, path_segment)
    templates = spec.get("podGroupTemplates") or ()
    if not templates:
        errs.append(required("spec.podGroupTemplates"))
    _listed(errs, templates, _MOST_TEMPLATES, _template, "spec.podGroupTemplates")


def workload_update(errs: Errors, new: Thing, old: Thing) -> None:
    workload(errs, new)
    _unchanged(errs, new, old, ("controllerRef", "podGroupTemplates"))


def _template(errs: Errors, template: Object, path: str) -> None:
    _named(errs, template, "name", path, dns_label)
    _parts(errs, template, path)


def pod_group(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    reference = spec.get("podGroupTemplateRef")
    if reference is not None:
        path, found = "spec.podGroupTemplateRef", reference.get("workload")
        if found is None:
            errs.append(invalid(path, "", "must specify one of: `workload`"))
        else:
            _named(errs, found, "workloadName", f"{path}.workload", dns_subdomain)
            _named(errs, found, "podGroupTemplateName", f"{path}.workload", dns_label)
    _parts(errs, spec, "spec")


_FIXED = (
    "podGroupTemplateRef", "schedulingPolicy", "schedulingConstraints", "resourceClaims", "disruptionMode", "priorityClassName", "priority"
)  # fmt: skip


def pod_group_update(errs: Errors, new: Thing, old: Thing) -> None:
    pod_group(errs, new)
    _unchanged(errs, new, old, _FIXED)


def pod_group_status(errs: Errors, new: Thing, old: Thing) -> None:
    status = new.get("status") or {}
    conditions(errs, status.get("conditions"), "status.conditions")
    known = {claim.get("name") for claim in (new.get("spec") or {}).get("resourceClaims") or ()}
    statuses, path = status.get("resourceClaimStatuses") or (), "status.resourceClaimStatuses"
    for i, found in enumerate(statuses):
        if found.get("name") not in known:
            errs.append(invalid(f"{path}[{i}].name", found.get("name") or "", "must match the name of an entry in `spec.resourceClaims`"))
    _listed(errs, statuses, _MOST_CLAIMS, _claim_status, path)


def _claim_status(errs: Errors, found: Object, path: str) -> None:
    if found.get("resourceClaimName") is not None:
        each(errs, f"{path}.resourceClaimName", found["resourceClaimName"], dns_subdomain(found["resourceClaimName"]))


def _unchanged(errs: Errors, new: Thing, old: Thing, fields: Sequence[str]) -> None:
    now, before = new.get("spec") or {}, old.get("spec") or {}
    for field in fields:
        if not semantic_equal(now.get(field), before.get(field)):
            errs.append(invalid(f"spec.{field}", None, IMMUTABLE))


_ORDER = (
    "name", "schedulingPolicy", "schedulingConstraints", "resourceClaims", "disruptionMode", "priorityClassName", "priority",
    "resourceClaimName", "resourceClaimTemplateName",
)  # fmt: skip
"""Of the fields of what stands in these lists, as Go's types have them."""


def _named(errs: Errors, parent: Object, field: str, path: str, rule: NameRule) -> None:
    value = parent.get(field) or ""
    if not value:
        errs.append(required(f"{path}.{field}"))
    else:
        each(errs, f"{path}.{field}", value, rule(value))


def _listed(errs: Errors, values: Sequence[Object], most: int, check: Callable[[Errors, Object, str], None], path: str) -> None:
    """A list that is a map by name; one that is too long is looked at no closer."""
    if len(values) > most:
        errs.append(too_many(path, len(values), most))
        return
    seen = set()
    for i, value in enumerate(values):
        name = value.get("name") or ""
        if name in seen:
            errs.append(duplicate(f"{path}[{i}]", GoStruct((field, value[field]) for field in _ORDER if field in value)))
        seen.add(name)
    for i, value in enumerate(values):
        check(errs, value, f"{path}[{i}]")


def _parts(errs: Errors, spec: Object, path: str) -> None:
    """What a group and a template for it have in common."""
    _policy(errs, spec.get("schedulingPolicy") or {}, f"{path}.schedulingPolicy")
    constraints = spec.get("schedulingConstraints")
    if constraints is not None:
        at, topologies = f"{path}.schedulingConstraints.topology", constraints.get("topology") or ()
        if len(topologies) > _MOST_TOPOLOGIES:
            errs.append(too_many(at, len(topologies), _MOST_TOPOLOGIES))
        else:
            for i, topology in enumerate(topologies):
                _named(errs, topology, "key", f"{at}[{i}]", label_key)
    _listed(errs, spec.get("resourceClaims") or (), _MOST_CLAIMS, _claim, f"{path}.resourceClaims")
    mode, class_name, priority = spec.get("disruptionMode"), spec.get("priorityClassName") or "", spec.get("priority")
    if mode is not None and mode not in _MODES:
        errs.append(not_supported(f"{path}.disruptionMode", mode, _MODES))
    if class_name:
        each(errs, f"{path}.priorityClassName", class_name, dns_subdomain(class_name))
    if priority is not None and priority > _HIGHEST:
        errs.append(invalid(f"{path}.priority", priority, f"must be less than or equal to {_HIGHEST}"))
    if priority is not None and priority < _LOWEST:
        errs.append(invalid(f"{path}.priority", priority, f"must be greater than or equal to {_LOWEST}"))


def _policy(errs: Errors, policy: Object, path: str) -> None:
    chosen = [name for name in ("basic", "gang") if policy.get(name) is not None]
    if not chosen:
        errs.append(invalid(path, "", "must specify one of: `basic`, `gang`"))
    elif len(chosen) > 1:
        errs.append(invalid(path, "{basic, gang}", "must specify exactly one of: `basic`, `gang`"))
    count = (policy.get("gang") or {}).get("minCount") or 0
    if policy.get("gang") is not None:
        if not count:
            errs.append(required(f"{path}.gang.minCount"))
        elif count < 1:
            errs.append(invalid(f"{path}.gang.minCount", count, "must be greater than or equal to 1"))


def _claim(errs: Errors, claim: Object, path: str) -> None:
    chosen = [name for name in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(name) is not None]
    if len(chosen) != 1:
        words = "must specify one of" if not chosen else "must specify exactly one of"
        shown = "" if not chosen else "{resourceClaimName, resourceClaimTemplateName}"
        errs.append(invalid(path, shown, f"{words}: `resourceClaimName`, `resourceClaimTemplateName`"))
    _named(errs, claim, "name", path, dns_label)
    for name in chosen:
        each(errs, f"{path}.{name}", claim[name], dns_subdomain(claim[name]))
