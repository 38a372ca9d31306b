"""What is said of deprecated versions of a custom resource."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

from kubetree.api.version_order import version_order

Object = dict[str, Any]


def deprecation_warning(spec: Object, version: Object) -> str:
    """What requests for a deprecated version are warned of: its own text, or which version is there instead."""
    if version.get("deprecationWarning") is not None:
        text: str = version["deprecationWarning"]
        return text
    group, kind, name = spec["group"], spec["names"]["kind"], version["name"]
    message = f"{group}/{name} {kind} is deprecated"
    fresh = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    better = sorted((other for other in fresh if version_order(other, name) < 0), key=cmp_to_key(version_order))
    return f"{message}; use {group}/{better[0]} {kind}" if better else message
