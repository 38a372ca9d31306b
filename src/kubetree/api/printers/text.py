"""How single values are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.selectors import label_selector
from kubetree.api.times import human_age, parse_time

Object = Mapping[str, Any]


def since(moment: str | None, now: datetime) -> str:
    """The age of an RFC 3339 time, `<unknown>` without one."""
    return human_age(now - parse_time(moment)) if moment else "<unknown>"


def created(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def between(start: str, end: str | None, now: datetime) -> str:
    last = parse_time(end) if end else now
    return human_age(last - parse_time(start))


def seconds(count: int) -> str:
    return human_age(timedelta(seconds=count))


def labels(values: Mapping[str, str] | None) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(values.items())) if values else "<none>"


def selector(value: dict[str, Any] | None) -> str:
    """A metav1.LabelSelector; one that selects everything or nothing reads `<none>`."""
    try:
        return str(label_selector(value)) or "<none>" if value else "<none>"
    except ValueError:
        return "<error>"


def containers(spec: Object | None) -> tuple[str, str]:
    """The names and the images of a pod spec's containers."""
    found = (spec or {}).get("containers") or ()
    return ",".join(c.get("name") or "" for c in found), ",".join(c.get("image") or "" for c in found)


def listed(items: list[str], most: int, count: int | None = None) -> str:
    """At most `most` items, then how many more there are."""
    total = len(items) if count is None else count
    if not items:
        return "<none>"
    shown = ",".join(items[:most])
    return f"{shown} + {total - most} more..." if total > most else shown


def boolean(value: bool | None) -> str:
    return "<unset>" if value is None else str(bool(value))


def joined(items: Iterable[str] | None, none: str = "<none>") -> str:
    return ",".join(items or ()) or none


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def access_modes(modes: Iterable[str] | None) -> str:
    given = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in given)
