"""Claims on devices (dynamic resource allocation)."""

from __future__ import annotations

from typing import Any


def _request(request: dict[str, Any]) -> None:
    if not request.get("allocationMode"):
        request["allocationMode"] = "ExactCount"
    if request["allocationMode"] == "ExactCount" and not request.get("count"):
        request["count"] = 1
    for toleration in request.get("tolerations") or ():
        if not toleration.get("operator"):
            toleration["operator"] = "Equal"


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
