"""Nodes, namespaces, policies and configuration."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.resources import resource_list

_RBAC = "rbac.authorization.k8s.io"


def namespace(obj: dict[str, Any]) -> None:
    """Every namespace carries its name as a label, so that selectors can name it."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("name"):
        labels = metadata.get("labels")
        if labels is None:
            labels = metadata["labels"] = {}
        labels["kubernetes.io/metadata.name"] = metadata["name"]
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Active"


def node(obj: dict[str, Any]) -> None:
    """podCIDR, which older clients write, is the first of podCIDRs, and wins where they differ."""
    spec = obj.setdefault("spec", {})
    first, ranges = spec.get("podCIDR"), spec.get("podCIDRs")
    if first and (not ranges or ranges[0] != first):
        spec["podCIDRs"] = [first]
    elif ranges and ranges[0] and not first:
        spec["podCIDR"] = ranges[0]
    status = obj.setdefault("status", {})
    resource_list(status.get("capacity"))
    if status.get("allocatable") is None:
        if status.get("capacity") is not None:
            status["allocatable"] = dict(status["capacity"])
    else:
        resource_list(status["allocatable"])


def secret(obj: dict[str, Any]) -> None:
    """The type is Opaque; `stringData`, which only clients write, moves into `data`."""
    if not obj.get("type"):
        obj["type"] = "Opaque"
    plain = obj.pop("stringData", None)
    if plain:
        from base64 import b64encode

        data = obj.get("data")
        if data is None:
            data = obj["data"] = {}
        for name, value in plain.items():
            data[name] = b64encode(value.encode()).decode()


def config_map(obj: dict[str, Any]) -> None:
    """An empty `data` is not written out, so there is nothing to fill in; nulls go."""
    for name in ("data", "binaryData"):
        if name in obj and not obj[name]:
            del obj[name]


def limit_range(obj: dict[str, Any]) -> None:
    for item in obj.setdefault("spec", {}).get("limits") or ():
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            resource_list(item.get(name))
        if item.get("type") != "Container":
            continue
        limits, requests = item.get("default") or {}, item.get("defaultRequest") or {}
        limits = {**(item.get("max") or {}), **limits}
        requests = {**(item.get("min") or {}), **limits, **requests}
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


def resource_quota(obj: dict[str, Any]) -> None:
    resource_list(obj.setdefault("spec", {}).get("hard"))
    status = obj.get("status") or {}
    resource_list(status.get("hard"))
    resource_list(status.get("used"))


def role_binding(obj: dict[str, Any]) -> None:
    role = obj.setdefault("roleRef", {})
    if not role.get("apiGroup"):
        role["apiGroup"] = _RBAC
    for subject in obj.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = _RBAC


def priority_class(obj: dict[str, Any]) -> None:
    if obj.get("preemptionPolicy") is None:
        obj["preemptionPolicy"] = "PreemptLowerPriority"
    obj.setdefault("value", 0)


def certificate_signing_request(obj: dict[str, Any]) -> None:
    """Upstream defaults the deprecated v1beta1 only; usages and conditions are left as they are."""
    obj.setdefault("status", {})


def flow_schema(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


_LIMITED = {"nominalConcurrencyShares": 30, "lendablePercent": 0}
_EXEMPT = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
_QUEUING = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


def priority_level_configuration(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    for name, values in (("limited", _LIMITED), ("exempt", _EXEMPT)):
        part = spec.get(name)
        if part is not None:
            for field, value in values.items():
                if part.get(field) is None:
                    part[field] = value
    queuing = ((spec.get("limited") or {}).get("limitResponse") or {}).get("queuing")
    if queuing is not None:
        for field, value in _QUEUING.items():
            if not queuing.get(field):
                queuing[field] = value


def pod_group(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("disruptionMode") is None:
        spec["disruptionMode"] = "Pod"


def pod_certificate_request(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("maxExpirationSeconds") is None:
        spec["maxExpirationSeconds"] = 86400
