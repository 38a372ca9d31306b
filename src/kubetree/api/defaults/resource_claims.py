"""Claims on devices (dynamic resource allocation)."""

from __future__ import annotations

from typing import Any


def _request(request: dict[str, Any]) -> None:
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1
    _tolerations(request)


def _tolerations(request: dict[str, Any]) -> None:
    for toleration in request.get("tolerations") or ():
        if not toleration.get("operator"):
            toleration["operator"] = "Equal"


def _old_request(request: dict[str, Any]) -> None:
    """One of v1beta1, which has the fields of an exact request beside its name. Without a class it has alternatives."""
    if request.get("deviceClassName"):
        _request(request)
    else:
        _tolerations(request)
    for alternative in request.get("firstAvailable") or ():
        _request(alternative)


def _old_spec(spec: dict[str, Any]) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        _old_request(request)


def _spec(spec: dict[str, Any]) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        if request.get("exactly") is not None:
            _request(request["exactly"])
        for alternative in request.get("firstAvailable") or ():
            _request(alternative)


def resource_claim(obj: dict[str, Any]) -> None:
    _spec(obj.setdefault("spec", {}))


def resource_claim_template(obj: dict[str, Any]) -> None:
    template = obj.setdefault("spec", {})
    _spec(template.setdefault("spec", {}))


def old_resource_claim(obj: dict[str, Any]) -> None:
    """At v1beta1."""
    _old_spec(obj.setdefault("spec", {}))


def old_resource_claim_template(obj: dict[str, Any]) -> None:
    template = obj.setdefault("spec", {})
    _old_spec(template.setdefault("spec", {}))


def _mappings(device: dict[str, Any]) -> None:
    for mapping in (device.get("nodeAllocatableResourceMappings") or {}).values():
        if mapping.get("allocationMultiplier") is None:
            mapping["allocationMultiplier"] = "1"


def resource_slice(obj: dict[str, Any]) -> None:
    for device in (obj.get("spec") or {}).get("devices") or ():
        _mappings(device)


def old_resource_slice(obj: dict[str, Any]) -> None:
    """At v1beta1."""
    for device in (obj.get("spec") or {}).get("devices") or ():
        _mappings(device.get("basic") or {})


def pool_status_request(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("limit") is None:
        spec["limit"] = 100
