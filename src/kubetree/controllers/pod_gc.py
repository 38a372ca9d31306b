"""Removes pods that nobody else will: finished ones beyond a number, those of nodes that are gone, those stuck on dead nodes.

Follows upstream's podgc: every 20 seconds it looks at all pods. A node counts as gone 40 seconds after the caches lost it, once the
API server has confirmed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.api.times import format_time
from kubetree.controllers import pods
from kubetree.controllers.plan import Action, Delete, Outcome, Patch, Plan, Read, RequeueAfter, plan
from kubetree.controllers.runner import EVERYTHING, Duty, Key, nothing
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

POD, NODE = kind("v1", "Pod"), kind("v1", "Node")
PERIOD = 20.0
QUARANTINE = 40.0
THRESHOLD = 12500
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

WATCHES = {POD: nothing, NODE: nothing}


@dataclass(slots=True)
class PodGC:
    """`threshold`: how many finished pods may stay, 0 for any number. `missing`: since when a node has not been seen."""

    threshold: int = THRESHOLD
    missing: dict[str, datetime] = field(default_factory=dict)

    def reconcile(self, snapshot: Snapshot, _: Key, now: datetime) -> Plan:
        all_pods = snapshot.list(POD)
        nodes = {node["metadata"]["name"]: node for node in snapshot.list(NODE)}
        actions = [*self._finished(all_pods), *_stuck(all_pods, nodes, now), *_unscheduled(all_pods)]
        gone = self._gone(all_pods, nodes, now)
        reads = [Read(NODE, "", name) for name in gone]

        def confirmed(outcome: Outcome) -> Plan:
            absent = {name for name, node in zip(gone, outcome.results[-len(gone) :], strict=False) if node is None}
            return plan(_orphans(all_pods, absent if outcome.ok else set(), now))

        return plan(RequeueAfter(PERIOD), actions, reads, then=confirmed if gone else None)

    def _finished(self, all_pods: Iterable[Object]) -> list[Action]:
        """The oldest finished pods beyond the threshold; evicted ones first."""
        finished = [p for p in all_pods if pods.is_terminal(p) and not is_deleting(p)]
        surplus = len(finished) - self.threshold
        if self.threshold <= 0 or surplus <= 0:
            return []
        in_order = sorted(finished, key=_evicted_then_oldest)
        return [_delete(p) for p in in_order[:surplus]]

    def _gone(self, all_pods: Iterable[Object], nodes: dict[str, Object], now: datetime) -> list[str]:
        """Nodes of pods that have been missing long enough."""
        named = {name for p in all_pods if (name := p["spec"].get("nodeName"))}
        unseen = named - nodes.keys()
        for name in [name for name in self.missing if name not in unseen]:
            del self.missing[name]
        for name in unseen:
            self.missing.setdefault(name, now)
        return sorted(name for name, since in self.missing.items() if (now - since).total_seconds() >= QUARANTINE)


def _evicted_then_oldest(pod: Object) -> tuple[bool, str, str]:
    metadata = pod["metadata"]
    return (pod.get("status") or {}).get("reason") != "Evicted", metadata.get("creationTimestamp", ""), metadata["name"]


def _stuck(all_pods: Iterable[Object], nodes: dict[str, Object], now: datetime) -> list[Action]:
    """Pods being deleted on nodes that an administrator declared out of service."""
    dead = {name for name, node in nodes.items() if not _is_ready(node) and _out_of_service(node)}
    return [a for p in all_pods if is_deleting(p) and p["spec"].get("nodeName") in dead for a in _force(p, "", now)]


def _unscheduled(all_pods: Iterable[Object]) -> list[Action]:
    return [_delete(p) for p in all_pods if is_deleting(p) and not p["spec"].get("nodeName")]


def _orphans(all_pods: Iterable[Object], absent: set[str], now: datetime) -> list[Action]:
    return [a for p in all_pods if p["spec"].get("nodeName") in absent for a in _force(p, "PodGC: node no longer exists", now)]


def _force(pod: Object, disruption: str, now: datetime) -> list[Action]:
    """Marks a pod that has not finished as failed, then deletes it without waiting for its kubelet."""
    if pods.is_terminal(pod):
        return [_delete(pod)]
    status: Object = {"phase": "Failed"}
    if disruption:
        stamp = format_time(now)
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": disruption}
        status["conditions"] = [{**condition, "lastTransitionTime": stamp, "lastProbeTime": None}]
    metadata = pod["metadata"]
    patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
    failed = Patch(POD, metadata["namespace"], metadata["name"], patch, subresource="status", ignore=frozenset({"NotFound", "Conflict"}))
    return [failed, _delete(pod)]


def _delete(pod: Object) -> Delete:
    metadata = pod["metadata"]
    return Delete(POD, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_period=0)


def _is_ready(node: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in (node.get("status") or {}).get("conditions") or ())


def _out_of_service(node: Object) -> bool:
    return any(t["key"] == OUT_OF_SERVICE for t in node["spec"].get("taints") or ())


def duty(threshold: int = THRESHOLD) -> Duty:
    return Duty(
        "pod-garbage-collector-controller",
        "podgc-controller",
        WATCHES,
        PodGC(threshold).reconcile,
        start=(EVERYTHING,),
        account="pod-garbage-collector",
    )
