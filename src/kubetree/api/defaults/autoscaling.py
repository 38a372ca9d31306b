"""Horizontal pod autoscalers."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.resources import quantity_field

ROUND_TRIP = frozenset(f"autoscaling.alpha.kubernetes.io/{part}" for part in ("metrics", "current-metrics", "conditions", "behavior"))
"""Annotations in which v1 keeps what it has no field for."""
_UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_DOWN: dict[str, Any] = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def _rules(given: dict[str, Any] | None, defaults: dict[str, Any]) -> dict[str, Any]:
    rules = {n: [dict(p) for p in v] if isinstance(v, list) else v for n, v in defaults.items()}
    rules.update({n: v for n, v in (given or {}).items() if v is not None})
    quantity_field(rules, "tolerance")
    return rules


def horizontal_pod_autoscaler_v1(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1


def horizontal_pod_autoscaler(obj: dict[str, Any]) -> None:
    """Scales by 80 % of the CPU request unless told otherwise. What the annotations of older versions say is no part of this one."""
    metadata = obj.get("metadata") or {}
    notes = metadata.get("annotations")
    if notes and not ROUND_TRIP.isdisjoint(notes):
        metadata["annotations"] = {name: text for name, text in notes.items() if name not in ROUND_TRIP}
        if not metadata["annotations"]:
            del metadata["annotations"]
    spec = obj.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    for metric in spec["metrics"]:
        for source in metric.values():
            if isinstance(source, dict) and isinstance(source.get("target"), dict):
                quantity_field(source["target"], "value")
                quantity_field(source["target"], "averageValue")
    behavior = spec.get("behavior")
    if behavior is not None:
        behavior["scaleUp"] = _rules(behavior.get("scaleUp"), _UP)
        behavior["scaleDown"] = _rules(behavior.get("scaleDown"), _DOWN)
