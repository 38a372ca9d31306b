"""Reconciles a Deployment: claim ReplicaSets, keep their revisions, scale, roll out, roll back, clean up, tell the status.

The order is upstream's (deployment_controller.go). Where upstream goes on in the same pass after writing a ReplicaSet, this plan
ends: the written object comes back through the cache and the next pass goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import controller_of, is_controlled_by, is_deleting
from kubetree.api.selectors import label_selector
from kubetree.controllers import pods
from kubetree.controllers.claims import claim
from kubetree.controllers.deployments import sizes, status
from kubetree.controllers.deployments.replica_sets import (
    DEPLOYMENT,
    DESIRED_REPLICAS,
    NOT_COPIED,
    REPLICA_SET,
    REVISION,
    ROLLBACK_TO,
    active,
    cleanable,
    count_annotation,
    find_new,
    find_old,
    last_revision,
    make_new,
    max_revision,
    new_annotations,
    replica_annotations,
    replicas,
    revision,
    with_annotations,
)
from kubetree.controllers.owners import keys_of_owned
from kubetree.controllers.plan import (
    NOTHING,
    Action,
    Create,
    Delete,
    Event,
    Outcome,
    Plan,
    Read,
    RequeueAfter,
    StatusUpdate,
    Update,
    plan,
)
from kubetree.controllers.pod_templates import HASH_LABEL, equal_but_for_hash
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot, candidates, owned

Object = dict[str, Any]

POD = kind("v1", "Pod")


def keys_of_pod(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    """A Recreate Deployment waits for the last old pod to end; no other looks at pods."""
    owner = controller_of(pod)
    if owner is None or owner["kind"] != REPLICA_SET.kind:
        return ()
    namespace = pod["metadata"]["namespace"]
    rs = snapshot.get(REPLICA_SET, namespace, owner["name"])
    owner = controller_of(rs) if rs is not None else None
    deployment = snapshot.get(DEPLOYMENT, namespace, owner["name"]) if owner is not None else None
    return () if deployment is None or sizes.is_rolling(deployment) else ((namespace, deployment["metadata"]["name"]),)


WATCHES = {DEPLOYMENT: own_key, REPLICA_SET: keys_of_owned(DEPLOYMENT), POD: keys_of_pod}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    deployment = snapshot.get(DEPLOYMENT, *key)
    if deployment is None:
        return NOTHING
    if deployment["spec"].get("selector") == {}:
        return _selecting_all(deployment)
    selector = label_selector(deployment["spec"].get("selector"))
    claims = claim(DEPLOYMENT, deployment, REPLICA_SET, selector, candidates(snapshot, REPLICA_SET, deployment))
    if claims.actions:
        return plan(claims.actions)
    new = find_new(deployment, claims.held)
    return Rollout(snapshot, deployment, new, tuple(find_old(new, claims.held)), now).plan()


def _selecting_all(deployment: Object) -> Plan:
    why = "This deployment is selecting all pods. A non-empty selector is required."
    told = Event(deployment, "Warning", "SelectingAll", why)
    generation = deployment["metadata"].get("generation", 0)
    if (deployment.get("status") or {}).get("observedGeneration", 0) >= generation:
        return plan(told)
    seen = {**(deployment.get("status") or {}), "observedGeneration": generation}
    return plan(told, StatusUpdate(DEPLOYMENT, deployment, seen))


@dataclass(frozen=True, slots=True)
class Rollout:
    """One look at a Deployment: `new` is the ReplicaSet of its template if there is one, `old` are the others that it holds."""

    snapshot: Snapshot
    deployment: Object
    new: Object | None
    old: tuple[Object, ...]
    now: datetime

    @property
    def sets(self) -> list[Object]:
        return [*self.old, *([self.new] if self.new else [])]

    def plan(self) -> Plan:
        """What to do next. The first step that has something to do ends the pass, as a rule."""
        spec = self.deployment["spec"]
        if is_deleting(self.deployment):
            return self._revision() or plan(self._plain_status())
        if paused := self._pause_condition():
            return paused
        if step := self._revision():
            return step
        if spec.get("paused"):
            return self._scale()
        if ROLLBACK_TO in annotations_of(self.deployment):
            return self._roll_back()
        if any(self._scaled_meanwhile(rs) for rs in active(self.sets)):
            return self._scale()
        return self._roll() if sizes.is_rolling(self.deployment) else self._recreate()

    # -- conditions and revisions

    def _pause_condition(self) -> Plan | None:
        """Says that a Deployment was paused or resumed, so that the pause does not count as lack of progress."""
        if not status.has_deadline(self.deployment):
            return None
        current = status.progressing(self.deployment)
        reason = current.get("reason") if current else None
        if reason == "ProgressDeadlineExceeded":
            return None
        paused = bool(self.deployment["spec"].get("paused"))
        if paused == (reason == "DeploymentPaused"):
            return None
        said = ("DeploymentPaused", "Deployment is paused") if paused else ("DeploymentResumed", "Deployment is resumed")
        return plan(StatusUpdate(DEPLOYMENT, self.deployment, status.with_progress(self.deployment, "Unknown", *said, self.now)))

    def _revision(self) -> Plan | None:
        """Brings the annotations of the new ReplicaSet and the revision of the Deployment up to date."""
        if self.new is None:
            return None
        current = annotations_of(self.new)
        wanted = new_annotations(self.deployment, dict(current), max_revision(self.old) + 1)
        ready = self.deployment["spec"].get("minReadySeconds", 0)
        if wanted != current or self.new["spec"].get("minReadySeconds", 0) != ready:
            changed = with_annotations(self.new, wanted)
            return plan(Update(REPLICA_SET, {**changed, "spec": {**self.new["spec"], "minReadySeconds": ready}}))
        made = self._with_revision(wanted.get(REVISION, ""))
        if status.has_deadline(self.deployment) and status.progressing(self.deployment) is None:
            message = f'Found new replica set "{self.new["metadata"]["name"]}"'
            found = status.with_progress(self.deployment, "True", "FoundNewReplicaSet", message, self.now)
            return plan(StatusUpdate(DEPLOYMENT, made, found))
        if made is not self.deployment:
            return plan(StatusUpdate(DEPLOYMENT, made, self.deployment.get("status") or {}))
        return None

    def _with_revision(self, number: str) -> Object:
        """The Deployment with this revision in its annotations; the same object when it has it."""
        current = annotations_of(self.deployment)
        if current.get(REVISION) == number:
            return self.deployment
        return with_annotations(self.deployment, {**current, REVISION: number})

    # -- creating the new ReplicaSet

    def _create(self) -> Plan:
        number = max_revision(self.old) + 1
        count = sizes.size_of_new(self.deployment, self.old, 0)
        made = make_new(self.deployment, count, sizes.max_surge(self.deployment), number)
        name = made["metadata"]["name"]
        scaled = Event(self.deployment, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {count}")
        failed = Event(self.deployment, "Warning", "ReplicaSetCreateError", f'Failed to create new replica set "{name}": {{error}}')
        create = Create(
            REPLICA_SET,
            made,
            done=scaled if count else None,
            failed=failed,
            ignore=frozenset({"AlreadyExists", "NamespaceTerminating"}),
        )
        return plan(create, then=lambda outcome: self._created(name, str(number), outcome))

    def _created(self, name: str, number: str, outcome: Outcome) -> Plan:
        """Tells of the new ReplicaSet, or of what kept it from being created."""
        if outcome.errors:
            if not status.has_deadline(self.deployment):
                return NOTHING
            message = f'Failed to create new replica set "{name}": {outcome.errors[0].message}'
            said = status.with_progress(self.deployment, "False", "ReplicaSetCreateError", message, self.now)
            return plan(StatusUpdate(DEPLOYMENT, self.deployment, said))
        if outcome.results == (None,):
            read = Read(REPLICA_SET, self.deployment["metadata"]["namespace"], name)
            return plan(read, then=self._resolve_collision)
        made = self._with_revision(number)
        if status.has_deadline(self.deployment):
            message = f'Created new replica set "{name}"'
            said = status.with_progress(self.deployment, "True", "NewReplicaSetCreated", message, self.now)
            return plan(StatusUpdate(DEPLOYMENT, made, said))
        return plan(StatusUpdate(DEPLOYMENT, made, self.deployment.get("status") or {}))

    def _resolve_collision(self, outcome: Outcome) -> Plan:
        """The name is taken: by our own ReplicaSet that the cache does not show yet, or by another template of the same hash."""
        other = outcome.results[0] if outcome.results else None
        if other is None:
            return NOTHING
        mine = is_controlled_by(other, self.deployment)
        if mine and equal_but_for_hash(other["spec"]["template"], self.deployment["spec"]["template"]):
            return plan(RequeueAfter(0.05))
        current = self.deployment.get("status") or {}
        raised = {**current, "collisionCount": current.get("collisionCount", 0) + 1}
        return plan(StatusUpdate(DEPLOYMENT, self.deployment, raised))

    # -- scaling

    def _scaled_meanwhile(self, rs: Object) -> bool:
        """Whether the Deployment's replicas changed since this ReplicaSet was last sized."""
        desired = count_annotation(rs, DESIRED_REPLICAS)
        return desired is not None and desired != replicas(self.deployment)

    def _scale(self) -> Plan:
        """Follows a change of spec.replicas (or anything while paused) without moving the rollout itself."""
        actions = self._scale_actions()
        if self.deployment["spec"].get("paused") and ROLLBACK_TO not in annotations_of(self.deployment):
            actions += self._cleanup()
        return plan(actions, self._plain_status())

    def _scale_actions(self) -> list[Action]:
        desired = replicas(self.deployment)
        only = sizes.active_or_latest(self.new, self.old)
        if only is not None:
            return self._resize(only, desired) if replicas(only) != desired else []
        if sizes.is_saturated(self.deployment, self.new):
            return [action for rs in active(self.old) for action in self._resize(rs, 0)]
        if not sizes.is_rolling(self.deployment):
            return []
        standing = active(self.sets)
        wanted = sizes.proportional(self.deployment, standing)
        by_name = {rs["metadata"]["name"]: rs for rs in standing}
        return [action for name, size in wanted.items() for action in self._resize(by_name[name], size)]

    def _resize(self, rs: Object, size: int) -> list[Action]:
        """Gives a ReplicaSet its size and notes for which size of the whole that was; nothing when it stands so already."""
        noted = {**annotations_of(rs), **replica_annotations(replicas(self.deployment), sizes.max_surge(self.deployment))}
        before = replicas(rs)
        if before == size and noted == annotations_of(rs):
            return []
        changed = {**with_annotations(rs, noted), "spec": {**rs["spec"], "replicas": size}}
        direction = "up" if before < size else "down"
        message = f"Scaled {direction} replica set {rs['metadata']['name']} from {before} to {size}"
        told = Event(self.deployment, "Normal", "ScalingReplicaSet", message) if before != size else None
        return [Update(REPLICA_SET, changed, done=told)]

    # -- rolling out

    def _roll(self) -> Plan:
        """RollingUpdate: the new ReplicaSet grows while surge allows, old ones shrink while enough pods are available."""
        if self.new is None:
            return self._create()
        size = min(sizes.size_of_new(self.deployment, self.sets, replicas(self.new)), replicas(self.deployment))
        if size != replicas(self.new):
            return plan(self._resize(self.new, size), self._rollout_status())
        old = active(self.old)
        wanted = sizes.sizes_of_old(self.deployment, self.new, old)
        if wanted:
            resized = [a for rs in old if (name := rs["metadata"]["name"]) in wanted for a in self._resize(rs, wanted[name])]
            return plan(resized, self._rollout_status())
        return plan(self._cleanup_when_complete(), self._rollout_status())

    def _recreate(self) -> Plan:
        """Recreate: all old pods end before the first new one starts."""
        if standing := active(self.old):
            return plan([a for rs in standing for a in self._resize(rs, 0)], self._rollout_status())
        if self._old_pods_run():
            return plan(self._rollout_status())
        if self.new is None:
            return self._create()
        if replicas(self.new) != replicas(self.deployment):
            return plan(self._resize(self.new, replicas(self.deployment)), self._rollout_status())
        return plan(self._cleanup_when_complete(), self._rollout_status())

    def _old_pods_run(self) -> bool:
        if sizes.observed(self.old, "replicas") > 0:
            return True
        return any(not pods.is_terminal(pod) for rs in self.old for pod in owned(self.snapshot, POD, rs))

    def _cleanup_when_complete(self) -> list[Action]:
        return self._cleanup() if status.is_complete(self.deployment, self.deployment.get("status") or {}) else []

    def _cleanup(self) -> list[Action]:
        return [
            Delete(REPLICA_SET, rs["metadata"]["namespace"], rs["metadata"]["name"], uid=rs["metadata"]["uid"])
            for rs in cleanable(self.deployment, self.old)
        ]

    # -- status

    def _plain_status(self) -> Action | None:
        made = status.counts(self.deployment, self.new, self.old, self.now)
        return StatusUpdate(DEPLOYMENT, self.deployment, made) if made != self.deployment.get("status") else None

    def _rollout_status(self) -> Action | None:
        made = status.rollout(self.deployment, self.new, self.old, self.now)
        if made != self.deployment.get("status"):
            return StatusUpdate(DEPLOYMENT, self.deployment, made)
        wait = status.seconds_to_deadline(self.deployment, made, self.now)
        return RequeueAfter(wait) if wait is not None else None

    # -- rolling back through the annotation of the old API (kubectl itself patches the template)

    def _roll_back(self) -> Plan:
        if self.new is None:
            return self._create()
        wanted = revision({"metadata": {"annotations": {REVISION: annotations_of(self.deployment)[ROLLBACK_TO]}}})
        if wanted is None:
            return self._roll() if sizes.is_rolling(self.deployment) else self._recreate()
        if wanted == 0:
            wanted = last_revision(self.sets)
            if wanted == 0:
                return self._give_up_rollback("Unable to find last revision.")
        target = next((rs for rs in self.sets if revision(rs) == wanted), None)
        if target is None:
            return self._give_up_rollback("Unable to find the revision to rollback to.")
        name = self.deployment["metadata"]["name"]
        if equal_but_for_hash(target["spec"]["template"], self.deployment["spec"]["template"]):
            why = f'The rollback revision contains the same template as current deployment "{name}"'
            told = Event(self.deployment, "Warning", "DeploymentRollbackTemplateUnchanged", why)
            return plan(told, Update(DEPLOYMENT, self._without_rollback(annotations_of(self.deployment))))
        kept = {k: v for k, v in annotations_of(self.deployment).items() if k in NOT_COPIED}
        taken = {k: v for k, v in annotations_of(target).items() if k not in NOT_COPIED}
        back = self._without_rollback({**kept, **taken})
        back["spec"] = {**back["spec"], "template": _without_hash(target["spec"]["template"])}
        told = Event(self.deployment, "Normal", "DeploymentRollback", f'Rolled back deployment "{name}" to revision {wanted}')
        return plan(Update(DEPLOYMENT, back, done=told))

    def _give_up_rollback(self, why: str) -> Plan:
        told = Event(self.deployment, "Warning", "DeploymentRollbackRevisionNotFound", why)
        return plan(told, Update(DEPLOYMENT, self._without_rollback(annotations_of(self.deployment))))

    def _without_rollback(self, current: dict[str, str] | Any) -> Object:
        return with_annotations(self.deployment, {k: v for k, v in current.items() if k != ROLLBACK_TO})


def _without_hash(template: Object) -> Object:
    metadata = template.get("metadata") or {}
    kept = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": kept}}


DUTY = Duty("deployment-controller", "deployment-controller", WATCHES, reconcile, workers=5, account="deployment-controller")
