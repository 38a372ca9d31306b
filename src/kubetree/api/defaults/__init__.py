"""Fills in what a client left out, as pkg/apis/*/v1/defaults.go does, so that everyone downstream reads complete objects.

One function a kind, in a table; each changes the object in place and treats a missing, null and zero field alike, as Go's decoding does.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.table import DEFAULTS
from kubetree.api.kinds import Kind
from kubetree.api.schema import name_of
from kubetree.api.schema.go_values import fill_always

__all__ = ["apply_defaults"]


def apply_defaults(kind: Kind, obj: dict[str, Any]) -> None:
    """Defaults `obj`, which must have passed the schema check, in place. Kinds without defaults stay as they are."""
    if kind.behaviour is not None:
        kind.behaviour.default(obj)
        return
    fill = DEFAULTS.get((kind.api_version, kind.kind)) or DEFAULTS.get((kind.stored_as, kind.kind))
    if fill is not None:
        fill(obj)
    name = name_of(kind)
    if name is not None:
        fill_always(name, obj)
