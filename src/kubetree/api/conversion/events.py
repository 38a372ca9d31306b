"""Events: one object under two sets of names."""

from __future__ import annotations

from typing import Any

_TO_NEW = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_TO_CORE = {new: core for core, new in _TO_NEW.items()}
_REPORTING = ("reportingController", "reportingInstance")
"""Left out when empty, unlike in core v1."""


def to_new(event: dict[str, Any]) -> dict[str, Any]:
    """core v1 to events.k8s.io/v1."""
    named = {_TO_NEW.get(name, name): value for name, value in event.items()}
    return {name: value for name, value in named.items() if value or name not in _REPORTING}


def to_core(event: dict[str, Any]) -> dict[str, Any]:
    return {_TO_CORE.get(name, name): value for name, value in event.items()}
