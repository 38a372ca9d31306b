"""Resource quotas and limit ranges."""

from __future__ import annotations

from typing import Any

from kubetree.api.quantities import Quantity
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, required
from kubetree.api.validation.metadata import IMMUTABLE
from kubetree.api.validation.names import label_key
from kubetree.api.validation.resources import (
    amount,
    container_resource_name,
    is_standard_quota,
    overcommit_allowed,
    quantity,
    quota_resource_name,
    resource_name,
)  # fmt: skip

Thing = dict[str, Any]
_POD_SCOPES = frozenset({"Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"})
_SCOPES = _POD_SCOPES | {"BestEffort", "VolumeAttributesClass"}
_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_PAIRS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_EXISTS_ONLY = frozenset({"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"})


def _scope_fits(scope: str, name: str) -> bool:
    if scope in _POD_SCOPES:
        return name == "pods" or name in _COMPUTE
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return True


def _amounts(errs: Errors, amounts: Object | None, path: str) -> None:
    for name, text in (amounts or {}).items():
        each(errs, f"{path}[{name}]", name, quota_resource_name(name))
        amount(errs, name, text, f"{path}[{name}]")


def _conflicts(errs: Errors, scopes: set[str], shown: Any, path: str) -> None:
    for pair in _PAIRS:
        if scopes.issuperset(pair):
            errs.append(invalid(path, shown, "conflicting scopes"))


def _quota_spec(errs: Errors, spec: Object) -> None:
    hard, scopes = spec.get("hard") or {}, spec.get("scopes") or []
    _amounts(errs, hard, "spec.hard")
    for scope in scopes:
        if scope not in _SCOPES:
            errs.append(invalid("spec.scopes", scopes, "unsupported scope"))
        for name in sorted(hard):
            if is_standard_quota(name) and not _scope_fits(scope, name):
                errs.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    _conflicts(errs, set(scopes), scopes, "spec.scopes")
    selector = spec.get("scopeSelector")
    if selector is None:
        return
    path, seen = "spec.scopeSelector.matchExpressions", set()
    for requirement in selector.get("matchExpressions") or ():
        scope, operator, values = requirement.get("scopeName") or "", requirement.get("operator") or "", requirement.get("values") or []
        if scope not in _SCOPES:
            errs.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        for name in sorted(hard):
            if is_standard_quota(name) and not _scope_fits(scope, name):
                errs.append(invalid(path, selector, "unsupported scope applied to resource"))
        if scope in _EXISTS_ONLY and operator != "Exists":
            detail = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            errs.append(invalid(f"{path}.operator", operator, detail))
        if operator in ("In", "NotIn"):
            if not values:
                errs.append(required(f"{path}.values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errs.append(invalid(f"{path}.values", values, detail))
        else:
            errs.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
        seen.add(scope)
    _conflicts(errs, seen, scopes, path)


def resource_quota(errs: Errors, obj: Thing) -> None:
    _quota_spec(errs, obj.get("spec") or {})
    resource_quota_status(errs, obj, obj)


def resource_quota_update(errs: Errors, new: Thing, old: Thing) -> None:
    spec, was = new.get("spec") or {}, old.get("spec") or {}
    _quota_spec(errs, spec)
    if set(spec.get("scopes") or ()) != set(was.get("scopes") or ()):
        errs.append(invalid("spec.scopes", spec.get("scopes") or [], IMMUTABLE))


def resource_quota_status(errs: Errors, new: Thing, old: Thing) -> None:
    status = new.get("status") or {}
    _amounts(errs, status.get("hard"), "status.hard")
    _amounts(errs, status.get("used"), "status.used")


_LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")


def _limit_type(errs: Errors, kind: str, path: str) -> None:
    bad = label_key(kind)
    each(errs, path, kind, bad)
    if not bad and "/" not in kind and kind not in _LIMIT_TYPES:
        errs.append(invalid(path, kind, "must be a standard limit type or fully qualified"))


def _bounds(errs: Errors, path: str, name: str, of: dict[str, Quantity]) -> None:
    """How min, max, defaults and the ratio of one resource must relate."""
    low, high = of.get("min"), of.get("max")
    default, request, ratio = of.get("default"), of.get("defaultRequest"), of.get("maxLimitRequestRatio")

    def refuse(field: str, value: Quantity, detail: str) -> None:
        errs.append(invalid(f"{path}.{field}[{name}]", str(value), detail))

    if low is not None and high is not None and high < low:
        refuse("min", low, f"min value {low} is greater than max value {high}")
    if request is not None:
        if low is not None and request < low:
            refuse("defaultRequest", request, f"min value {low} is greater than default request value {request}")
        if high is not None and high < request:
            refuse("defaultRequest", request, f"default request value {request} is greater than max value {high}")
        if default is not None and default < request:
            refuse("defaultRequest", request, f"default request value {request} is greater than default limit value {default}")
    if default is not None:
        if low is not None and default < low:
            refuse("default", low, f"min value {low} is greater than default value {default}")
        if high is not None and high < default:
            refuse("default", high, f"default value {default} is greater than max value {high}")
    if ratio is not None:
        if ratio < quantity("1"):
            refuse("maxLimitRequestRatio", ratio, f"ratio {ratio} is less than 1")
        if low is not None and high is not None and low.milli():
            limit = high.milli() / low.milli()
            if ratio.milli() / 1000 > limit:
                refuse("maxLimitRequestRatio", ratio, f"ratio {ratio} is greater than max/min = {limit:f}")
    if not overcommit_allowed(name) and default is not None and request is not None and default != request:
        refuse("defaultRequest", request, f"default value {default} must equal to defaultRequest value {request} in {name}")


def limit_range(errs: Errors, obj: Thing) -> None:
    seen: set[str] = set()
    for i, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{i}]", item.get("type") or ""
        _limit_type(errs, kind, f"{path}.type")
        if kind in seen:
            errs.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        rule = container_resource_name if kind in ("Pod", "Container") else resource_name
        found: dict[str, dict[str, Quantity]] = {}
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            amounts = item.get(field) or {}
            if kind == "Pod" and field.startswith("default"):
                if amounts:
                    errs.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
                continue
            for name, text in amounts.items():
                each(errs, f"{path}.{field}[{name}]", name, rule(name))
                found.setdefault(name, {})[field] = quantity(text)
        if kind == "PersistentVolumeClaim" and not found.get("storage", {}).keys() & {"min", "max"}:
            detail = "either minimum or maximum storage value is required, but neither was provided"
            errs.append(required(f"{path}.limits", detail))
        for name, of in found.items():
            _bounds(errs, path, name, of)
