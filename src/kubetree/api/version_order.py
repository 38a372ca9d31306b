"""The order of versions as Kubernetes has it: GA before beta before alpha, then by number; what is no such version comes last, by name."""

from __future__ import annotations

import re

_VERSION = re.compile(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?")
_STAGES = {"": 2, "beta": 1, "alpha": 0}


def version_order(a: str, b: str) -> int:
    """Negative when `a` comes before `b`, that is, is the more stable or the newer. Follows apimachinery's version.CompareKubeAwareVersionStrings."""
    if a == b:
        return 0
    first, second = parsed(a), parsed(b)
    if first is None and second is None:
        return -1 if a < b else 1
    if first is None or second is None:
        return 1 if first is None else -1
    return -1 if first > second else 1


def parsed(version: str) -> tuple[int, int, int] | None:
    """(stage, major, minor), greater for what is preferred; None for what is no Kubernetes version."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    major, stage, minor = found.groups()
    return _STAGES[stage or ""], int(major), int(minor or 0)
