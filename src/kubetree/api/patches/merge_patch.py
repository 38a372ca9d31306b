"""JSON Merge Patch (RFC 7386): objects merge, null removes, everything else replaces."""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import BadRequest
from kubetree.api.objects import copy


def merge_patch(doc: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`doc` with `patch` merged into it; the inputs stay as they are. Raises BadRequest for a patch that is no object."""
    if not isinstance(patch, dict):
        raise BadRequest("Invalid JSON Patch")
    return _merged(copy(doc), copy(patch))


def _merged(doc: Any, patch: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = doc if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = _merged(out.get(key), value)
        else:
            out[key] = value
    return out
