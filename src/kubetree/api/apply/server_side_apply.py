"""Server-side apply: a manager states all the fields it wants; the server merges them, and removes what it no longer states.

Follows upstream's FieldManager.Apply and structured-merge-diff's Updater: conflicts with other managers unless forced, shared ownership of
equal values, removal of what nobody else owns, and the way over from client-side apply.
"""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api.apply import field_sets as fs
from kubetree.api.apply.field_sets import LEAF, Node, Path
from kubetree.api.apply.managers import APPLY, UPDATE, Entry, Managed, ManagerKey, decode, encode, manager_key
from kubetree.api.apply.reset_fields import without_reset_fields
from kubetree.api.apply.track import STRIPPED, Changes, taken_away, without_managed_fields
from kubetree.api.apply.types import Type
from kubetree.api.apply.versions import Versions
from kubetree.api.errors import ApiError, BadRequest, Cause, Conflict
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy

Object = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY = "before-first-apply"
_ANNOTATIONS_LIMIT = 256 * 1024


class _Conflicts(Exception):
    def __init__(self, found: dict[ManagerKey, list[Path]]) -> None:
        super().__init__()
        self.found = found


def apply(
    kind: Kind,
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    force: bool,
    now: str,
    subresource: str = "",
    type: Type | None = None,
) -> Object:
    """The object after `manager` applied its configuration to `live` (None: there is none yet), with managedFields set.

    All in the version of `kind`; `now` is a metav1.Time; `type` is the compiled schema of a custom resource. The inputs stay as they are.
    Raises Conflict with a FieldManagerConflict cause a field, BadRequest for another type, for managedFields in the configuration and for
    fields that the type does not have (upstream answers with the same words and 500, although the client is to blame).
    """
    group_version_kind = go_kind(applied)
    if (applied.get("apiVersion"), applied.get("kind")) != (kind.api_version, kind.kind):
        raise BadRequest(f"invalid object type: {group_version_kind}")
    metadata = applied.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    versions = Versions(kind, type)
    of_type = versions.type
    name = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {group_version_kind}"
    _check(of_type, applied, f"failed to create typed patch object ({name})", duplicates=False)
    run = _Apply(kind, versions, subresource, manager_key(manager, APPLY, "", subresource), now)
    try:
        new = run.apply(live, applied, force)
    except _Conflicts as conflicts:
        allowed = _from_client_side_apply(kind, of_type, live) if manager == "kubectl" and live else None
        left = conflicts.found if allowed is None else {
            key: rest for key, found in conflicts.found.items() if (rest := [path for path in found if not fs.has(allowed, path)])
        }  # fmt: skip
        if left:
            raise _conflict(left) from None
        new = run.apply(live, applied, True)
    except ValueError as error:
        raise ApiError(f"failed to create typed live object ({name}): {error}", status_code=500, status_reason="") from None
    if manager == "kubectl":
        _sync_last_applied(new, applied)
    return new


def go_kind(obj: Object) -> str:
    """apiVersion and kind as Go prints them: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`."""
    group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
    return f"{group}/{version}, Kind={obj.get('kind') or ''}"


def _check(of_type: Type, obj: Object, what: str, *, duplicates: bool) -> None:
    found = list(of_type.validate(obj, "", duplicates))
    if found:
        text = found[0] if len(found) == 1 else "\n  ".join(("errors:", *found))
        raise BadRequest(f"{what}: {text}")


def _says_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(item is None or _says_null(item) for item in value.values())
    return isinstance(value, list) and any(map(_says_null, value))


