"""Status conditions: lists of entries with a type, changed only when their status or reason does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from kubetree.api.times import format_time

Object = dict[str, Any]


def find(conditions: Iterable[Object] | None, type_: str) -> Object | None:
    return next((c for c in conditions or () if c["type"] == type_), None)


def without(conditions: Iterable[Object] | None, type_: str) -> list[Object]:
    return [c for c in conditions or () if c["type"] != type_]


def with_condition(conditions: Sequence[Object] | None, new: Object) -> list[Object]:
    """The conditions with `new` at the end. Nothing changes when one of its type with the same status and reason is there, and
    with the same status that one's lastTransitionTime stays."""
    current = find(conditions, new["type"])
    if current is not None and current["status"] == new["status"]:
        if current.get("reason") == new.get("reason"):
            return list(conditions or ())
        new = {**new, "lastTransitionTime": current.get("lastTransitionTime", new["lastTransitionTime"])}
    return [*without(conditions, new["type"]), new]


def condition(type_: str, status: str, reason: str, message: str, now: datetime, *, updated: bool = False) -> Object:
    """A condition of this moment; `updated` adds the lastUpdateTime that Deployments have."""
    stamp = format_time(now)
    made: Object = {"type": type_, "status": status}
    if updated:
        made["lastUpdateTime"] = stamp
    return {**made, "lastTransitionTime": stamp, "reason": reason, "message": message}
