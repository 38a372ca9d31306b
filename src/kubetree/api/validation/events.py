"""Events, whose rules depend on the version they are written in."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import Errors, Object, each, invalid, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import IMMUTABLE
from kubetree.api.validation.names import dns_subdomain, label_key

Event = dict[str, Any]


def _shared(errs: Errors, event: Event, controller_field: str) -> None:
    regarding: Object = event.get("involvedObject") or {}
    namespace, where = event["metadata"].get("namespace") or "", regarding.get("namespace") or ""
    mismatch = "does not match event.namespace"
    if not event.get("eventTime"):
        if (not where and namespace not in ("", "default")) or (where and namespace != where):
            errs.append(invalid("involvedObject.namespace", where, mismatch))
    else:
        if not where and namespace not in ("default", "kube-system"):
            errs.append(invalid("involvedObject.namespace", where, mismatch))
        controller, instance = event.get("reportingComponent") or "", event.get("reportingInstance") or ""
        if not controller:
            errs.append(required(controller_field))
        each(errs, controller_field, controller, label_key(controller))
        for field, value, limit in (
            ("reportingInstance", instance, 128),
            ("action", event.get("action") or "", 128),
            ("reason", event.get("reason") or "", 128),
        ):
            if not value:
                errs.append(required(field))
            if len(value) > limit:
                errs.append(invalid(field, "", f"can have at most {limit} characters"))
        if len(event.get("message") or "") > 1024:
            errs.append(invalid("message", "", "can have at most 1024 characters"))
    each(errs, "namespace", namespace, dns_subdomain(namespace))


def core(errs: Errors, event: Event) -> None:
    """Written through core v1."""
    _shared(errs, event, "reportingComponent")


def core_update(errs: Errors, new: Event, old: Event) -> None:
    core(errs, new)


def _series(errs: Errors, event: Event) -> None:
    series = event.get("series")
    if series is not None:
        if (series.get("count") or 0) < 2:
            errs.append(invalid("series.count", "", "should be at least 2"))
        if not series.get("lastObservedTime"):
            errs.append(required("series.lastObservedTime"))


def create(errs: Errors, event: Event) -> None:
    """Written through events.k8s.io/v1: stricter, and without the old fields. The event itself is in the stored, core form."""
    _shared(errs, event, "reportingController")
    _series(errs, event)
    if not event.get("eventTime"):
        errs.append(required("eventTime"))
    if event.get("type") not in ("Normal", "Warning"):
        errs.append(invalid("type", "", f"has invalid value: {event.get('type') or ''}"))
    errs.extend(invalid(field, "", "needs to be unset") for field in ("firstTimestamp", "lastTimestamp", "count") if event.get(field))
    if any((event.get("source") or {}).values()):
        errs.append(invalid("source", "", "needs to be unset"))


_IMMUTABLE = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type", "eventTime", "action", "related",
    "reportingComponent", "reportingInstance",
)  # fmt: skip


_ZEROS: dict[str, Any] = {
    "involvedObject": {}, "source": {}, "reason": "", "message": "", "type": "", "action": "", "reportingComponent": "",
    "reportingInstance": "", "count": 0,
}  # fmt: skip
_STRUCTS = {"involvedObject": "core.ObjectReference", "related": "core.ObjectReference", "source": "core.EventSource"}


def update(errs: Errors, new: Event, old: Event) -> None:
    _shared(errs, new, "reportingController")
    if new.get("series") != old.get("series"):
        _series(errs, new)
    for field in _IMMUTABLE:
        shown = "reportingController" if field == "reportingComponent" else field
        if not semantic_equal(new.get(field) or _ZEROS.get(field), old.get(field) or _ZEROS.get(field)):
            value = new.get(field) or _ZEROS.get(field, new.get(field))
            errs.append(invalid(shown, go_struct(_STRUCTS[field], value) if field in _STRUCTS else value, IMMUTABLE))
