"""Reconciles a DaemonSet: history, one pod a node, the update, the status. Follows upstream's daemon_controller.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting, labels
from kubetree.api.selectors import label_selector
from kubetree.controllers import pods
from kubetree.controllers.claims import claim
from kubetree.controllers.daemonsets.nodes import GENERATION_LABEL, TEMPLATE_GENERATION, should_run, target_of, template_for
from kubetree.controllers.daemonsets.rolling_update import Moves, moves, surge
from kubetree.controllers.owners import create_pod, delete_pod, keys_of_owned
from kubetree.controllers.plan import (
    NOTHING,
    Action,
    Batch,
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
from kubetree.controllers.pod_templates import pod_from
from kubetree.controllers.revisions import HASH, REVISION, History, create, hash_of, make, number
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot, candidates

Object = dict[str, Any]

DAEMON_SET, POD, NODE = kind("apps/v1", "DaemonSet"), kind("v1", "Pod"), kind("v1", "Node")
BURST = 250
FIRST_BACK_OFF, LAST_BACK_OFF = 1.0, 900.0


def keys_of_node(_: Object, snapshot: Snapshot) -> Iterable[Key]:
    return [(d["metadata"]["namespace"], d["metadata"]["name"]) for d in snapshot.list(DAEMON_SET)]


def same_node(old: Object, new: Object) -> bool:
    return labels(old) == labels(new) and old["spec"].get("taints") == new["spec"].get("taints")


OWNED = keys_of_owned(DAEMON_SET)
WATCHES = {DAEMON_SET: own_key, POD: OWNED, NODE: keys_of_node, REVISION: OWNED}


@dataclass(slots=True)
class Daemons:
    """`failed`: for a DaemonSet's generation and node, how long to wait before a failed pod is replaced, and since when."""

    failed: dict[tuple[str, int, str], tuple[float, datetime]] = field(default_factory=dict)

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        daemon_set = snapshot.get(DAEMON_SET, *key)
        if daemon_set is None or is_deleting(daemon_set):
            return NOTHING
        if daemon_set["spec"].get("selector") == {}:
            why = "This daemon set is selecting all pods. A non-empty selector is required."
            return plan(Event(daemon_set, "Warning", "SelectingAll", why))
        selector = label_selector(daemon_set["spec"].get("selector"))
        revisions = claim(DAEMON_SET, daemon_set, REVISION, selector, candidates(snapshot, REVISION, daemon_set))
        held = claim(DAEMON_SET, daemon_set, POD, selector, candidates(snapshot, POD, daemon_set))
        if revisions.actions or held.actions:
            return plan(revisions.actions, held.actions)
        history = History.of(daemon_set, revisions.held)
        if step := _write_history(daemon_set, history, held.held):
            return step
        return Look(self, daemon_set, history, held.held, snapshot.list(NODE), now).plan()

    def may_replace(self, daemon_set: Object, node: str, now: datetime) -> float:
        """0 when a failed pod may be replaced now (which doubles the next wait), else the seconds to wait."""
        metadata = daemon_set["metadata"]
        identity = (metadata["uid"], (daemon_set.get("status") or {}).get("observedGeneration", 0), node)
        delay, since = self.failed.get(identity, (0.0, now))
        left = (since + timedelta(seconds=delay) - now).total_seconds()
        if left > 0:
            return left
        self.failed[identity] = (min(max(2 * delay, FIRST_BACK_OFF), LAST_BACK_OFF), now)
        return 0.0


def _write_history(daemon_set: Object, history: History, held: Sequence[Object]) -> Plan | None:
    """Makes sure that exactly one revision stands for the template, with the highest number."""
    if not history.current:
        return create(DAEMON_SET, daemon_set, make(DAEMON_SET, daemon_set, history.next))
    keep = history.current[-1]
    if len(history.current) > 1:
        digest = hash_of(keep)
        marked = {"metadata": {"labels": {HASH: digest}}}
        others = [p for p in held if labels(p).get(HASH) != digest]
        patches = [Patch(POD, p["metadata"]["namespace"], p["metadata"]["name"], marked, type="merge") for p in others]
        return plan(patches, [_delete_revision(r) for r in history.current[:-1]])
    if number(keep) < history.next:
        return plan(Update(REVISION, {**keep, "revision": history.next}))
    return None


def _delete_revision(revision: Object) -> Delete:
    metadata = revision["metadata"]
    return Delete(REVISION, metadata["namespace"], metadata["name"], uid=metadata["uid"])


