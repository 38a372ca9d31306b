"""Events, whose rules depend on the version they are written in."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.errors import Errors, Object, each, invalid, required
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import dns_subdomain, label_key

Event = dict[str, Any]


def _shared(errs: Errors, event: Event, regarding: Object, controller_field: str, note_field: str) -> None:
    namespace, where = event["metadata"].get("namespace") or "", regarding.get("namespace") or ""
    mismatch = "does not match event.namespace"
    if not event.get("eventTime"):
        if (not where and namespace not in ("", "default")) or (where and namespace != where):
            errs.append(invalid("involvedObject.namespace", where, mismatch))
    else:
        if not where and namespace not in ("default", "kube-system"):
            errs.append(invalid("involvedObject.namespace", where, mismatch))
        controller, instance = event.get(controller_field) or "", event.get("reportingInstance") or ""
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
        if len(event.get(note_field) or "") > 1024:
            errs.append(invalid("message", "", "can have at most 1024 characters"))
    each(errs, "namespace", namespace, dns_subdomain(namespace))


def core(errs: Errors, event: Event) -> None:
    """The core v1 form."""
    _shared(errs, event, event.get("involvedObject") or {}, "reportingComponent", "message")


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
    """events.k8s.io/v1: stricter, and without the old fields."""
    _shared(errs, event, event.get("regarding") or {}, "reportingController", "note")
    _series(errs, event)
    if not event.get("eventTime"):
        errs.append(required("eventTime"))
    if event.get("type") not in ("Normal", "Warning"):
        errs.append(invalid("type", "", f"has invalid value: {event.get('type') or ''}"))
    for field, shown in (
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ):
        if event.get(field):
            errs.append(invalid(shown, "", "needs to be unset"))
    if any((event.get("deprecatedSource") or {}).values()):
        errs.append(invalid("source", "", "needs to be unset"))


_IMMUTABLE = {
    "regarding": "involvedObject", "reason": "reason", "note": "message", "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp", "deprecatedLastTimestamp": "lastTimestamp", "deprecatedCount": "count", "type": "type",
    "eventTime": "eventTime", "action": "action", "related": "related", "reportingController": "reportingController",
    "reportingInstance": "reportingInstance",
}  # fmt: skip


def update(errs: Errors, new: Event, old: Event) -> None:
    _shared(errs, new, new.get("regarding") or {}, "reportingController", "note")
    if new.get("series") != old.get("series"):
        _series(errs, new)
    for field, shown in _IMMUTABLE.items():
        immutable(errs, new.get(field) or None, old.get(field) or None, shown)
