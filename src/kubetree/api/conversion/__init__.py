"""Objects between the versions of a kind that do not look the same: autoscaling v1 and v2, core events and events.k8s.io, devices,
definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.conversion import autoscaling, definitions, devices, events

Object = dict[str, Any]

_DEVICES = "resource.k8s.io"
_CONVERSIONS: dict[tuple[str, str, str], Callable[[Object], Object]] = {
    ("HorizontalPodAutoscaler", "autoscaling/v1", "autoscaling/v2"): autoscaling.to_v2,
    ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1"): autoscaling.to_v1,
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1beta1", "apiextensions.k8s.io/v1"): definitions.to_v1,
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"): definitions.to_v1beta1,
    ("Event", "v1", "events.k8s.io/v1"): events.to_new,
    ("Event", "events.k8s.io/v1", "v1"): events.to_core,
    **{(k, f"{_DEVICES}/v1beta1", f"{_DEVICES}/{v}"): f for k, f in devices.FROM_V1BETA1.items() for v in ("v1", "v1beta2")},
    **{(k, f"{_DEVICES}/{v}", f"{_DEVICES}/v1beta1"): f for k, f in devices.TO_V1BETA1.items() for v in ("v1", "v1beta2")},
}


def convert(obj: Object, api_version: str) -> Object:
    """The object at another version; `obj` itself when it is at that version already. Never changes `obj`.

    Kinds with one version, those that look the same at all of them, and custom resources without conversion only change their apiVersion.
    """
    current = obj.get("apiVersion") or ""
    if current == api_version:
        return obj
    change = _CONVERSIONS.get((obj.get("kind") or "", current, api_version))
    converted = change(obj) if change is not None else dict(obj)
    converted["apiVersion"] = api_version
    return converted
