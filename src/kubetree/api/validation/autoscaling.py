"""Horizontal pod autoscalers and the Scale subresource."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.metadata import NEGATIVE, nonnegative, nonnegative_fields
from kubetree.api.validation.names import dns_label, path_segment
from kubetree.api.validation.resources import ZERO, container_resource_name, quantity

Thing = dict[str, Any]
_SOURCES = {"Object": "object", "External": "external", "Pods": "pods", "Resource": "resource", "ContainerResource": "containerResource"}
_TYPES = sorted(_SOURCES)


def scale(errs: Errors, obj: Thing) -> None:
    nonnegative(errs, (obj.get("spec") or {}).get("replicas"), "spec.replicas")


def _reference(errs: Errors, ref: Object, path: str, *, empty_group: bool = True, any_version: bool = False) -> None:
    for name in ("kind", "name"):
        if not ref.get(name):
            errs.append(required(f"{path}.{name}"))
        else:
            each(errs, f"{path}.{name}", ref[name], path_segment(ref[name]))
    version = ref.get("apiVersion") or ""
    if any_version:
        return
    if version.count("/") > 1:
        errs.append(invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif not empty_group and not version.rpartition("/")[0]:
        errs.append(invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))


def _target(errs: Errors, target: Object, path: str) -> None:
    sort = target.get("type") or ""
    if not sort:
        errs.append(required(f"{path}.type", "must specify a metric target type"))
    if sort not in ("Utilization", "Value", "AverageValue"):
        errs.append(invalid(f"{path}.type", sort, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        if target.get(name) is not None and not quantity(target[name]) > ZERO:
            errs.append(invalid(f"{path}.{name}", str(quantity(target[name])), "must be positive"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        errs.append(invalid(f"{path}.averageUtilization", utilization, "must be greater than 0"))


def _identifier(errs: Errors, metric: Object, path: str) -> None:
    name = metric.get("name") or ""
    if not name:
        errs.append(required(f"{path}.name", "must specify a metric name"))
    else:
        each(errs, f"{path}.name", name, path_segment(name))


def _resource(errs: Errors, path: str, target: Object) -> None:
    _target(errs, target, f"{path}.target")
    raw, relative = target.get("averageValue") is not None, target.get("averageUtilization") is not None
    if not raw and not relative:
        errs.append(required(f"{path}.target.averageUtilization", "must set either a target raw value or a target utilization"))
    if raw and relative:
        errs.append(forbidden(f"{path}.target.averageValue", "may not set both a target raw value and a target utilization"))


def _source(errs: Errors, kind: str, source: Object, path: str) -> None:
    target = source.get("target") or {}
    value, average = target.get("value") is not None, target.get("averageValue") is not None
    if kind in ("resource", "containerResource"):
        if kind == "containerResource":
            name, container = source.get("name") or "", source.get("container") or ""
            if name:
                each(errs, f"{path}.name", name, container_resource_name(name))
            else:
                errs.append(required(f"{path}.name", "must specify a resource name"))
            if not container:
                errs.append(required(f"{path}.container", "must specify a container"))
            else:
                each(errs, f"{path}.container", container, dns_label(container))
        elif not source.get("name"):
            errs.append(required(f"{path}.name", "must specify a resource name"))
        _resource(errs, path, target)
        return
    if kind == "object":
        _reference(errs, source.get("describedObject") or {}, f"{path}.describedObject")
    _identifier(errs, source.get("metric") or {}, f"{path}.metric")
    _target(errs, target, f"{path}.target")
    at = f"{path}.target.averageValue"
    if kind == "object" and not value and not average:
        errs.append(required(at, "must set either a target value or averageValue"))
    elif kind == "external" and not value and not average:
        errs.append(required(at, "must set either a target value for metric or a per-pod target"))
    elif kind == "external" and value and average:
        errs.append(forbidden(f"{path}.target.value", "may not set both a target value for metric and a per-pod target"))
    elif kind == "pods" and not average:
        errs.append(required(at, "must specify a positive target averageValue"))


def _metrics(errs: Errors, metrics: list[Object]) -> None:
    for i, metric in enumerate(metrics):
        path, sort = f"spec.metrics[{i}]", metric.get("type") or ""
        if not sort:
            errs.append(required(f"{path}.type", "must specify a metric source type"))
        if sort not in _SOURCES:
            errs.append(not_supported(f"{path}.type", sort, _TYPES))
        present = [field for field in _SOURCES.values() if metric.get(field) is not None]
        if present:
            _source(errs, present[0], metric[present[0]], f"{path}.{present[0]}")
        expected = _SOURCES.get(sort)
        if expected is None:
            errs.append(not_supported(f"{path}.type", sort, _TYPES))
        elif metric.get(expected) is None:
            errs.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
        if len(present) != 1:
            errs.extend(forbidden(f"{path}.{f}", "must populate the given metric source only") for f in present if f != expected)


def _scaling_rules(errs: Errors, rules: Object, path: str) -> None:
    window, select, policies = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy"), rules.get("policies") or ()
    if window is not None and window < 0:
        errs.append(invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero"))
    if window is not None and window > 3600:
        errs.append(invalid(f"{path}.stabilizationWindowSeconds", window, "must be less than or equal to 3600"))
    if select is not None and select not in ("Disabled", "Max", "Min"):
        errs.append(not_supported(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min")))
    if not policies:
        errs.append(required(f"{path}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(policies):
        at = f"{path}.policies[{i}]"
        if policy.get("type") not in ("Pods", "Percent"):
            errs.append(not_supported(f"{at}.type", policy.get("type") or "", ("Percent", "Pods")))
        for name in ("value", "periodSeconds"):
            if (policy.get(name) or 0) <= 0:
                errs.append(invalid(f"{at}.{name}", policy.get(name) or 0, "must be greater than zero"))
        if (policy.get("periodSeconds") or 0) > 1800:
            errs.append(invalid(f"{at}.periodSeconds", policy["periodSeconds"], "must be less than or equal to 1800"))
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity(tolerance) < ZERO:
        errs.append(invalid(f"{path}.tolerance", str(quantity(tolerance)), NEGATIVE))


def _replicas(errs: Errors, spec: Object, before: Object, least_allowed: int) -> None:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    bound = 0 if before.get("minReplicas") == 0 else least_allowed
    if least is not None and least < bound:
        errs.append(invalid("spec.minReplicas", least, f"must be greater than or equal to {bound}"))
    if not most:
        errs.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        errs.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        errs.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    ref, was = spec.get("scaleTargetRef") or {}, before.get("scaleTargetRef") or {}
    same = bool(before) and all((ref.get(n) or "") == (was.get(n) or "") for n in ("apiVersion", "kind"))
    group_may_be_empty = not same and ref.get("kind") == "ReplicationController"
    _reference(errs, ref, "spec.scaleTargetRef", empty_group=group_may_be_empty, any_version=same)


def autoscaler(errs: Errors, obj: Thing) -> None:
    """autoscaling/v2, which is also what v1 is checked as after conversion."""
    _autoscaler(errs, obj, {}, 1)


def autoscaler_update(errs: Errors, new: Thing, old: Thing) -> None:
    """What was there before may go on: a target's version, and no replicas at all."""
    _autoscaler(errs, new, old.get("spec") or {}, 1)


