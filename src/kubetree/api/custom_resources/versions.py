"""Kubernetes' order of API versions, and what is said of deprecated ones."""

from __future__ import annotations

import re
from typing import Any

Object = dict[str, Any]
_FORM = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")


def priority(version: str) -> tuple[int, int, int, tuple[int, ...]]:
    """Sorts versions, the least stable first: v1 over v1beta2 over v1beta1 over v1alpha1 over anything else, which goes by its letters
    backwards."""
    match = _FORM.fullmatch(version)
    if match is None:
        return -1, 0, 0, tuple(-ord(c) for c in version)
    stage = {"alpha": 0, "beta": 1, None: 2}[match[2]]
    return stage, int(match[1]), int(match[3] or 0), ()


def deprecation_warning(spec: Object, version: Object) -> str:
    """What requests for a deprecated version are warned of: its own text, or which version is there instead."""
    if version.get("deprecationWarning") is not None:
        text: str = version["deprecationWarning"]
        return text
    group, kind, name = spec["group"], spec["names"]["kind"], version["name"]
    message = f"{group}/{name} {kind} is deprecated"
    better = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated") and priority(v["name"]) > priority(name)]
    return f"{message}; use {group}/{max(better, key=priority)} {kind}" if better else message
