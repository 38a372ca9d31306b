"""Deletes pods from nodes with NoExecute taints that they do not tolerate, or no longer.

Follows upstream's tainteviction controller. How long a pod has borne a taint counts from the taint's timeAdded; where that is
missing, from when it was first seen here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.api.times import format_time, parse_time
from kubetree.controllers.plan import NOTHING, Delete, Event, Patch, Plan, RequeueAfter, plan
from kubetree.controllers.runner import Duty, Key
from kubetree.controllers.snapshot import BY_NODE, Snapshot
from kubetree.controllers.taints import Taint, of_effect, patience

Object = dict[str, Any]

POD, NODE = kind("v1", "Pod"), kind("v1", "Node")


def keys_of_pod(pod: Object, _: Snapshot) -> Iterable[Key]:
    metadata = pod["metadata"]
    return ((metadata["namespace"], metadata["name"]),) if pod["spec"].get("nodeName") else ()


def keys_of_node(node: Object, snapshot: Snapshot) -> Iterable[Key]:
    return [(p["metadata"]["namespace"], p["metadata"]["name"]) for p in snapshot.by_index(POD, BY_NODE, node["metadata"]["name"])]


def same_node(old: Object, new: Object) -> bool:
    return bool(no_execute(old) == no_execute(new))


def same_pod(old: Object, new: Object) -> bool:
    fields = ("nodeName", "tolerations")
    return is_deleting(old) == is_deleting(new) and all(old["spec"].get(f) == new["spec"].get(f) for f in fields)


def no_execute(node: Object) -> list[Taint]:
    return of_effect(node["spec"].get("taints") or (), "NoExecute")


WATCHES = {POD: keys_of_pod, NODE: keys_of_node}


@dataclass(slots=True)
class TaintEviction:
    """`seen`: by pod UID, since when it bears the taint that has no time, and which pods are waiting for their end."""

    seen: dict[str, datetime] = field(default_factory=dict)

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        pod = snapshot.get(POD, *key)
        if pod is None or is_deleting(pod):
            return NOTHING
        uid = pod["metadata"]["uid"]
        node = snapshot.get(NODE, "", pod["spec"].get("nodeName", ""))
        taints = no_execute(node) if node is not None else []
        allowed = patience(pod["spec"].get("tolerations") or (), taints) if taints else None
        if allowed is None:
            waited = self.seen.pop(uid, None)
            message = f"Cancelling deletion of Pod {'/'.join(key)}"
            return plan(Event(pod, "Normal", "TaintManagerEviction", message)) if waited is not None else NOTHING
        left = allowed - (now - self._since(uid, taints, now)).total_seconds()
        if left > 0:
            return plan(RequeueAfter(left))
        self.seen.pop(uid, None)
        return _evict(pod, now)

    def _since(self, uid: str, taints: Iterable[Taint], now: datetime) -> datetime:
        """From when the pod's patience counts: never earlier than the first look at it, but for taints that say when they came."""
        first = self.seen.setdefault(uid, now)
        added = [parse_time(t["timeAdded"]) for t in taints if t.get("timeAdded")]
        return min([first, *added])


def _evict(pod: Object, now: datetime) -> Plan:
    metadata = pod["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": format_time(now),
    }
    patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
    ignore = frozenset({"NotFound", "Conflict"})
    return plan(
        Event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}"),
        Patch(POD, namespace, name, patch, subresource="status", ignore=ignore),
        Delete(POD, namespace, name, uid=metadata["uid"], ignore=ignore),
    )


def duty() -> Duty:
    return Duty(
        "taint-eviction-controller",
        "taint-eviction-controller",
        WATCHES,
        TaintEviction().reconcile,
        workers=8,
        account="node-controller",
        same={NODE: same_node, POD: same_pod},
    )
