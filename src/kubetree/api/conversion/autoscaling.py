"""Horizontal pod autoscalers: what v1 has no field for travels in annotations, as upstream's conversion keeps it."""

from __future__ import annotations

import json
from typing import Any

from kubetree.api.defaults.autoscaling import ROUND_TRIP, horizontal_pod_autoscaler
from kubetree.api.validation.go_structs import from_go_struct, go_struct

Object = dict[str, Any]

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_GO_BEHAVIOR = "autoscaling.HorizontalPodAutoscalerBehavior"
"""The annotation holds the internal type, by the names of its fields in Go."""


def _pick(**values: Any) -> Object:
    return {name: value for name, value in values.items() if value is not None}


def _is_cpu_utilization(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and target.get("averageUtilization") is not None


def _reference(described: Object | None) -> Object | None:
    """In the order of Go's fields, which the annotation shows."""
    return {name: described[name] for name in ("kind", "name", "apiVersion") if name in described} if described is not None else None


def _spec_to_v1(metric: Object) -> Object:
    """A v2 MetricSpec in the form that v1's annotation holds."""
    out: Object = {"type": metric.get("type")}
    for field in ("resource", "containerResource"):
        source = metric.get(field)
        if source is not None:
            target = source.get("target") or {}
            out[field] = _pick(
                name=source.get("name"),
                targetAverageUtilization=target.get("averageUtilization"),
                targetAverageValue=target.get("averageValue"),
                container=source.get("container"),
            )
    pods, described, external = metric.get("pods"), metric.get("object"), metric.get("external")
    if pods is not None:
        found, target = pods.get("metric") or {}, pods.get("target") or {}
        average = target.get("averageValue") or "0"
        out["pods"] = _pick(metricName=found.get("name"), targetAverageValue=average, selector=found.get("selector"))
    if described is not None:
        found, target = described.get("metric") or {}, described.get("target") or {}
        out["object"] = _pick(
            target=_reference(described.get("describedObject")),
            metricName=found.get("name"),
            targetValue=target.get("value") or "0",
            selector=found.get("selector"),
            averageValue=target.get("averageValue"),
        )
    if external is not None:
        found, target = external.get("metric") or {}, external.get("target") or {}
        out["external"] = _pick(
            metricName=found.get("name"),
            metricSelector=found.get("selector"),
            targetValue=target.get("value"),
            targetAverageValue=target.get("averageValue"),
        )
    return out


def _spec_to_v2(metric: Object) -> Object:
    out: Object = {"type": metric.get("type")}
    for field in ("resource", "containerResource"):
        source = metric.get(field)
        if source is not None:
            utilization, average = source.get("targetAverageUtilization"), source.get("targetAverageValue")
            sort = "AverageValue" if utilization is None else "Utilization"
            target = _pick(type=sort, averageValue=average, averageUtilization=utilization)
            out[field] = _pick(name=source.get("name"), container=source.get("container"), target=target)
    pods, described, external = metric.get("pods"), metric.get("object"), metric.get("external")
    if pods is not None:
        identifier = _pick(name=pods.get("metricName"), selector=pods.get("selector"))
        out["pods"] = {"metric": identifier, "target": {"type": "AverageValue", "averageValue": pods.get("targetAverageValue")}}
    if described is not None:
        average, value = described.get("averageValue"), described.get("targetValue")
        if average is not None and value == "0":
            value = None
        target = _pick(type="Value" if average is None else "AverageValue", value=value, averageValue=average)
        identifier = _pick(name=described.get("metricName"), selector=described.get("selector"))
        out["object"] = {"describedObject": described.get("target") or {}, "metric": identifier, "target": target}
    if external is not None:
        value, average = external.get("targetValue"), external.get("targetAverageValue")
        target = _pick(type="AverageValue" if value is None else "Value", value=value, averageValue=average)
        identifier = _pick(name=external.get("metricName"), selector=external.get("metricSelector"))
        out["external"] = {"metric": identifier, "target": target}
    return out


def _status_to_v1(metric: Object) -> Object:
    out: Object = {"type": metric.get("type")}
    for field in ("resource", "containerResource"):
        source = metric.get(field)
        if source is not None:
            current = source.get("current") or {}
            out[field] = _pick(
                name=source.get("name"),
                currentAverageUtilization=current.get("averageUtilization"),
                currentAverageValue=current.get("averageValue") or "0",
                container=source.get("container"),
            )
    for field in ("pods", "object", "external"):
        source = metric.get(field)
        if source is None:
            continue
        found, current = source.get("metric") or {}, source.get("current") or {}
        if field == "pods":
            average = current.get("averageValue") or "0"
            out[field] = _pick(metricName=found.get("name"), currentAverageValue=average, selector=found.get("selector"))
        elif field == "object":
            out[field] = _pick(
                target=_reference(source.get("describedObject")), metricName=found.get("name"), currentValue=current.get("value") or "0",
                selector=found.get("selector"), averageValue=current.get("averageValue"),
            )  # fmt: skip
        else:
            out[field] = _pick(
                metricName=found.get("name"), metricSelector=found.get("selector"), currentValue=current.get("value") or "0",
                currentAverageValue=current.get("averageValue"),
            )  # fmt: skip
    return out


def _status_to_v2(metric: Object) -> Object:
    out: Object = {"type": metric.get("type")}
    for field in ("resource", "containerResource"):
        source = metric.get(field)
        if source is not None:
            average, utilization = source.get("currentAverageValue"), source.get("currentAverageUtilization")
            current = _pick(averageValue=average, averageUtilization=utilization)
            out[field] = _pick(name=source.get("name"), container=source.get("container"), current=current)
    for field in ("pods", "object", "external"):
        source = metric.get(field)
        if source is None:
            continue
        identifier = _pick(name=source.get("metricName"), selector=source.get("selector") or source.get("metricSelector"))
        average = source.get("averageValue") if field == "object" else source.get("currentAverageValue")
        out[field] = {"metric": identifier, "current": _pick(value=source.get("currentValue"), averageValue=average)}
        if field == "object":
            out[field]["describedObject"] = source.get("target") or {}
    return out


def _encoded(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def to_v1(obj: Object) -> Object:
    """v2 to v1: the CPU target becomes a field, everything else an annotation."""
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, dict(obj.get("metadata") or {})
    notes = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in ROUND_TRIP}
    metrics = spec.get("metrics") or []
    others = [_spec_to_v1(m) for m in metrics if not _is_cpu_utilization(m)]
    cpu = next((m["resource"]["target"]["averageUtilization"] for m in metrics if _is_cpu_utilization(m)), None)
    current = status.get("currentMetrics") or []
    if others:
        notes[_METRICS] = _encoded(others)
    if current:
        notes[_CURRENT] = _encoded([_status_to_v1(m) for m in current])
    if spec.get("behavior") is not None:
        notes[_BEHAVIOR] = _encoded(go_struct(_GO_BEHAVIOR, spec["behavior"]))
    if status.get("conditions"):
        notes[_CONDITIONS] = _encoded(status["conditions"])
    if notes or "annotations" in metadata:
        metadata["annotations"] = notes
    used = None
    for metric in current:
        resource = metric.get("resource") or {}
        if metric.get("type") == "Resource" and resource.get("name") == "cpu":
            used = (resource.get("current") or {}).get("averageUtilization")
    plain = {k: v for k, v in spec.items() if k not in ("metrics", "behavior")}
    kept = {k: v for k, v in status.items() if k not in ("currentMetrics", "conditions")}
    return {
        **obj,
        "metadata": metadata,
        "spec": {**plain, **_pick(targetCPUUtilizationPercentage=cpu)},
        "status": {"currentReplicas": 0, "desiredReplicas": 0, **kept, **_pick(currentCPUUtilizationPercentage=used)},
    }


def _decoded(notes: dict[str, str], name: str) -> Any:
    """An annotation's JSON; what does not parse is ignored, as upstream does."""
    try:
        return json.loads(notes[name]) if name in notes else None
    except ValueError:
        return None


def to_v2(obj: Object) -> Object:
    spec, status, metadata = dict(obj.get("spec") or {}), dict(obj.get("status") or {}), dict(obj.get("metadata") or {})
    notes = metadata.get("annotations") or {}
    cpu, used = spec.pop("targetCPUUtilizationPercentage", None), status.pop("currentCPUUtilizationPercentage", None)
    metrics = [_spec_to_v2(m) for m in _decoded(notes, _METRICS) or ()]
    if cpu is not None or not metrics:
        target = {"type": "Utilization", "averageUtilization": 80 if cpu is None else cpu}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    spec["metrics"] = metrics
    behavior, conditions, current = (_decoded(notes, n) for n in (_BEHAVIOR, _CONDITIONS, _CURRENT))
    if behavior:
        spec["behavior"] = from_go_struct(_GO_BEHAVIOR, behavior)
    if conditions:
        status["conditions"] = conditions
    if current:
        status["currentMetrics"] = [_status_to_v2(m) for m in current]
    elif used is not None:
        measured = {"averageUtilization": used}
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": measured}}]
    else:
        status.setdefault("currentMetrics", None)
    status.setdefault("desiredReplicas", 0)
    if any(name in notes for name in ROUND_TRIP):
        metadata["annotations"] = {k: v for k, v in notes.items() if k not in ROUND_TRIP}
    converted = {**obj, "metadata": metadata, "spec": spec, "status": status}
    horizontal_pod_autoscaler(converted)  # what v1 cannot say, a reader of the stored version fills in
    return converted