def autoscaler_to_zero(errs: Errors, obj: Thing) -> None:
    """With the gate HPAScaleToZero."""
    _autoscaler(errs, obj, {}, 0)


def autoscaler_to_zero_update(errs: Errors, new: Thing, old: Thing) -> None:
    _autoscaler(errs, new, old.get("spec") or {}, 0)


def _autoscaler(errs: Errors, obj: Thing, before: Object, least_allowed: int) -> None:
    spec = obj.get("spec") or {}
    _replicas(errs, spec, before, least_allowed)
    _metrics(errs, spec.get("metrics") or [])
    counted = any(metric.get("type") in ("Object", "External") for metric in spec.get("metrics") or ())
    if spec.get("minReplicas") == 0 and not counted:
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        errs.append(forbidden("spec.metrics", detail))
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            _scaling_rules(errs, behavior[name], f"spec.behavior.{name}")


def autoscaler_v1(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    _replicas(errs, spec, {}, 1)
    target = spec.get("targetCPUUtilizationPercentage")
    if target is not None and target < 1:
        errs.append(invalid("spec.metrics[0].resource.target.averageUtilization", target, "must be greater than 0"))


def autoscaler_status(errs: Errors, new: Thing, old: Thing) -> None:
    nonnegative_fields(errs, new.get("status") or {}, "status", "currentReplicas", "desiredReplicas")
