"""Ownership after a create, an update or a patch that is no apply: whoever changes a field owns it, and others lose it.

This runs on every write. A create walks the object once and makes one entry; an update descends only into what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from kubetree.api.apply.field_sets import LEAF, Node, difference, ordered, union
from kubetree.api.apply.managers import Entry, Managed, ManagerKey, capped, decode, encode, is_reset, manager_key
from kubetree.api.apply.reset_fields import without_reset_fields
from kubetree.api.apply.types import Pair, Type
from kubetree.api.apply.versions import Versions
from kubetree.api.kinds import Kind
from kubetree.api.schema.definitions import name_of

Object = dict[str, Any]
Ownable = Callable[[Node], Node]

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
    spec: bytes | None = None,
) -> None:
    """Sets `new.metadata.managedFields` for a write of `new` over `live` (None: a create); both in the version of `kind`.

    `now` is a metav1.Time. `type` is the compiled schema of a custom resource, `spec` the JSON of that of `new` where it is known. Follows upstream's FieldManager.Update: managedFields in
    the request count when they are valid, an empty list clears them, and an object that had none gets none.
    """
    metadata = new["metadata"]
    given = metadata.pop("managedFields", None)
    if live is None and not given and type is None:
        mine = FIRST.fields(kind, subresource, new, spec)
        if mine:
            key = manager_key(manager, operation, kind.api_version, subresource)
            metadata["managedFields"] = encode({key: Entry(mine, kind.api_version, now)})
        return
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
        changed, removed = versions.type.compare(live, new)
        ownable = partial(without_reset_fields, kind=kind, subresource=subresource, builtin=versions.builtin)
        changed, removed = ownable(changed or LEAF), ownable(removed or LEAF)
        if managed:
            managed = taken_away(versions.reconciled(managed), Changes(versions, live, new, (changed, removed), ownable))
    except ValueError:
        return
    key = manager_key(manager, operation, kind.api_version, subresource)
    mine = difference(changed, STRIPPED) if changed else None
    if mine:
        standing = managed.get(key)
        managed[key] = Entry(ordered(union(mine, standing.fields) if standing else mine), kind.api_version, now)
    entries = encode(capped(managed))
    if entries:
        metadata["managedFields"] = entries


def _first_fields(kind: Kind, subresource: str, new: Object) -> Node | None:
    """What whoever creates `new` comes to own. Raises ValueError as `compare`."""
    versions = Versions(kind)
    changed = versions.type.compare({}, new)[0]
    if changed:
        changed = without_reset_fields(changed, kind, subresource, builtin=versions.builtin)
    return ordered(difference(changed, STRIPPED)) if changed else None


class FirstFields:
    """What the creators of objects own, remembered by what decides it: the whole spec, and of metadata only which keys there are. Objects
    made from one template share the work. What is given is shared, never to be changed.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._known: dict[tuple[object, ...], Node | None] = {}

    def fields(self, kind: Kind, subresource: str, new: Object, spec: bytes | None = None) -> Node | None:
        key = _outline(new, spec) if name_of(kind) is not None else None  # a custom resource's type may change
        if key is None:
            return self._computed(kind, subresource, new)
        key = (kind.api_version, kind.kind, subresource, *key)
        try:
            return self._known[key]
        except KeyError:
            found = self._computed(kind, subresource, new)
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = found
            return found

    def _computed(self, kind: Kind, subresource: str, new: Object) -> Node | None:
        try:
            return _first_fields(kind, subresource, new)
        except ValueError:
            return None


FIRST = FirstFields()
_MOST_SPEC = 64 * 1024
_SIMPLE = frozenset(
    {"name", "namespace", "generateName", "uid", "creationTimestamp", "labels", "annotations", "ownerReferences", "finalizers"}
)


def _outline(new: Object, data: bytes | None = None) -> tuple[object, ...] | None:
    """All of a new object that decides which fields are set; None for objects that have more than metadata, spec and an empty status."""
    spec, metadata = new.get("spec"), new["metadata"]
    members = 4 if "status" not in new else 5 if new["status"] == {} else 0
    if not isinstance(spec, dict) or len(new) != members or not _SIMPLE.issuperset(metadata):
        return None
    if data is None:
        data = orjson.dumps(spec)
    if len(data) > _MOST_SPEC:
        return None
    labels, notes, owners, finalizers = [metadata.get(k) for k in ("labels", "annotations", "ownerReferences", "finalizers")]
    return (
        data,
        tuple(metadata),
        members,
        None if labels is None else tuple(labels),
        None if notes is None else tuple(notes),
        orjson.dumps((owners, finalizers)) if owners or finalizers else (owners == [], finalizers == []),
        metadata.get("generateName") == "",
    )


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
    """A shallow copy, or the object itself where there are none."""
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


class Changes:
    """What a write changed or added, and what it removed, in the terms of each version that is asked for. `own` is that of the write's
    version, `ownable` leaves out what the endpoint resets."""

    def __init__(self, versions: Versions, old: Object, new: Object, own: Pair, ownable: Ownable) -> None:
        self._versions, self._old, self._new, self._ownable = versions, old, new, ownable
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
                changed, removed = of_type.compare(versions.convert(self._old, api_version), versions.convert(self._new, api_version))
                found = self._ownable(changed or LEAF), self._ownable(removed or LEAF)
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
