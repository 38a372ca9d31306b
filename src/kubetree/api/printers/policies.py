"""Access, admission, flow control, certificates and devices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.objects import condition
from kubetree.api.printers.text import created, seconds

Object = Mapping[str, Any]
Cells = list[Any]


def _name(obj: Object) -> Any:
    return obj["metadata"].get("name")


def binding(obj: Object, now: datetime) -> Cells:
    """Role bindings and cluster role bindings."""
    ref, subjects = obj.get("roleRef") or {}, obj.get("subjects") or ()
    of = {kind: [s for s in subjects if s.get("kind") == kind] for kind in ("User", "Group", "ServiceAccount")}
    accounts = [f"{s.get('namespace') or ''}/{s.get('name')}" for s in of["ServiceAccount"]]
    return [
        _name(obj),
        f"{ref.get('kind')}/{ref.get('name')}",
        created(obj, now),
        ", ".join(s.get("name") or "" for s in of["User"]),
        ", ".join(s.get("name") or "" for s in of["Group"]),
        ", ".join(accounts),
    ]


def signing_request(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kinds = {c.get("type") for c in status.get("conditions") or ()}
    state = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    state += ",Failed" if "Failed" in kinds else ""
    state += ",Issued" if status.get("certificate") else ""
    wanted = spec.get("expirationSeconds")
    return [
        _name(obj),
        created(obj, now),
        spec.get("signerName") or "<none>",
        spec.get("username") or "",
        "<none>" if wanted is None else seconds(wanted),
        state,
    ]


def webhooks(obj: Object, now: datetime) -> Cells:
    return [_name(obj), len(obj.get("webhooks") or ()), created(obj, now)]


def admission_policy(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    ref = spec.get("paramKind")
    rules = spec.get("validations") or spec.get("mutations") or ()
    kind = f"{ref.get('apiVersion') or ''}/{ref.get('kind') or ''}" if ref is not None else "<unset>"
    return [_name(obj), len(rules), kind, created(obj, now)]


def _go_selector(value: Mapping[str, Any]) -> str:
    """A label selector as its Go type prints itself: here upstream shows it raw."""
    labels = "".join(f"{key}: {text}," for key, text in sorted((value.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key') or ''},Operator:{e.get('operator') or ''},Values:[{' '.join(e.get('values') or ())}],}},"
        for e in value.get("matchExpressions") or ()
    )
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"


def admission_policy_binding(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    ref, shown = spec.get("paramRef"), "<unset>"
    if ref is not None:
        if ref.get("name"):
            shown = f"{ref.get('namespace') or '*'}/{ref['name']}"
        elif ref.get("selector") is not None:
            shown = _go_selector(ref["selector"])
    return [_name(obj), spec.get("policyName") or "", shown, created(obj, now)]


def api_service(obj: Object, now: datetime) -> Cells:
    service = (obj.get("spec") or {}).get("service")
    where = "Local" if service is None else f"{service.get('namespace')}/{service.get('name')}"
    available = condition(obj, "Available")
    state = "Unknown" if available is None else str(available.get("status"))
    if available is not None and state != "True" and available.get("reason"):
        state = f"{state} ({available['reason']})"
    return [_name(obj), where, state, created(obj, now)]


def flow_schema(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    method = spec.get("distinguisherMethod")
    dangling = next((c.get("status") for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == "Dangling"), "?")
    return [
        _name(obj),
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        spec.get("matchingPrecedence") or 0,
        "<none>" if method is None else method.get("type") or "",
        created(obj, now),
        dangling,
    ]


def priority_level(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    limited = spec.get("limited")
    queuing = ((limited or {}).get("limitResponse") or {}).get("queuing")
    queues = ["<none>"] * 3 if queuing is None else [queuing.get(n) or 0 for n in ("queues", "handSize", "queueLengthLimit")]
    shares = "<none>" if limited is None else limited.get("nominalConcurrencyShares")
    return [_name(obj), spec.get("type") or "", shares, *queues, created(obj, now)]


def resource_claim(obj: Object, now: datetime) -> Cells:
    status, deleted = obj.get("status") or {}, bool(obj["metadata"].get("deletionTimestamp"))
    states = ["deleted"] if deleted else []
    if status.get("allocation") is None:
        states += [] if deleted else ["pending"]
    else:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    return [_name(obj), ",".join(states), created(obj, now)]


def resource_slice(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    return [_name(obj), spec.get("nodeName") or "", spec.get("driver") or "", (spec.get("pool") or {}).get("name") or "", created(obj, now)]
