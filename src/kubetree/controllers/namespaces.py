"""Namespaces being deleted: empties them of everything that discovery knows, pods first, then lets the namespace go.

Follows upstream's namespaced_resources_deleter.go. What is still there, and what holds it, stands in the conditions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import is_deleting
from kubetree.api.times import format_time
from kubetree.controllers.conditions import find
from kubetree.controllers.discovery import deletable
from kubetree.controllers.plan import (
    NOTHING,
    Action,
    Batch,
    Delete,
    DeleteCollection,
    Discover,
    Outcome,
    Plan,
    ReadAll,
    Request,
    RequeueAfter,
    StatusUpdate,
    Update,
    plan,
)
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

NAMESPACE, POD = kind("v1", "Namespace"), kind("v1", "Pod")
FINALIZER = "kubernetes"
AGAIN = 2.0
"""Seconds until a namespace with content left is looked at again. A pod that goes brings it back at once."""

ABSENT = frozenset({"NotFound", "MethodNotAllowed"})

OK = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


def keys_of_pod(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    """A pod's namespace while that is being deleted."""
    namespace = snapshot.get(NAMESPACE, "", pod["metadata"]["namespace"])
    return (("", namespace["metadata"]["name"]),) if namespace is not None and is_deleting(namespace) else ()


def any_update(_: Object, __: Object) -> bool:
    return True


WATCHES = {NAMESPACE: own_key, POD: keys_of_pod}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    namespace = snapshot.get(NAMESPACE, *key)
    if namespace is None or not is_deleting(namespace):
        return NOTHING
    if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
        return NOTHING
    status = namespace.get("status") or {}
    if status.get("phase") != "Terminating":
        return plan(StatusUpdate(NAMESPACE, namespace, {**status, "phase": "Terminating"}))
    return plan(Discover(), then=Emptying(namespace, now).begin, forgive=True)


@dataclass(frozen=True, slots=True)
class Emptying:
    """One try to empty a namespace, step by step: each is asked how the one before went."""

    namespace: Object
    now: datetime

    @property
    def name(self) -> str:
        return str(self.namespace["metadata"]["name"])

    def begin(self, outcome: Outcome) -> Plan:
        if outcome.errors or not outcome.results or outcome.results[0] is None:
            message = outcome.errors[0].message if outcome.errors else "no resources"
            failed = {"NamespaceDeletionDiscoveryFailure": ("DiscoveryFailed", message)}
            return plan(self._conditions(failed), RequeueAfter(AGAIN))
        kinds = [k for k in outcome.results[0]["kinds"] if deletable(k)]
        pods = [k for k in kinds if (k.group, k.kind) == ("", "Pod")]
        rest = [k for k in kinds if k not in pods]
        return self._empty(pods, lambda found: self._conclude(found) if found.left else self._empty(rest, self._conclude))

    def _empty(self, kinds: Sequence[Kind], then: Any) -> Plan:
        """Deletes all of `kinds`, then lists what is left of them and hands it to `then`."""
        at_once = [k for k in kinds if "deletecollection" in k.verbs]
        singly = [k for k in kinds if "deletecollection" not in k.verbs]
        collections = Batch(tuple(DeleteCollection(k, self.name, propagation="Background", ignore=ABSENT) for k in at_once))
        listed = [k for k in kinds if "list" in k.verbs]
        lists: tuple[Request, ...] = tuple(ReadAll(k, self.name, ignore=ABSENT) for k in listed)

        def deleted(outcome: Outcome) -> Plan:
            failures = tuple(e.message for e in outcome.errors)
            return plan(Batch(lists), then=lambda read: then(Found.of(listed, read, failures)), forgive=True)

        if not singly:
            return plan(collections, then=deleted, forgive=True)
        reads = Batch(tuple(ReadAll(k, self.name, ignore=ABSENT) for k in singly))
        return plan(collections, reads, then=lambda read: self._one_by_one(singly, read, deleted), forgive=True)

    def _one_by_one(self, kinds: Sequence[Kind], outcome: Outcome, then: Any) -> Plan:
        """For kinds that cannot be deleted as a collection."""
        answers = outcome.results[-len(kinds) :]
        deletes = tuple(
            Delete(k, self.name, item["metadata"]["name"], propagation="Background", ignore=ABSENT)
            for k, answer in zip(kinds, answers, strict=False)
            for item in (answer or {}).get("items") or ()
            if answer is not None and "items" in answer
        )
        return plan(Batch(deletes), then=lambda done: then(Outcome(done.results, outcome.errors + done.errors)), forgive=True)

    def _conclude(self, found: Found) -> Plan:
        """Tells what is left, and lets go when nothing is."""
        told: dict[str, tuple[str, str]] = {}
        if found.failures:
            message = f"Failed to delete all resource types, {len(found.failures)} remaining: {', '.join(sorted(found.failures))}"
            told["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
        if found.left:
            parts = sorted(f"{resource} has {number} resource instances" for resource, number in found.left.items())
            told["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {', '.join(parts)}")
        if found.finalizers:
            parts = sorted(f"{name} in {number} resource instances" for name, number in found.finalizers.items())
            message = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
            told["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
        if told:
            return plan(self._conditions(told), RequeueAfter(AGAIN))
        kept = [name for name in self.namespace["spec"]["finalizers"] if name != FINALIZER]
        finalized = {**self.namespace, "spec": {**self.namespace["spec"], "finalizers": kept}}
        return plan(Update(NAMESPACE, finalized, subresource="finalize", ignore=frozenset({"NotFound"})))

    def _conditions(self, told: dict[str, tuple[str, str]]) -> Action | None:
        """The status with all five conditions: those in `told` are True, the others False; None when nothing changes."""
        status = self.namespace.get("status") or {}
        conditions = []
        for type_, (ok_reason, ok_message) in OK.items():
            reason, message = told.get(type_, (ok_reason, ok_message))
            made = {"type": type_, "status": str(type_ in told), "lastTransitionTime": format_time(self.now)}
            made.update(reason=reason, message=message)
            current = find(status.get("conditions"), type_)
            if current is not None and current["status"] == made["status"]:
                made["lastTransitionTime"] = current.get("lastTransitionTime", made["lastTransitionTime"])
            conditions.append(made)
        if conditions == status.get("conditions"):
            return None
        return StatusUpdate(NAMESPACE, self.namespace, {**status, "conditions": conditions}, ignore=frozenset({"NotFound"}))


@dataclass(frozen=True, slots=True)
class Found:
    """What is left in a namespace: numbers by `resource.group` and by finalizer, and what failed."""

    left: Counter[str]
    finalizers: Counter[str]
    failures: tuple[str, ...]

    @classmethod
    def of(cls, kinds: Sequence[Kind], read: Outcome, failures: tuple[str, ...]) -> Found:
        left: Counter[str] = Counter()
        finalizers: Counter[str] = Counter()
        for row, answer in zip(kinds, read.results, strict=False):
            for item in (answer or {}).get("items") or ():
                left[f"{row.plural}.{row.group}"] += 1
                finalizers.update(item["metadata"].get("finalizers") or ())
        return cls(left, finalizers, failures + tuple(e.message for e in read.errors))


DUTY = Duty(
    "namespace-controller",
    "namespace-controller",
    WATCHES,
    reconcile,
    workers=10,
    account="namespace-controller",
    same={POD: any_update},
)
