"""Deletes objects whose owners are gone, and carries out foreground deletion and orphaning, for every kind that discovery lists.

Follows upstream's garbagecollector package. Its graph is here the informers' index by owner UID; an owner that the caches do not
show is asked for at the API server before anything is deleted for its absence.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.objects import is_deleting, namespace_name
from kubetree.controllers.discovery import collectable
from kubetree.controllers.plan import (
    NOTHING,
    Batch,
    Delete,
    Event,
    Outcome,
    Patch,
    Plan,
    Read,
    Request,
    RequeueAfter,
    plan,
)
from kubetree.controllers.runner import Duty, Everywhere, Key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
REMEMBERED = 5000
"""How many UIDs of objects that are gone are kept in mind."""
UNKNOWN_KIND_RETRY = 30.0
"""Seconds until an owner of a kind that is not served is looked for again."""


def key_of(obj: Object) -> Key:
    return (obj["apiVersion"], obj["kind"], *namespace_name(obj))


def same(old: Object, new: Object) -> bool:
    """Whether an update changes nothing about who owns the object and how it is being deleted."""
    before, after = old["metadata"], new["metadata"]
    fields = ("ownerReferences", "deletionTimestamp", "finalizers", "uid")
    return all(before.get(field) == after.get(field) for field in fields)


class GarbageCollector:
    """Remembers which UIDs are known to be gone, so that of a thousand pods only the first asks for their ReplicaSet."""

    def __init__(self) -> None:
        self._absent: OrderedDict[str, None] = OrderedDict()

    def keys(self, obj: Object, snapshot: Snapshot) -> Iterable[Key]:
        """The object itself; with it, when it is going or gone, all that hangs on it and its owners. An owner that waits for its dependents
        hears of each that changes: the last one may stay and merely no longer be its."""
        gone, metadata = _is_gone(obj, snapshot), obj["metadata"]
        if gone:
            self._note_absent(metadata["uid"])
        elif not is_deleting(obj):
            return [key_of(obj), *(key for key, owner in _owners(obj, snapshot) if owner is not None and _waits(owner))]
        dependents = [key_of(dependent) for _, dependent in snapshot.dependents(metadata["uid"])]
        return [*([] if gone else [key_of(obj)]), *dependents, *(key for key, _ in _owners(obj, snapshot))]

    def reconcile(self, snapshot: Snapshot, key: Key, _: datetime) -> Plan:
        row = snapshot.row(key[0], key[1])
        obj = snapshot.get(row, key[2], key[3]) if row is not None else None
        if row is None or obj is None:
            return NOTHING
        item = Item(snapshot, row, obj, self._absent, self._note_absent)
        if is_deleting(obj):
            finalizers = obj["metadata"].get("finalizers") or ()
            if ORPHAN in finalizers:
                return item.orphan_dependents()
            return item.delete_dependents_first() if FOREGROUND in finalizers else NOTHING
        return item.look_for_owners() if obj["metadata"].get("ownerReferences") else NOTHING

    def _note_absent(self, uid: str) -> None:
        self._absent[uid] = None
        while len(self._absent) > REMEMBERED:
            self._absent.popitem(last=False)


def _owners(obj: Object, snapshot: Snapshot) -> Iterable[tuple[Key, Object | None]]:
    """The keys that an object's references lead to, and what the caches show there."""
    namespace = obj["metadata"].get("namespace", "")
    for reference in obj["metadata"].get("ownerReferences") or ():
        row = snapshot.row(reference["apiVersion"], reference["kind"])
        if row is not None:
            within = namespace if row.namespaced else ""
            yield (reference["apiVersion"], reference["kind"], within, reference["name"]), snapshot.get(row, within, reference["name"])


def _is_gone(obj: Object, snapshot: Snapshot) -> bool:
    row = snapshot.row(obj["apiVersion"], obj["kind"])
    current = snapshot.get(row, *namespace_name(obj)) if row is not None else None
    return current is None or current["metadata"]["uid"] != obj["metadata"]["uid"]


