"""Fills in what a client left out, as pkg/apis/*/v1/defaults.go does, so that everyone downstream reads complete objects.

One function a kind, in a table; each changes the object in place and treats a missing, null and zero field alike, as Go's decoding does.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.table import DEFAULTS
from kubetree.api.kinds import Kind
from kubetree.api.schema import name_of
from kubetree.api.schema.definitions import OBJECT_META
from kubetree.api.schema.go_values import fill_always

__all__ = ["apply_defaults"]


_IDENTITY = frozenset({"metadata", "apiVersion", "kind"})
_BY_SECTION = frozenset(
    {
        ("v1", "Endpoints"),
        ("v1", "Event"),
        ("v1", "Node"),
        ("v1", "PersistentVolume"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("coordination.k8s.io/v1", "Lease"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
    }
)
"""Kinds whose defaults of one section (spec, status, ...) do not depend on another; their metadata has none."""


def apply_defaults(kind: Kind, obj: dict[str, Any], standing: dict[str, Any] | None = None) -> None:
    """Defaults `obj`, which must have passed the schema check, in place. Kinds without defaults stay as they are.

    `standing` is an object of the same kind and version that has its defaults, such as the one that `obj` is to replace: sections that are
    the same in both are not looked at again.
    """
    if kind.behaviour is not None:
        kind.behaviour.default(obj)
    elif standing is None or (kind.api_version, kind.kind) not in _BY_SECTION:
        _fill(kind, obj)
    else:
        same = {name for name, value in obj.items() if name not in _IDENTITY and name in standing and value == standing[name]}
        if obj.keys() - _IDENTITY == same == standing.keys() - _IDENTITY:
            fill_always(OBJECT_META, obj["metadata"])
            return
        part = {name: value for name, value in obj.items() if name not in same}
        _fill(kind, part)
        obj.update({name: value for name, value in part.items() if name not in same})


def _fill(kind: Kind, obj: dict[str, Any]) -> None:
    fill = DEFAULTS.get((kind.api_version, kind.kind)) or DEFAULTS.get((kind.stored_as, kind.kind))
    if fill is not None:
        fill(obj)
    name = name_of(kind)
    if name is not None:
        fill_always(name, obj)
