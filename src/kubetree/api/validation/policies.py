"""Disruption budgets, leases, runtime classes, reviews and aggregated APIs: small kinds with few rules."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation import lease_candidates
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.intstr import not_more_than_100_percent, positive_int_or_percent
from kubetree.api.validation.metadata import conditions, immutable, label_selector, labels, nonnegative_fields
from kubetree.api.validation.names import dns_1035_label, dns_label, dns_subdomain, label_key, port_number
from kubetree.api.validation.pods.scheduling import tolerations
from kubetree.api.validation.resources import requirements

Thing = dict[str, Any]


def disruption_budget(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        errs.append(
            invalid("spec", go_struct("policy.PodDisruptionBudgetSpec", spec), "minAvailable and maxUnavailable cannot be both set")
        )
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            positive_int_or_percent(errs, spec[name], f"spec.{name}")
            not_more_than_100_percent(errs, spec[name], f"spec.{name}")
    label_selector(errs, spec.get("selector"), "spec.selector")
    policy, allowed = spec.get("unhealthyPodEvictionPolicy"), ("AlwaysAllow", "IfHealthyBudget")
    if policy is not None and policy not in allowed:
        errs.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, allowed))


def disruption_budget_status(errs: Errors, new: Thing, old: Thing) -> None:
    status = new.get("status") or {}
    conditions(errs, status.get("conditions"), "status.conditions")
    nonnegative_fields(errs, status, "status", "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")


def lease(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    seconds, transitions, strategy = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions"), spec.get("strategy")
    if seconds is not None and seconds <= 0:
        errs.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errs.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    if strategy is not None:
        lease_candidates.strategy(errs, strategy)
    if spec.get("preferredHolder") and not strategy:
        errs.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))


def runtime_class(errs: Errors, obj: Thing) -> None:
    handler = obj.get("handler") or ""
    if not handler:
        errs.append(required("handler"))
    else:
        each(errs, "handler", handler, dns_label(handler))
    if obj.get("overhead") is not None:
        requirements(errs, {"limits": obj["overhead"].get("podFixed")}, "overhead")
    scheduling = obj.get("scheduling") or {}
    labels(errs, scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    values = scheduling.get("tolerations") or []
    tolerations(errs, values, "scheduling.tolerations")
    seen: list[tuple[Any, ...]] = []
    for i, toleration in enumerate(values):
        key = tuple(toleration.get(n) or "" for n in ("key", "operator", "value", "effect"))
        if key in seen:
            errs.append(duplicate(f"scheduling.tolerations[{i}]", go_struct("core.Toleration", toleration)))
        seen.append(key)


def runtime_class_update(errs: Errors, new: Thing, old: Thing) -> None:
    immutable(errs, new.get("handler") or "", old.get("handler") or "", "handler")


def api_service(errs: Errors, obj: Thing) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    group, version, service = spec.get("group") or "", spec.get("version") or "", spec.get("service")
    if name and name != f"{version}.{group}":
        errs.append(invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{version}.{group}"'))
    if not group and version != "v1":
        errs.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    if group:
        each(errs, "spec.group", group, dns_subdomain(group))
    each(errs, "spec.version", version, dns_1035_label(version))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field) or 0
        if not 0 < value <= most:
            errs.append(invalid(f"spec.{field}", value, f"must be positive and less than {most}"))
    bundle, insecure = spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    if service is None:
        if bundle:
            shown = f"{len(bundle) * 3 // 4 - bundle.count('=')} bytes"
            errs.append(invalid("spec.caBundle", shown, "local APIServices may not have a caBundle"))
        if insecure:
            errs.append(invalid("spec.insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify"))
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            errs.append(required(f"spec.service.{field}"))
    bad = port_number(service.get("port") or 0)
    if bad:
        errs.append(invalid("spec.service.port", service.get("port") or 0, f"port is not valid: {', '.join(bad)}"))
    if insecure and bundle:
        errs.append(invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))


def api_service_status(errs: Errors, new: Thing, old: Thing) -> None:
    for i, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        if condition.get("status") not in ("True", "False", "Unknown"):
            shown = condition.get("status") or ""
            errs.append(not_supported(f"status.conditions[{i}].status", shown, ("True", "False", "Unknown")))


def _selector_attributes(errs: Errors, selector: Object | None, path: str, *, keys_are_labels: bool) -> None:
    if selector is None:
        return
    raw, parts = selector.get("rawSelector"), selector.get("requirements") or ()
    if raw and parts:
        errs.append(invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements"))
    if not raw and not parts:
        errs.append(required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required"))
    for i, part in enumerate(parts):
        at, key, operator, values = f"{path}.requirements[{i}]", part.get("key") or "", part.get("operator"), part.get("values")
        if keys_are_labels:
            each(errs, f"{at}.key", key, label_key(key))
        elif not key:
            errs.append(required(f"{at}.key", "must be specified"))
        if operator in ("In", "NotIn") and not values:
            errs.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        if operator in ("Exists", "DoesNotExist") and values:
            errs.append(forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))


def _review(errs: Errors, obj: Thing, *, other: bool, local: bool = False) -> None:
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        errs.append(invalid("spec.nonResourceAttributes", path, detail))
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errs.append(invalid("spec.resourceAttributes", None, detail))
    if other and not spec.get("user") and not spec.get("groups"):
        errs.append(invalid("spec.user", spec.get("user") or "", "at least one of user or group must be specified"))
    if resource is not None:
        at = "spec.resourceAttributes"
        _selector_attributes(errs, resource.get("fieldSelector"), f"{at}.fieldSelector", keys_are_labels=False)
        _selector_attributes(errs, resource.get("labelSelector"), f"{at}.labelSelector", keys_are_labels=True)
    allowed = {"managedFields", "creationTimestamp"} | ({"namespace"} if local else set())
    if any(value for name, value in metadata.items() if name not in allowed):
        errs.append(invalid("metadata", metadata, "must be empty except for namespace" if local else "must be empty"))
    if local:
        if resource is not None and (resource.get("namespace") or "") != (metadata.get("namespace") or ""):
            shown = resource.get("namespace") or ""
            errs.append(invalid("spec.resourceAttributes.namespace", shown, "must match metadata.namespace"))
        if path is not None:
            errs.append(invalid("spec.nonResourceAttributes", path, "disallowed on this kind of request"))


def subject_access_review(errs: Errors, obj: Thing) -> None:
    _review(errs, obj, other=True)


def local_subject_access_review(errs: Errors, obj: Thing) -> None:
    _review(errs, obj, other=True, local=True)


def self_subject_access_review(errs: Errors, obj: Thing) -> None:
    _review(errs, obj, other=False)
