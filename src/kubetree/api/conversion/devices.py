"""resource.k8s.io: v1beta1 has a request's fields beside its name where later versions have them under `exactly`, and a device's under
`basic` where later versions have them beside its name. Follows pkg/apis/resource/v1beta1/conversion.go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
_OF_A_REQUEST = ("name", "firstAvailable")


def _request_to_v1(request: Object) -> Object:
    kept = {name: value for name, value in request.items() if name in _OF_A_REQUEST}
    exactly = {name: value for name, value in request.items() if name not in _OF_A_REQUEST}
    return {**kept, "exactly": exactly} if any(value is not None and value not in ("", 0) for value in exactly.values()) else kept


def _request_to_v1beta1(request: Object) -> Object:
    kept = {name: value for name, value in request.items() if name != "exactly"}
    return {**kept, "deviceClassName": "", **(request.get("exactly") or {})}


def _claim_spec(spec: Object, change: Callable[[Object], Object]) -> Object:
    devices = spec.get("devices")
    if not devices or not devices.get("requests"):
        return spec
    return {**spec, "devices": {**devices, "requests": [change(request) for request in devices["requests"]]}}


def _claims(change: Callable[[Object], Object]) -> Callable[[Object], Object]:
    def convert(obj: Object) -> Object:
        return {**obj, "spec": _claim_spec(obj.get("spec") or {}, change)}

    return convert


def _templates(change: Callable[[Object], Object]) -> Callable[[Object], Object]:
    def convert(obj: Object) -> Object:
        outer = obj.get("spec") or {}
        return {**obj, "spec": {**outer, "spec": _claim_spec(outer.get("spec") or {}, change)}}

    return convert


def _slices(change: Callable[[Object], Object]) -> Callable[[Object], Object]:
    def convert(obj: Object) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("devices"):
            return dict(obj)
        return {**obj, "spec": {**spec, "devices": [change(device) for device in spec["devices"]]}}

    return convert


def _device_to_v1(device: Object) -> Object:
    kept = {name: value for name, value in device.items() if name != "basic"}
    return {**(device.get("basic") or {}), **kept}


def _device_to_v1beta1(device: Object) -> Object:
    basic = {name: value for name, value in device.items() if name != "name"}
    return ({"name": device["name"]} if "name" in device else {}) | {"basic": basic}


FROM_V1BETA1: dict[str, Callable[[Object], Object]] = {
    "ResourceClaim": _claims(_request_to_v1),
    "ResourceClaimTemplate": _templates(_request_to_v1),
    "ResourceSlice": _slices(_device_to_v1),
}
TO_V1BETA1: dict[str, Callable[[Object], Object]] = {
    "ResourceClaim": _claims(_request_to_v1beta1),
    "ResourceClaimTemplate": _templates(_request_to_v1beta1),
    "ResourceSlice": _slices(_device_to_v1beta1),
}
