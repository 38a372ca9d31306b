"""Keeps a number of pods: what ReplicaSets and ReplicationControllers have in common.

Follows upstream's replica_set.go: claim pods, create or delete up to 500 at a time, tell in the status what stands. Plans that claim
do nothing else; the pods' changes bring the key back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import controller_of, is_deleting, labels
from kubetree.api.selectors import Selector
from kubetree.controllers import conditions, pods
from kubetree.controllers.claims import claim
from kubetree.controllers.owners import create_pod, delete_pod, keys_of_owned
from kubetree.controllers.plan import (
    NOTHING,
    Action,
    Batch,
    Outcome,
    Plan,
    RequeueAfter,
    StatusUpdate,
    plan,
)
from kubetree.controllers.pod_templates import pod_from
from kubetree.controllers.runner import Key
from kubetree.controllers.snapshot import BY_CONTROLLER, Snapshot, candidates, owned

Object = dict[str, Any]

POD = kind("v1", "Pod")
BURST = 500


@dataclass(frozen=True, slots=True)
class Replication:
    """What tells ReplicaSets from ReplicationControllers: their kind, how they select, and whether they count terminating pods."""

    kind: Kind
    selector: Callable[[Object], Selector]
    counts_terminating: bool

    def keys_of_pod(self, pod: Object, snapshot: Snapshot) -> Iterable[Key]:
        return keys_of_owned(self.kind, self.selector)(pod, snapshot)

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        owner = snapshot.get(self.kind, *key)
        if owner is None:
            return NOTHING
        selector = self.selector(owner)
        all_pods = candidates(snapshot, POD, owner)
        claims = claim(self.kind, owner, POD, selector, [p for p in all_pods if pods.is_active(p)])
        if claims.actions:
            return plan(claims.actions)
        active = claims.held
        terminating = [p for p in all_pods if pods.is_terminating(p) and controller_of(p) and selector.matches(labels(p))]
        difference = len(active) - owner["spec"].get("replicas", 1)
        batch = None if is_deleting(owner) else self._manage(snapshot, owner, active, difference, now)

        def report(outcome: Outcome) -> Plan:
            return self._report(owner, active, terminating if self.counts_terminating else None, outcome, difference, now)

        return plan(batch, then=report)

    def _manage(self, snapshot: Snapshot, owner: Object, active: Sequence[Object], difference: int, now: datetime) -> Batch | None:
        if difference < 0:
            return Batch(
                tuple([create_pod(owner, pod_from(owner["spec"]["template"], self.kind, owner))] * min(-difference, BURST)), slow_start=True
            )
        if difference > 0:
            related = [p for o in self._same_controller(snapshot, owner) for p in owned(snapshot, POD, o)]
            in_order = pods.in_order_of_deletion(active, pods.pods_per_node(related or active), now)
            return Batch(tuple(delete_pod(owner, pod) for pod in in_order[: min(difference, BURST)]))
        return None

    def _same_controller(self, snapshot: Snapshot, owner: Object) -> Sequence[Object]:
        """The ReplicaSets of the same Deployment: their pods count when pods stand doubled up on a node."""
        controller = controller_of(owner)
        return snapshot.by_index(self.kind, BY_CONTROLLER, controller["uid"]) if controller else [owner]

    def _report(
        self,
        owner: Object,
        active: Sequence[Object],
        terminating: Sequence[Object] | None,
        outcome: Outcome,
        difference: int,
        now: datetime,
    ) -> Plan:
        """The status that follows from the pods seen and from how creating or deleting went."""
        min_ready = owner["spec"].get("minReadySeconds", 0)
        status = _status(owner, active, terminating, min_ready, now)
        failure = conditions.find(status.get("conditions"), "ReplicaFailure")
        if outcome.errors and failure is None:
            reason = "FailedCreate" if difference < 0 else "FailedDelete"
            made = conditions.condition("ReplicaFailure", "True", reason, outcome.errors[0].message, now)
            status["conditions"] = conditions.with_condition(status.get("conditions"), made)
        elif outcome.ok and failure is not None:
            status["conditions"] = conditions.without(status.get("conditions"), "ReplicaFailure")
        if not status.get("conditions"):
            status.pop("conditions", None)
        actions: list[Action] = []
        if status != owner.get("status"):
            actions.append(StatusUpdate(self.kind, owner, status))
        if min_ready > 0 and status.get("readyReplicas", 0) != status.get("availableReplicas", 0):
            wait = pods.seconds_until_available(active, min_ready, now)
            actions.append(RequeueAfter(wait if wait is not None else float(min_ready)))
        return plan(actions)


def _status(owner: Object, active: Sequence[Object], terminating: Sequence[Object] | None, min_ready: int, now: datetime) -> Object:
    wanted = (owner["spec"].get("template") or {}).get("metadata", {}).get("labels") or {}
    ready = [p for p in active if pods.is_ready(p)]
    counts = {
        "fullyLabeledReplicas": sum(wanted.items() <= labels(p).items() for p in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(pods.is_available(p, min_ready, now) for p in ready),
        "observedGeneration": owner["metadata"].get("generation", 0),
    }
    status: Object = {"replicas": len(active), **{name: count for name, count in counts.items() if count}}
    if terminating is not None:
        status["terminatingReplicas"] = len(terminating)
    if kept := (owner.get("status") or {}).get("conditions"):
        status["conditions"] = list(kept)
    return status
