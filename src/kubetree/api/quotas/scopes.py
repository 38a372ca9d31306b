"""Scope selectors over names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def matches_values(selector: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether one of the names (none: the absence of any) satisfies the selector's operator."""
    values = selector.get("values") or ()
    match selector.get("operator"):
        case "Exists":
            return bool(names)
        case "DoesNotExist":
            return not names
        case "In":
            return any(name in values for name in names)
        case "NotIn":
            return not names or any(name not in values for name in names)
    return False
