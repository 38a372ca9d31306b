"""Ownership after a create, an update or a patch that is no apply: whoever changes a field owns it, and others lose it.

This runs on every write. A create walks the object once and makes one entry; an update descends only into what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.apply.compile_types import type_of_kind
from kubetree.api.apply.field_sets import LEAF, Node, difference, union
from kubetree.api.apply.managers import Entry, Managed, ManagerKey, capped, decode, encode, is_reset, manager_key
from kubetree.api.apply.reset_fields import without_reset_fields
from kubetree.api.apply.types import Type
from kubetree.api.kinds import Kind
from kubetree.api.schema.definitions import name_of

Object = dict[str, Any]
Convert = Callable[[Object, str], Object]

STRIPPED: Node = {
    "f:apiVersion": LEAF,
    "f:kind": LEAF,
    "f:metadata": {
        ".": LEAF,
        **dict.fromkeys(
            ("f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:clusterName", "f:generation", "f:managedFields",
             "f:resourceVersion"),
            LEAF,
        ),
    },
}  # fmt: skip
"""What nobody owns: identity, and what the server sets."""


def track_update(
    kind: Kind,
    live: Object | None,
    new: Object,
    *,
    manager: str,
    now: str,
    subresource: str = "",
    operation: str = "Update",
    type: Type | None = None,
) -> None:
    """Sets `new.metadata.managedFields` for a write of `new` over `live` (None: a create); both in the version of `kind`.

    `now` is a metav1.Time. `type` is the compiled schema of a custom resource. Entries of other versions lose what changed by the same
    paths. Follows upstream's FieldManager.Update: managedFields in the request count when they are valid, an empty list clears them,
    and an object that had none gets none.
    """
    metadata = new["metadata"]
    given = metadata.pop("managedFields", None)
    of_type = type or type_of_kind(kind)
    builtin = type is None and name_of(kind) is not None
    try:
        if live is None:
            managed = _given(given)
            live = {}
        else:
            managed = _standing(live, None if subresource else given)
            if not managed:
                return
            live = without_managed_fields(live)
        changed, removed = of_type.compare(live, new) if live else (_created(of_type, new), None)
    except ValueError:
        return
    if changed:
        changed = without_reset_fields(changed, kind, subresource, builtin=builtin)
    key = manager_key(manager, operation, kind.api_version, subresource)
    if managed:
        managed = taken_away(managed, changed, removed)
    mine = difference(changed, STRIPPED) if changed else None
    if mine:
        standing = managed.get(key)
        managed[key] = Entry(union(mine, standing.fields) if standing else mine, kind.api_version, now)
    entries = encode(capped(managed))
    if entries:
        metadata["managedFields"] = entries


def _created(of_type: Type, new: Object) -> Node | None:
    """What a create sets: `compare` of nothing with `new`. Objects made from one template share the work of their spec."""
    spec = new.get("spec")
    if not isinstance(spec, dict) or not spec:
        return of_type.compare({}, new)[0]
    changed = of_type.compare({}, {name: value for name, value in new.items() if name != "spec"})[0]
    return {**(changed or {}), **_spec_fields(of_type, orjson.dumps(spec))}


@lru_cache(maxsize=256)
def _spec_fields(of_type: Type, spec: bytes) -> Node:
    """The fields below `f:spec` of a new object; shared, never to be changed."""
    return of_type.compare({}, {"spec": orjson.loads(spec)})[0] or {}


def _given(given: Any) -> Managed:
    try:
        return decode(given)
    except (ValueError, AttributeError):
        return {}


def _standing(live: Object, given: Any) -> Managed:
    """The managers before the write: the request's own list if it is a good one, else those of the live object."""
    if given is not None:
        if is_reset(given):
            return {}
        try:
            managed = decode(given)
        except (ValueError, AttributeError):
            managed = {}
        if managed:
            return managed
    return _given(live["metadata"].get("managedFields"))


def without_managed_fields(obj: Object) -> Object:
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def taken_away(managed: Managed, changed: Node | None, removed: Node | None, keep: ManagerKey | None = None) -> Managed:
    """The managers without what a write changed or removed, those left with nothing dropped. `keep` is who writes."""
    out: Managed = {}
    for key, entry in managed.items():
        fields = entry.fields
        if key != keep:
            fields = difference(difference(fields, changed), removed)
        if fields:
            out[key] = entry if fields is entry.fields else Entry(fields, entry.api_version, entry.time)
    return out
