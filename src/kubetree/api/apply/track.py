"""Ownership after a create, an update or a patch that is no apply: whoever changes a field owns it, and others lose it.

This runs on every write. A create walks the object once and makes one entry; an update descends only into what differs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.apply.field_sets import LEAF, Node, difference, union
from kubetree.api.apply.managers import Entry, Managed, ManagerKey, capped, decode, encode, is_reset, manager_key
from kubetree.api.apply.reset_fields import without_reset_fields
from kubetree.api.apply.types import Pair, Type
from kubetree.api.apply.versions import Versions
from kubetree.api.kinds import Kind

Object = dict[str, Any]

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

    `now` is a metav1.Time. `type` is the compiled schema of a custom resource. Follows upstream's FieldManager.Update: managedFields in
    the request count when they are valid, an empty list clears them, and an object that had none gets none.
    """
    metadata = new["metadata"]
    given = metadata.pop("managedFields", None)
    versions = Versions(kind, type)
    try:
        if live is None:
            managed = _given(given)
            live = {}
        else:
            managed = _standing(live, None if subresource else given)
            if not managed:
                return
            live = without_managed_fields(live)
        changed, removed = versions.type.compare(live, new) if live else (_created(versions.type, new), None)
        if changed:
            changed = without_reset_fields(changed, kind, subresource, builtin=versions.builtin)
        if managed:
            managed = taken_away(versions.reconciled(managed), Changes(versions, live, new, (changed, removed)))
    except ValueError:
        return
    key = manager_key(manager, operation, kind.api_version, subresource)
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


class Changes:
    """What a write changed or added, and what it removed, in the terms of each version that is asked for."""

    def __init__(self, versions: Versions, old: Object, new: Object, own: Pair) -> None:
        self._versions, self._old, self._new = versions, old, new
        self._at = {versions.own: own}

    def at(self, api_version: str) -> Pair | None:
        """(changed, removed); None for a version that is no more."""
        found = self._at.get(api_version)
        if found is None:
            versions = self._versions
            of_type = versions.type_at(api_version)
            if of_type is None:
                return None
            if not versions.builtin:
                found = self._at[versions.own]
            else:
                found = of_type.compare(versions.convert(self._old, api_version), versions.convert(self._new, api_version))
            self._at[api_version] = found
        return found


def taken_away(managed: Managed, changes: Changes, keep: ManagerKey | None = None) -> Managed:
    """The managers without what a write changed or removed. Those left with nothing are dropped, and those of versions that are no more.

    `keep` is who writes.
    """
    out: Managed = {}
    for key, entry in managed.items():
        fields = entry.fields
        if key != keep:
            pair = changes.at(entry.api_version)
            if pair is None:
                continue
            fields = difference(difference(fields, pair[0]), pair[1])
        if fields:
            out[key] = entry if fields is entry.fields else Entry(fields, entry.api_version, entry.time)
    return out
