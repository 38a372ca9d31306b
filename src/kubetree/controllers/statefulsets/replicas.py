"""Reconciles a StatefulSet: one ordinal after the other, or all at once where its policy allows. Follows stateful_set_control.go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.api.selectors import label_selector
from kubetree.controllers import pods
from kubetree.controllers.claims import claim
from kubetree.controllers.owners import keys_of_owned
from kubetree.controllers.plan import (
    NAMESPACE_TERMINATING,
    NOTHING,
    Action,
    Create,
    Delete,
    Event,
    Patch,
    Plan,
    RequeueAfter,
    StatusUpdate,
    Update,
    plan,
)
from kubetree.controllers.revisions import REVISION, History, create, make, number
from kubetree.controllers.runner import Duty, Key, nothing, own_key
from kubetree.controllers.snapshot import Snapshot, candidates
from kubetree.controllers.statefulsets.identity import (
    POD_INDEX,
    POD_NAME,
    STATEFUL_SET,
    claims_for,
    has_identity,
    is_member,
    ordinal_of,
    ordinals,
    pod_for,
    revision_of,
    start_of,
)
from kubetree.controllers.statefulsets.retention import conflicts, is_stale, owners

Object = dict[str, Any]

POD, CLAIM = kind("v1", "Pod"), kind("v1", "PersistentVolumeClaim")
LABEL = "controller.kubernetes.io/hash"


OWNED = keys_of_owned(STATEFUL_SET)
WATCHES = {STATEFUL_SET: own_key, POD: OWNED, REVISION: OWNED, CLAIM: nothing}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    stateful_set = snapshot.get(STATEFUL_SET, *key)
    if stateful_set is None:
        return NOTHING
    selector = label_selector(stateful_set["spec"].get("selector"))
    revisions = claim(STATEFUL_SET, stateful_set, REVISION, selector, candidates(snapshot, REVISION, stateful_set))
    members = [p for p in candidates(snapshot, POD, stateful_set) if is_member(stateful_set, p)]
    held = claim(STATEFUL_SET, stateful_set, POD, selector, members)
    if revisions.actions or held.actions:
        return plan(revisions.actions, held.actions)
    history = History.of(stateful_set, revisions.held)
    if step := _write_history(stateful_set, history):
        return step
    return Look(snapshot, stateful_set, sorted(revisions.held, key=number), held.held, now).plan()


def _write_history(stateful_set: Object, history: History) -> Plan | None:
    """Makes sure that the newest revision is the template's."""
    if not history.current:
        return create(STATEFUL_SET, stateful_set, make(STATEFUL_SET, stateful_set, history.next, label=LABEL))
    newest = history.current[-1]
    if number(newest) < history.next:
        return plan(Update(REVISION, {**newest, "revision": history.next}))
    return None