class _Apply:
    """One apply: what it is about, and the steps of it."""

    def __init__(self, kind: Kind, versions: Versions, subresource: str, key: ManagerKey, now: str) -> None:
        self._kind, self._versions, self._subresource, self._key, self._now = kind, versions, subresource, key, now
        self._type = versions.type

    def _ownable(self, fields: Node | None) -> Node:
        return without_reset_fields(fields or LEAF, self._kind, self._subresource, builtin=self._versions.builtin)

    def apply(self, live: Object | None, applied: Object, force: bool) -> Object:
        """Raises _Conflicts; ValueError when the live object cannot be read by its type."""
        managed, standing = self._managed(live)
        merged = self._type.merge(standing, applied)
        last = managed.get(self._key)
        mine = Entry(self._ownable(self._type.to_set(applied)), self._kind.api_version, last.time if last else "")
        managed[self._key] = mine
        new = self._pruned(merged, managed, last)
        # What lost its last entry is null here. A list is gone then, and with it whoever owned it; a map is as empty as a struct may be,
        # and stays whose it was.
        left = self._type.without_nulls(new) if self._versions.builtin else new
        changed, removed = self._type.compare(standing, self._type.without_nulls(new, maps=True) if self._versions.builtin else new)
        if self._versions.builtin and _says_null(applied):
            told = fs.intersection(self._type.compare(standing, new)[0] or LEAF, mine.fields)
            changed = fs.union(changed or LEAF, told)  # a null that was said is a change of the value, and not its end
        changes = Changes(self._versions, standing, new, (self._ownable(changed), self._ownable(removed)), self._ownable)
        if not force:
            self._refuse_conflicts(managed, changes)
        managed = taken_away(managed, changes, keep=self._key)
        fields = fs.difference(mine.fields, STRIPPED)
        same = live is not None and new == standing
        if fields:
            managed[self._key] = Entry(fs.ordered(fields), self._kind.api_version, mine.time if same else self._now)
        else:
            managed.pop(self._key, None)
        out: Object = copy(left if self._versions.builtin else _without_new_nulls(new, merged))
        metadata = out.setdefault("metadata", {})
        if managed:
            metadata["managedFields"] = copy(encode(managed))
        return out

    def _managed(self, live: Object | None) -> tuple[Managed, Object]:
        """The managers so far, and the live object without them. What was there before the first apply has an owner of that name."""
        if live is None:
            return {}, {}
        try:
            managed = self._versions.reconciled(decode(live["metadata"].get("managedFields")))
        except ValueError as error:
            raise BadRequest(f"failed to decode managed fields: {error}") from None
        standing = without_managed_fields(live)
        if not managed:
            changed, _ = self._type.compare({}, standing)
            fields = fs.difference(self._ownable(changed), STRIPPED)
            if fields:
                key = manager_key(BEFORE_FIRST_APPLY, UPDATE, self._kind.api_version, self._subresource)
                managed[key] = Entry(fs.ordered(fields), self._kind.api_version, self._now)
        return managed, standing

    def _pruned(self, merged: Object, managed: Managed, last: Entry | None) -> Object:
        """`merged` without what this manager applied last time, not this time, and nobody else owns."""
        if last is None or not last.fields or self._says_it_all(last, managed):
            return merged
        versions, version = self._versions, last.api_version
        of_type = versions.type_at(version)
        if of_type is None:
            return merged
        whole = versions.convert(merged, version)
        once = of_type.named(last.fields)
        pruned = of_type.remove(whole, once) or {}
        owned: dict[str, Node] = {version: LEAF}
        for entry in managed.values():
            owned[entry.api_version] = fs.union(owned.get(entry.api_version, LEAF), entry.fields)
        for at, fields in owned.items():
            pruned = self._added_back(whole, pruned, at, fields)
        pruned = versions.convert(pruned, version)
        everything = of_type.named(of_type.to_set(whole) or LEAF)
        gone = fs.difference(everything, of_type.named(of_type.to_set(pruned) or LEAF))
        out: Object = of_type.remove(whole, fs.intersection(gone, once)) or {}
        return versions.convert(out, self._kind.api_version)

    def _says_it_all(self, last: Entry, managed: Managed) -> bool:
        """Whether this manager states at least what it stated last time, so that nothing can go: most applies. To find that out the long way
        takes a third of an apply's time. What managers of other versions own is looked at the long way."""
        version = last.api_version
        of_one_version = all(entry.api_version == version for entry in managed.values())
        return of_one_version and not fs.difference(last.fields, managed[self._key].fields)

    def _added_back(self, merged: Object, pruned: Object, version: str, owned: Node) -> Object:
        """`pruned` with what managers of `version` own in `merged`."""
        of_type = self._versions.type_at(version)
        if of_type is None:
            return pruned
        merged, pruned = self._versions.convert(merged, version), self._versions.convert(pruned, version)
        everything = of_type.named(of_type.to_set(merged) or LEAF)
        kept = fs.union(of_type.named(of_type.to_set(pruned) or LEAF), of_type.named(owned))
        out: Object = of_type.remove(merged, fs.difference(everything, kept)) or {}
        return out

    def _refuse_conflicts(self, managed: Managed, changes: Changes) -> None:
        found = {}
        for key, entry in managed.items():
            pair = changes.at(entry.api_version) if key != self._key else None
            conflicting = list(fs.paths(fs.intersection(entry.fields, pair[0]))) if pair and pair[0] else []
            if conflicting:
                found[key] = conflicting
        if found:
            raise _Conflicts(found)


def _without_new_nulls(new: Object, merged: Object) -> Object:
    """`new` without the nulls that pruning left behind: a custom resource keeps those it came with."""
    out = {}
    for name, value in new.items():
        before = merged.get(name)
        if value is not None or before is None:
            out[name] = _without_new_nulls(value, before) if isinstance(value, dict) and isinstance(before, dict) else value
    return out


def _conflict(found: dict[ManagerKey, list[Path]]) -> Conflict:
    keys = sorted(found)
    causes = [Cause("FieldManagerConflict", f"conflict with {key.describe()}", fs.path_text(path)) for key in keys for path in found[key]]
    if len(causes) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    lines = [line for key in keys for line in (f"conflicts with {key.describe()}:", *(f"- {fs.path_text(path)}" for path in found[key]))]
    return Conflict(f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines), causes=causes)


def _from_client_side_apply(kind: Kind, of_type: Type, live: Object) -> Node | None:
    """The fields that `kubectl apply` last applied and that are still so: `kubectl apply --server-side` may take them over."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return None
    try:
        last = orjson.loads(text)
        if not isinstance(last, dict) or last.get("apiVersion") != kind.api_version or any(of_type.validate(last, "", False)):
            return None
        fields = of_type.to_set(last) or LEAF
        changed, removed = of_type.compare(last, live)
    except ValueError:
        return None
    return fs.difference(fs.difference(fields, changed), removed)


def _sync_last_applied(new: Object, applied: Object) -> None:
    """Keeps kubectl's annotation, where there is one, in step with the configuration; drops it when it grows too large."""
    annotations = new["metadata"].get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return
    config = copy(applied)
    (config.get("metadata", {}).get("annotations") or {}).pop(LAST_APPLIED, None)
    annotations[LAST_APPLIED] = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        del annotations[LAST_APPLIED]
