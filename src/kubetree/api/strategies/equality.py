"""Equality as upstream's apiequality.Semantic sees it."""

from __future__ import annotations

from typing import Any


def _empty(value: Any) -> bool:
    return value is None or value == []


def semantic_equal(one: Any, other: Any) -> bool:
    """Equal as upstream's Semantic.DeepEqual sees it: missing, null and an empty list are the same. Both sides are in canonical form.

    Empty maps are gone from what was decoded, so an empty object is a struct that was said: something other than none.
    """
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return all(semantic_equal(one.get(k), other.get(k)) for k in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(semantic_equal(a, b) for a, b in zip(one, other, strict=True))
    return _empty(one) and _empty(other)