@dataclass(slots=True)
class Look:
    """One look at a DaemonSet: its pods `held`, and all nodes."""

    daemons: Daemons
    daemon_set: Object
    history: History
    held: Sequence[Object]
    nodes: Sequence[Object]
    now: datetime
    events: list[Action] = field(default_factory=list)
    again: float | None = None

    @property
    def digest(self) -> str:
        return hash_of(self.history.current[-1])

    def plan(self) -> Plan:
        """Pods that are missing or too many first; when there are none, the next step of the update."""
        by_node = self._by_node()
        chosen = self._manage(by_node)
        strategy = (self.daemon_set["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate")
        if not chosen.create and not chosen.delete and strategy == "RollingUpdate":
            chosen = moves(self.daemon_set, self.nodes, by_node, self.digest, self.now)
        creates = tuple(self._create(node) for node in chosen.create[:BURST])
        deletes = tuple(delete_pod(self.daemon_set, pod) for pod in chosen.delete[:BURST])
        batches = [Batch(creates, slow_start=True)] if creates else []
        batches += [Batch(deletes)] if deletes else []
        surplus = self.history.surplus(
            self.daemon_set["spec"].get("revisionHistoryLimit", 10), (labels(p).get(HASH, "") for p in self.held)
        )
        old = [_delete_revision(r) for r in surplus]
        waiting = RequeueAfter(self.again) if self.again is not None else None
        return plan(self.events, waiting, batches, old, then=lambda _: plan(self._status(by_node)))

    def _by_node(self) -> dict[str, list[Object]]:
        by_node: dict[str, list[Object]] = {}
        for pod in self.held:
            if pods.is_terminal(pod) and is_deleting(pod):
                continue
            if name := target_of(pod):
                by_node.setdefault(name, []).append(pod)
        return by_node

    # -- one pod a node

    def _manage(self, by_node: Mapping[str, Sequence[Object]]) -> Moves:
        chosen = Moves()
        for node in self.nodes:
            self._manage_node(node, by_node.get(node["metadata"]["name"], ()), chosen)
        known = {node["metadata"]["name"] for node in self.nodes}
        chosen.delete += [p for name, on in by_node.items() if name not in known for p in on if not p["spec"].get("nodeName")]
        return chosen

    def _manage_node(self, node: Object, on_node: Sequence[Object], chosen: Moves) -> None:
        name = node["metadata"]["name"]
        run, stay = should_run(self.daemon_set, node)
        if run and not on_node:
            chosen.create.append(name)
        elif stay:
            self._keep_one(name, run, [p for p in on_node if not is_deleting(p)], chosen)
        else:
            chosen.delete += [p for p in on_node if not is_deleting(p)]

    def _keep_one(self, node: str, run: bool, standing: Sequence[Object], chosen: Moves) -> None:
        """Finished pods are replaced, and of several the oldest stays; with surge one old and one new may."""
        chosen.delete += [p for p in standing if pods.is_terminal(p) and self._may_go(p, node)]
        live = sorted((p for p in standing if not pods.is_terminal(p)), key=_oldest_first)
        if not surge(self.daemon_set, 1):
            chosen.delete += live[1:]
        elif len(live) <= 1:
            if not live and run:
                chosen.create.append(node)
        else:
            self._keep_pair(live, chosen)

    def _keep_pair(self, live: Sequence[Object], chosen: Moves) -> None:
        new = [p for p in live if labels(p).get(HASH) == self.digest]
        old = [p for p in live if labels(p).get(HASH) != self.digest]
        chosen.delete += new[1:] + old[1:]
        min_ready = self.daemon_set["spec"].get("minReadySeconds", 0)
        if new and old and (not pods.is_ready(old[0]) or pods.is_available(new[0], min_ready, self.now)):
            chosen.delete.append(old[0])

    def _may_go(self, pod: Object, node: str) -> bool:
        where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']} on node {node}"
        if pods.phase(pod) == "Succeeded":
            why = f"Found succeeded daemon pod {where}, will try to delete it"
            self.events.append(Event(self.daemon_set, "Normal", "SucceededDaemonPod", why))
            return True
        wait = self.daemons.may_replace(self.daemon_set, node, self.now)
        if wait:
            self.again = min(wait, self.again or wait)
            return False
        self.events.append(Event(self.daemon_set, "Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it"))
        return True

    def _create(self, node: str) -> Create:
        template = template_for(self.daemon_set, node, self.digest)
        return create_pod(self.daemon_set, pod_from(template, DAEMON_SET, self.daemon_set))

    # -- status

    def _status(self, by_node: Mapping[str, Sequence[Object]]) -> list[Action]:
        counts = dict.fromkeys(("desired", "current", "misscheduled", "ready", "updated", "available"), 0)
        min_ready = self.daemon_set["spec"].get("minReadySeconds", 0)
        waits: list[Object] = []
        for node in self.nodes:
            on_node = by_node.get(node["metadata"]["name"], ())
            if not should_run(self.daemon_set, node)[0]:
                counts["misscheduled"] += bool(on_node)
                continue
            counts["desired"] += 1
            if on_node:
                pod = min(on_node, key=_oldest_first)
                waits.append(pod)
                counts["current"] += 1
                counts["ready"] += pods.is_ready(pod)
                counts["available"] += pods.is_available(pod, min_ready, self.now)
                counts["updated"] += self._is_updated(pod)
        status = _status_of(self.daemon_set, counts)
        wait = pods.seconds_until_available(waits, min_ready, self.now)
        changed = [StatusUpdate(DAEMON_SET, self.daemon_set, status)] if status != self.daemon_set.get("status") else []
        return [*changed, *([RequeueAfter(wait)] if wait is not None else [])]

    def _is_updated(self, pod: Object) -> bool:
        marked = labels(pod)
        generation = (self.daemon_set["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION)
        return marked.get(HASH) == self.digest or (generation is not None and marked.get(GENERATION_LABEL) == generation)


def _status_of(daemon_set: Object, counts: Mapping[str, int]) -> Object:
    standing = daemon_set.get("status") or {}
    status: Object = {
        "currentNumberScheduled": counts["current"],
        "numberMisscheduled": counts["misscheduled"],
        "desiredNumberScheduled": counts["desired"],
        "numberReady": counts["ready"],
    }
    optional = {
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
        "updatedNumberScheduled": counts["updated"],
        "numberAvailable": counts["available"],
        "numberUnavailable": counts["desired"] - counts["available"],
    }
    status |= {name: count for name, count in optional.items() if count}
    return status | {name: standing[name] for name in ("collisionCount", "conditions") if name in standing}


def _oldest_first(pod: Object) -> tuple[bool, str, str]:
    metadata = pod["metadata"]
    return not pod["spec"].get("nodeName"), metadata.get("creationTimestamp", ""), metadata["name"]


def duty() -> Duty:
    return Duty(
        "daemonset-controller",
        "daemonset-controller",
        WATCHES,
        Daemons().reconcile,
        workers=2,
        account="daemon-set-controller",
        same={NODE: same_node},
    )