@dataclass(frozen=True, slots=True)
class Owners:
    """Owner references by what became of the owners. `dangling` ones are gone, `waiting` ones wait for their dependents to go first;
    `unknown` must be asked for; `unserved` are of kinds that nobody serves, `misplaced` ones of another scope."""

    solid: tuple[Object, ...]
    waiting: tuple[Object, ...]
    unknown: tuple[tuple[Kind, Object], ...]
    unserved: tuple[Object, ...]
    misplaced: tuple[Object, ...]
    dangling: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """An object and what is known around it. `absent` are UIDs of owners that the server itself says are gone."""

    snapshot: Snapshot
    kind: Kind
    obj: Object
    absent: Collection[str]
    note_absent: Callable[[str], None]

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    # -- an object that is being deleted

    def orphan_dependents(self) -> Plan:
        """Takes the owner out of all dependents, then lets it go."""
        dependents = self.snapshot.dependents(self.uid)
        freed = tuple(_without_owners(kind, obj, {self.uid}) for kind, obj in dependents)
        return plan(Batch(freed), self._without_finalizer(ORPHAN))

    def delete_dependents_first(self) -> Plan:
        """Lets the object go once no dependent blocks it. The dependents delete themselves when they see it waiting."""
        blocking = [d for _, d in self.snapshot.dependents(self.uid) if _blocks(d, self.uid)]
        return NOTHING if blocking else plan(self._without_finalizer(FOREGROUND))

    def _without_finalizer(self, name: str) -> Patch:
        metadata = self.obj["metadata"]
        kept = [f for f in metadata.get("finalizers") or () if f != name]
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept or None}}
        return Patch(self.kind, *namespace_name(self.obj), patch, type="merge", ignore=frozenset({"NotFound"}))

    # -- an object with owners

    def look_for_owners(self) -> Plan:
        owners = self._classify()
        events = [self._misplaced(reference) for reference in owners.misplaced]
        if owners.unserved:
            return plan(events, RequeueAfter(UNKNOWN_KIND_RETRY))
        if not owners.unknown:
            return plan(events) + self._decide(owners)
        namespace = self.obj["metadata"].get("namespace", "")
        reads: tuple[Request, ...] = tuple(
            Read(kind, namespace if kind.namespaced else "", reference["name"]) for kind, reference in owners.unknown
        )
        return plan(events, Batch(reads), then=lambda outcome: self._with_answers(owners, outcome))

    def _classify(self) -> Owners:
        solid: list[Object] = []
        waiting: list[Object] = []
        unknown: list[tuple[Kind, Object]] = []
        unserved: list[Object] = []
        misplaced: list[Object] = []
        dangling: list[Object] = []
        namespace = self.obj["metadata"].get("namespace", "")
        for reference in self.obj["metadata"]["ownerReferences"]:
            row = self.snapshot.row(reference["apiVersion"], reference["kind"])
            if row is None:
                unserved.append(reference)
            elif row.namespaced and not self.kind.namespaced:
                misplaced.append(reference)
            else:
                owner = self.snapshot.get(row, namespace if row.namespaced else "", reference["name"])
                if reference["uid"] in self.absent:
                    dangling.append(reference)
                elif owner is None or owner["metadata"]["uid"] != reference["uid"]:
                    unknown.append((row, reference))
                else:
                    (waiting if _waits(owner) else solid).append(reference)
        return Owners(tuple(solid), tuple(waiting), tuple(unknown), tuple(unserved), tuple(misplaced), tuple(dangling))

    def _with_answers(self, owners: Owners, outcome: Outcome) -> Plan:
        """Goes on with what the server said about owners that the caches do not show."""
        if outcome.errors:
            return NOTHING
        solid, waiting, dangling = list(owners.solid), list(owners.waiting), list(owners.dangling)
        for (_, reference), owner in zip(owners.unknown, outcome.results, strict=True):
            if owner is None or owner["metadata"]["uid"] != reference["uid"]:
                self.note_absent(reference["uid"])
                dangling.append(reference)
            else:
                (waiting if _waits(owner) else solid).append(reference)
        return self._decide(Owners(tuple(solid), tuple(waiting), (), (), owners.misplaced, tuple(dangling)))

    def _decide(self, owners: Owners) -> Plan:
        """An owner that stays keeps the object; without one it goes, in the foreground when an owner waits for that."""
        if owners.solid or owners.misplaced:
            gone = {r["uid"] for r in (*owners.dangling, *owners.waiting)}
            return plan(_without_owners(self.kind, self.obj, gone)) if gone and owners.solid else NOTHING
        if not owners.dangling and not owners.waiting:
            return NOTHING
        dependents = self.snapshot.dependents(self.uid)
        if owners.waiting and dependents:
            in_circle = any(_waits(d) for _, d in dependents)
            return plan(self._unblocked() if in_circle else None, self._delete("Foreground", versioned=not in_circle))
        finalizers = self.obj["metadata"].get("finalizers") or ()
        policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
        return plan(self._delete(policy))

    def _delete(self, policy: str, *, versioned: bool = True) -> Delete:
        metadata = self.obj["metadata"]
        version = metadata["resourceVersion"] if versioned else ""
        return Delete(self.kind, *namespace_name(self.obj), uid=metadata["uid"], resource_version=version, propagation=policy)

    def _unblocked(self) -> Patch:
        """No owner waits for the object any longer: breaks a circle of objects that wait for each other."""
        references = [{**r, "blockOwnerDeletion": False} for r in self.obj["metadata"]["ownerReferences"]]
        return _references_patch(self.kind, self.obj, references)

    def _misplaced(self, reference: Object) -> Event:
        namespace = self.obj["metadata"].get("namespace", "")
        shown = (
            f"[{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, name: {reference['name']}, uid: {reference['uid']}]"
        )
        message = f'ownerRef {shown} does not exist in namespace "{namespace}"'
        return Event(self.obj, "Warning", "OwnerRefInvalidNamespace", message)


def _waits(obj: Object) -> bool:
    """Whether the object is being deleted but waits for its dependents."""
    return is_deleting(obj) and FOREGROUND in (obj["metadata"].get("finalizers") or ())


def _blocks(dependent: Object, owner_uid: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(r["uid"] == owner_uid and r.get("blockOwnerDeletion") for r in references)


def _without_owners(kind: Kind, obj: Object, uids: set[str]) -> Patch:
    return _references_patch(kind, obj, [r for r in obj["metadata"]["ownerReferences"] if r["uid"] not in uids])


def _references_patch(kind: Kind, obj: Object, references: list[Object]) -> Patch:
    """The resourceVersion in the patch keeps it from undoing what another writer did meanwhile."""
    metadata = obj["metadata"]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"], "ownerReferences": references or None}}
    return Patch(kind, *namespace_name(obj), patch, type="merge", ignore=frozenset({"NotFound"}))


def duty() -> Duty:
    collector = GarbageCollector()
    return Duty(
        "garbage-collector-controller",
        "garbage-collector-controller",
        {},
        collector.reconcile,
        workers=20,
        account="generic-garbage-collector",
        everywhere=Everywhere(collectable, collector.keys, same),
    )