@dataclass
class Look:
    """One look at a StatefulSet: `revisions` by number, the last one the template's; `held` its pods."""

    snapshot: Snapshot
    stateful_set: Object
    revisions: Sequence[Object]
    held: Sequence[Object]
    now: datetime

    def __post_init__(self) -> None:
        self.spec: Object = self.stateful_set["spec"]
        self.status: Object = self.stateful_set.get("status") or {}
        self.update = self.revisions[-1]
        named = {r["metadata"]["name"]: r for r in self.revisions}
        self.current = named.get(self.status.get("currentRevision", ""), self.update)
        self.in_order = self.spec.get("podManagementPolicy", "OrderedReady") != "Parallel"
        self.min_ready = self.spec.get("minReadySeconds", 0)
        wanted = ordinals(self.stateful_set)
        by_ordinal = {ordinal_of(p): p for p in self.held}
        self.replicas = [(ordinal, by_ordinal.get(ordinal)) for ordinal in wanted]
        self.condemned = [p for o, p in sorted(by_ordinal.items(), reverse=True) if o not in wanted]

    def plan(self) -> Plan:
        actions = [] if is_deleting(self.stateful_set) else self._act()
        wait = pods.seconds_until_available(self.held, self.min_ready, self.now)
        again = RequeueAfter(wait) if wait is not None else None
        return plan(actions, again, self._surplus(), then=lambda _: plan(self._told()))

    def _unavailable(self, pod: Object | None) -> bool:
        return pod is None or is_deleting(pod) or not self._available(pod)

    def _available(self, pod: Object) -> bool:
        return pods.phase(pod) == "Running" and pods.is_available(pod, self.min_ready, self.now)

    # -- what to do

    def _act(self) -> list[Action]:
        """The next steps: replicas upwards, then those too many downwards, then the update; in order only as far as all are well."""
        actions: list[Action] = []
        for ordinal, pod in self.replicas:
            step, done = self._replica(ordinal, pod)
            actions += step
            if self.in_order and not done:
                return actions
        for pod in self.condemned:
            actions += self._retention(pod)
        first = self._first_unavailable()
        for pod in self.condemned:
            step, done = self._condemn(pod, first)
            actions += step
            if self.in_order and not done:
                return actions
        return actions or self._update()

    def _replica(self, ordinal: int, pod: Object | None) -> tuple[list[Action], bool]:
        """What one ordinal needs, and whether the next may be looked at."""
        if pod is None:
            made = self._new(ordinal)
            if any(is_stale(c, made) for c in self._claims(ordinal)):
                return [RequeueAfter(1.0)], False
            return self._create(ordinal, made), False
        if pods.is_terminal(pod):
            return ([] if is_deleting(pod) else [self._delete(pod)]), False
        needed: list[Action] = self._missing_claims(ordinal) if pods.phase(pod) == "Pending" else []
        if is_deleting(pod) or not self._available(pod):
            return needed, False
        if not has_identity(pod):
            marked = {POD_NAME: pod["metadata"]["name"], POD_INDEX: str(ordinal)}
            needed.append(Patch(POD, pod["metadata"]["namespace"], pod["metadata"]["name"], {"metadata": {"labels": marked}}))
        return [*needed, *self._retention(pod)], True

    def _first_unavailable(self) -> Object | None:
        everyone = [p for _, p in self.replicas if p is not None] + self.condemned[::-1]
        return next((p for p in everyone if self._unavailable(p)), None)

    def _condemn(self, pod: Object, first: Object | None) -> tuple[list[Action], bool]:
        if is_deleting(pod):
            return [], False
        if self.in_order and not self._available(pod) and pod is not first:
            return [], False
        return [self._delete(pod)], False

    def _update(self) -> list[Action]:
        """The rolling update: from the last ordinal down to the partition, one pod at a time."""
        strategy = self.spec.get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return []
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        for index in range(len(self.replicas) - 1, partition - 1, -1):
            pod = self.replicas[index][1]
            if pod is not None and revision_of(pod) != self.update["metadata"]["name"] and not is_deleting(pod):
                return [self._delete(pod)]
            if self._unavailable(pod):
                return []
        return []

    def _new(self, ordinal: int) -> Object:
        """The pod of an ordinal, from the current revision where the update does not reach."""
        strategy = self.spec.get("updateStrategy") or {}
        rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
        settings = strategy.get("rollingUpdate")
        kept = settings.get("partition", 0) if settings is not None else self.status.get("currentReplicas", 0)
        chosen = self.current if rolling and ordinal < start_of(self.stateful_set) + kept else self.update
        template = {k: v for k, v in chosen["data"]["spec"]["template"].items() if k != "$patch"}
        return pod_for(self.stateful_set, template, chosen["metadata"]["name"], ordinal)

    def _create(self, ordinal: int, made: Object) -> list[Action]:
        create = Create(
            POD,
            made,
            done=self._event("Create", made, ""),
            failed=self._event("Create", made, "{error}"),
            ignore=NAMESPACE_TERMINATING,
        )
        return [*self._missing_claims(ordinal), create]

    def _delete(self, pod: Object) -> Delete:
        metadata = pod["metadata"]
        done, failed = self._event("Delete", pod, ""), self._event("Delete", pod, "{error}")
        return Delete(POD, metadata["namespace"], metadata["name"], uid=metadata["uid"], done=done, failed=failed)

    def _event(self, verb: str, pod: Object, error: str) -> Event:
        what = f"{verb} Pod {pod['metadata']['name']} in StatefulSet {self.stateful_set['metadata']['name']}"
        if error:
            return Event(self.stateful_set, "Warning", f"Failed{verb}", f"{what} failed error: {error}")
        return Event(self.stateful_set, "Normal", f"Successful{verb}", f"{what} successful")

    # -- storage

    def _claims(self, ordinal: int) -> list[Object]:
        """The ordinal's claims as they stand."""
        wanted = (c["metadata"] for c in claims_for(self.stateful_set, ordinal))
        found = (self.snapshot.get(CLAIM, m["namespace"], m["name"]) for m in wanted)
        return [c for c in found if c is not None]

    def _missing_claims(self, ordinal: int) -> list[Action]:
        actions: list[Action] = []
        for made in claims_for(self.stateful_set, ordinal):
            metadata = made["metadata"]
            if self.snapshot.get(CLAIM, metadata["namespace"], metadata["name"]) is not None:
                continue
            name, where = metadata["name"], f"Pod {self.stateful_set['metadata']['name']}-{ordinal}"
            owner = f"in StatefulSet {self.stateful_set['metadata']['name']}"
            done = Event(self.stateful_set, "Normal", "SuccessfulCreate", f"Create Claim {name} {where} {owner} success")
            failed = Event(self.stateful_set, "Warning", "FailedCreate", f"Create Claim {name} for {where} {owner} failed error: {{error}}")
            actions.append(Create(CLAIM, made, done=done, failed=failed, ignore=frozenset({"AlreadyExists"}) | NAMESPACE_TERMINATING))
        return actions

    def _retention(self, pod: Object) -> list[Action]:
        """Makes the claims of a pod belong to whom the policy says."""
        actions: list[Action] = []
        for standing in self._claims(ordinal_of(pod)):
            wanted = owners(standing, self.stateful_set, pod)
            if wanted == (standing["metadata"].get("ownerReferences") or []):
                continue
            if conflicts(standing, self.stateful_set, pod):
                why = (
                    f"PersistentVolumeClaim {standing['metadata']['name']} has a conflicting OwnerReference that acts as a manging "
                    "controller, the retention policy is ignored for this claim"
                )
                actions.append(Event(self.stateful_set, "Warning", "ConflictingController", why))
            actions.append(Update(CLAIM, {**standing, "metadata": {**standing["metadata"], "ownerReferences": wanted}}))
        return actions

    def _surplus(self) -> list[Action]:
        """Old revisions beyond the limit that no pod was made from."""
        used = {revision_of(p) for p in self.held} | {self.current["metadata"]["name"], self.update["metadata"]["name"]}
        idle = [r for r in self.revisions if r["metadata"]["name"] not in used]
        surplus = idle[: max(0, len(idle) - self.spec.get("revisionHistoryLimit", 10))]
        return [Delete(REVISION, r["metadata"]["namespace"], r["metadata"]["name"], uid=r["metadata"]["uid"]) for r in surplus]

    # -- status

    def _told(self) -> Action | None:
        made = [p for p in self.held if pods.phase(p)]
        ready = [p for p in made if pods.phase(p) == "Running" and pods.is_ready(p)]
        staying = [revision_of(p) for p in made if not is_deleting(p)]
        current, update = self.current["metadata"]["name"], self.update["metadata"]["name"]
        numbers = {
            "readyReplicas": len(ready),
            "currentReplicas": staying.count(current),
            "updatedReplicas": staying.count(update),
        }
        rolling = (self.spec.get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
        if rolling and numbers["updatedReplicas"] == len(made) == numbers["readyReplicas"] == self.spec.get("replicas", 1):
            current, numbers["currentReplicas"] = update, numbers["updatedReplicas"]
        status: Object = {
            "observedGeneration": self.stateful_set["metadata"].get("generation", 0),
            "replicas": len(made),
            "availableReplicas": sum(self._available(p) for p in ready),
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": self.status.get("collisionCount", 0),
        }
        status |= {name: count for name, count in numbers.items() if count}
        if conditions := self.status.get("conditions"):
            status["conditions"] = conditions
        return StatusUpdate(STATEFUL_SET, self.stateful_set, status) if status != self.status else None


DUTY = Duty("statefulset-controller", "statefulset-controller", WATCHES, reconcile, workers=5, account="statefulset-controller")
