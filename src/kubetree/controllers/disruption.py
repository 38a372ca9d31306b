"""PodDisruptionBudgets: how many of a budget's pods may be evicted now. The eviction API and preemption go by the answer.

Follows upstream's disruption controller. How many pods there should be comes from the owners' scale: from the caches for built-in
ones, from their scale subresource for others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import controller_of, is_deleting, labels
from kubetree.api.selectors import Selector, label_selector
from kubetree.api.times import format_time, parse_time
from kubetree.controllers import pods
from kubetree.controllers.conditions import find, without
from kubetree.controllers.plan import NOTHING, Action, Batch, Event, Outcome, Patch, Plan, Read, RequeueAfter, StatusUpdate, plan
from kubetree.controllers.runner import Duty, Key, nothing, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

PDB, POD = kind("policy/v1", "PodDisruptionBudget"), kind("v1", "Pod")
DEPLOYMENT, REPLICA_SET, STATEFUL_SET = (kind("apps/v1", name) for name in ("Deployment", "ReplicaSet", "StatefulSet"))
REPLICATION_CONTROLLER = kind("v1", "ReplicationController")
SCALED = {("apps", "ReplicaSet"): REPLICA_SET, ("apps", "StatefulSet"): STATEFUL_SET, ("", "ReplicationController"): REPLICATION_CONTROLLER}

DELETION_TIMEOUT = timedelta(minutes=2)
"""An eviction was granted: the pod counts as gone for this long, though it may not be yet."""


def keys_of_pod(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    """The budgets that select the pod."""
    namespace, marked = pod["metadata"]["namespace"], labels(pod)
    found = []
    for budget in snapshot.list(PDB, namespace):
        if label_selector(budget["spec"].get("selector")).matches(marked):
            found.append((namespace, budget["metadata"]["name"]))
    return found


def keys_of_owner(owner: Object, snapshot: Snapshot) -> Iterable[Key]:
    """Every budget of the namespace that may select the pods of a scaled owner."""
    namespace = owner["metadata"]["namespace"]
    template = (owner["spec"].get("template") or {}).get("metadata") or {}
    marked = template.get("labels") or {}
    return [
        (namespace, budget["metadata"]["name"])
        for budget in snapshot.list(PDB, namespace)
        if label_selector(budget["spec"].get("selector")).matches(marked)
    ]


def same_scale(old: Object, new: Object) -> bool:
    return bool(old["spec"].get("replicas") == new["spec"].get("replicas"))


def same_health(old: Object, new: Object) -> bool:
    def facts(pod: Object) -> tuple[Any, ...]:
        return labels(pod), pods.is_ready(pod), is_deleting(pod), pods.is_terminal(pod), pod["metadata"].get("ownerReferences")

    return facts(old) == facts(new)


WATCHES = {
    PDB: own_key,
    POD: keys_of_pod,
    DEPLOYMENT: keys_of_owner,
    REPLICA_SET: keys_of_owner,
    STATEFUL_SET: keys_of_owner,
    REPLICATION_CONTROLLER: keys_of_owner,
}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    budget = snapshot.get(PDB, *key)
    if budget is None:
        return NOTHING
    selector = label_selector(budget["spec"].get("selector"))
    selected = [p for p in snapshot.list(POD, key[0]) if selector.matches(labels(p))]
    look = Look(snapshot, budget, selector, selected, now)
    if not look.needs_scale:
        return look.conclude({})
    known, asked = look.scales()
    if look.error:
        return look.fail_safe(look.error)
    if not asked:
        return look.conclude(known)
    reads = tuple(Read(row, key[0], name, subresource="scale") for row, name, _ in asked)

    def answered(outcome: Outcome) -> Plan:
        if outcome.errors:
            return look.fail_safe(outcome.errors[0].message)
        for (_, _, uid), scale in zip(asked, outcome.results, strict=True):
            if scale is not None and scale["metadata"].get("uid") == uid:
                known[uid] = (scale.get("spec") or {}).get("replicas", 0)
        return look.conclude(known)

    return plan(Batch(reads), then=answered)


@dataclass(slots=True)
class Look:
    """One look at a budget and the pods that it selects."""

    snapshot: Snapshot
    budget: Object
    selector: Selector
    selected: Sequence[Object]
    now: datetime
    error: str = ""

    @property
    def needs_scale(self) -> bool:
        """Whether the number of pods that there should be matters: for maxUnavailable and for percentages."""
        spec = self.budget["spec"]
        return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)

    # -- how many pods there should be

    def scales(self) -> tuple[dict[str, int], list[tuple[Kind, str, str]]]:
        """Replicas by UID of the owners that the caches show, and what to ask for: kind, name and UID."""
        known: dict[str, int] = {}
        asked: dict[str, tuple[Kind, str, str]] = {}
        for pod in self.selected:
            owner = controller_of(pod)
            if owner is None or owner["uid"] in known or owner["uid"] in asked:
                continue
            group = owner["apiVersion"].rpartition("/")[0]
            row = SCALED.get((group, owner["kind"]))
            if row is not None:
                found = self._cached(row, owner)
                if found is not None:
                    known[found["metadata"]["uid"]] = found["spec"].get("replicas", 1)
                continue
            served = self.snapshot.row(owner["apiVersion"], owner["kind"])
            if served is None or served.subresource("scale") is None:
                named = served.group_resource if served is not None else f"{owner['kind']}.{group}"
                self.error = f"{named} does not implement the scale subresource"
                return {}, []
            asked[owner["uid"]] = (served, owner["name"], owner["uid"])
        return known, list(asked.values())

    def _cached(self, row: Kind, owner: Object) -> Object | None:
        """The owner, or the Deployment behind a ReplicaSet."""
        namespace = self.budget["metadata"]["namespace"]
        found = self.snapshot.get(row, namespace, owner["name"])
        if found is None or found["metadata"]["uid"] != owner["uid"]:
            return None
        above = controller_of(found)
        if row is REPLICA_SET and above is not None and above["kind"] == "Deployment":
            deployment = self.snapshot.get(DEPLOYMENT, namespace, above["name"])
            return deployment if deployment is not None and deployment["metadata"]["uid"] == above["uid"] else None
        return found

    def conclude(self, scales: dict[str, int]) -> Plan:
        """The status that follows from the pods and from the scale of their owners."""
        events = [] if self.selected else [Event(self.budget, "Normal", "NoPods", "No matching pods found")]
        unmanaged = self.needs_scale and any(controller_of(pod) is None for pod in self.selected)
        if unmanaged:
            events.append(Event(self.budget, "Warning", "UnmanagedPods", _unmanaged(self.selector)))
        expected = sum(scales.values()) if self.needs_scale else len(self.selected)
        desired = self._desired(expected)
        disrupted, again, late = self._disrupted()
        healthy = sum(pods.is_ready(p) and not is_deleting(p) and p["metadata"]["name"] not in disrupted for p in self.selected)
        allowed = max(0, healthy - desired) if expected > 0 else 0
        status: Object = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "disruptionsAllowed": allowed,
            "observedGeneration": self.budget["metadata"].get("generation", 0),
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
        status["conditions"] = self._conditions(*reason, "")
        actions: list[Action] = [*late]
        if status != self.budget.get("status"):
            actions += [*events, StatusUpdate(PDB, self.budget, status, ignore=frozenset({"NotFound"}))]
        return plan(actions, RequeueAfter(again) if again is not None else None)

    def _desired(self, expected: int) -> int:
        spec = self.budget["spec"]
        if (unavailable := spec.get("maxUnavailable")) is not None:
            return max(0, expected - _scaled(unavailable, expected))
        least = spec.get("minAvailable")
        return _scaled(least, expected) if least is not None else 0

    def _disrupted(self) -> tuple[dict[str, str], float | None, list[Event]]:
        """Pods whose eviction was granted and that are not yet gone, when to look again, and complaints about those too late."""
        told = (self.budget.get("status") or {}).get("disruptedPods") or {}
        kept: dict[str, str] = {}
        late: list[Event] = []
        waits: list[float] = []
        for pod in self.selected:
            name = pod["metadata"]["name"]
            if name not in told or is_deleting(pod):
                continue
            left = (parse_time(told[name]) + DELETION_TIMEOUT - self.now).total_seconds()
            if left > 0:
                kept[name] = told[name]
                waits.append(left)
            else:
                where = f"{self.budget['metadata']['namespace']}/{self.budget['metadata']['name']}"
                late.append(Event(pod, "Warning", "NotDeleted", f"Pod was expected by PDB {where} to be deleted but it wasn't"))
        return kept, min(waits, default=None), late

    def fail_safe(self, message: str) -> Plan:
        """Allows nothing while it is not known how many pods there should be."""
        status = {**(self.budget.get("status") or {}), "disruptionsAllowed": 0}
        status["conditions"] = self._conditions("False", "SyncFailed", message)
        if status == self.budget.get("status"):
            return NOTHING
        why = f"Failed to calculate the number of expected pods: {message}"
        told = Event(self.budget, "Warning", "CalculateExpectedPodCountFailed", why)
        return plan(told, StatusUpdate(PDB, self.budget, status, ignore=frozenset({"NotFound"})), forgive=True)

    def _conditions(self, status: str, reason: str, message: str) -> list[Object]:
        standing = (self.budget.get("status") or {}).get("conditions") or []
        made: Object = {"type": "DisruptionAllowed", "status": status, "reason": reason, "message": message}
        made["observedGeneration"] = self.budget["metadata"].get("generation", 0)
        current = find(standing, "DisruptionAllowed")
        same = current is not None and current["status"] == status
        made["lastTransitionTime"] = current["lastTransitionTime"] if current is not None and same else format_time(self.now)
        return [*without(standing, "DisruptionAllowed"), made]


def _scaled(value: int | str, total: int) -> int:
    """An IntOrString, percentages rounded up."""
    return value if isinstance(value, int) else math.ceil(int(value.removesuffix("%")) * total / 100)


def _unmanaged(selector: Selector) -> str:
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the status of the PDB "
        "cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set "
        '".spec.minAvailable" field of the PDB to an integer value.'
    )


# -- evictions that came to nothing


def reconcile_stale(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    """A pod that was to be evicted and still stands two minutes later is no longer marked for disruption."""
    pod = snapshot.get(POD, *key)
    marked = pods.condition(pod, "DisruptionTarget") if pod is not None else None
    if pod is None or marked is None or marked["status"] != "True" or is_deleting(pod) or pods.is_terminal(pod):
        return NOTHING
    if marked.get("reason") == "TerminationByKubelet":
        return NOTHING
    left = (parse_time(marked["lastTransitionTime"]) + DELETION_TIMEOUT - now).total_seconds()
    if left > 0:
        return plan(RequeueAfter(left))
    condition = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": format_time(now)}
    patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
    return plan(Patch(POD, key[0], key[1], patch, subresource="status", ignore=frozenset({"NotFound", "Conflict"})))


def keys_of_marked(pod: Object, _: Snapshot) -> Iterable[Key]:
    metadata = pod["metadata"]
    return ((metadata["namespace"], metadata["name"]),) if pods.condition(pod, "DisruptionTarget") is not None else ()


_SAME = {POD: same_health, DEPLOYMENT: same_scale, REPLICA_SET: same_scale, STATEFUL_SET: same_scale, REPLICATION_CONTROLLER: same_scale}

DUTY = Duty("disruption-controller", "controllermanager", WATCHES, reconcile, workers=2, account="disruption-controller", same=_SAME)

STALE = Duty(
    "disruption-controller",
    "controllermanager",
    {POD: keys_of_marked, PDB: nothing},
    reconcile_stale,
    account="disruption-controller",
)
