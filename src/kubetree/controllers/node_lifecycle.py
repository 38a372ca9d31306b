"""Watches over nodes: tells when one has gone silent, keeps the taints that follow from its conditions, and marks its pods unready.

Follows upstream's nodelifecycle controller. Whether a node lives is judged by this process' own clock, from the moment its Lease or
its Ready condition last changed, so the clocks of machines need not agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import labels
from kubetree.api.times import format_time, parse_time
from kubetree.controllers import pods
from kubetree.controllers.conditions import find
from kubetree.controllers.options import Options
from kubetree.controllers.plan import Action, Event, Patch, Plan, RequeueAfter, StatusUpdate, plan
from kubetree.controllers.runner import Duty, Key, nothing, own_key
from kubetree.controllers.snapshot import BY_NODE, Snapshot
from kubetree.controllers.taints import NOT_READY, UNREACHABLE, UNSCHEDULABLE, same_taint
from kubetree.controllers.zones import Zones

Object = dict[str, Any]

NODE, POD, LEASE = kind("v1", "Node"), kind("v1", "Pod"), kind("coordination.k8s.io/v1", "Lease")
LEASES = "kube-node-lease"

CONDITION_TAINTS = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
OUR_NO_SCHEDULE = {key for states in CONDITION_TAINTS.values() for key in states.values()} | {UNSCHEDULABLE}
REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""The conditions that a kubelet reports, and that are unknown when it does not."""
OLD_LABELS = {"kubernetes.io/os": "beta.kubernetes.io/os", "kubernetes.io/arch": "beta.kubernetes.io/arch"}


def keys_of_lease(lease: Object, _: Snapshot) -> Iterable[Key]:
    metadata = lease["metadata"]
    return (("", metadata["name"]),) if metadata["namespace"] == LEASES else ()


WATCHES = {NODE: own_key, LEASE: keys_of_lease, POD: nothing}


@dataclass(slots=True)
class Health:
    """What was last seen of a node, and when it last changed: `sign` is the lease's renewal and the Ready condition's heartbeat."""

    uid: str
    sign: tuple[str, ...]
    since: datetime
    ready: str


@dataclass(slots=True)
class NodeLifecycle:
    """Remembers when each node was last heard of, by its own clock as upstream does."""

    options: Options
    zones: Zones
    health: dict[str, Health] = field(default_factory=dict)

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        node = snapshot.get(NODE, "", key[1])
        if node is None:
            gone = self.health.pop(key[1], None)
            return plan(_node_event(key[1], gone.uid, "RemovingNode", f"Removing Node {key[1]} from Controller")) if gone else plan()
        known = self.health.get(key[1])
        registered = None
        if known is None or known.uid != node["metadata"]["uid"]:
            registered = _node_event(key[1], node["metadata"]["uid"], "RegisteredNode", f"Registered Node {key[1]} in Controller")
        health = self._observe(snapshot, node, now)
        grace = self._grace(node)
        silent = (now - health.since).total_seconds()
        if silent >= grace and (lost := _lost(node, now)) is not None:
            return plan(registered, lost)
        self.zones.look(snapshot.list(NODE), now.timestamp())
        ready = (_condition(node, "Ready") or {}).get("status", "Unknown")
        actions = [*self._turned(snapshot, node, health, ready, now), *self._taints(node, ready, now), _labels(node)]
        health.ready = ready
        wait = self.options.node_monitor_period if ready != "True" else grace - silent + 0.01
        return plan(registered, actions, RequeueAfter(wait))

    def _observe(self, snapshot: Snapshot, node: Object, now: datetime) -> Health:
        """The node's health, with `since` moved to now when it gave a sign of life."""
        metadata = node["metadata"]
        lease = snapshot.get(LEASE, LEASES, metadata["name"])
        ready = _condition(node, "Ready")
        sign = (
            str(((lease or {}).get("spec") or {}).get("renewTime", "")),
            str((ready or {}).get("lastHeartbeatTime", "")) if ready and ready["status"] != "Unknown" else "",
        )
        known = self.health.get(metadata["name"])
        if known is None or known.uid != metadata["uid"]:
            since = now if ready is not None else parse_time(metadata["creationTimestamp"])
            state = ready["status"] if ready is not None else "Unknown"
            known = self.health[metadata["name"]] = Health(metadata["uid"], sign, since, state)
        elif sign != known.sign:
            if any(new and new != old for new, old in zip(sign, known.sign, strict=True)):
                known.since = now
            known.sign = sign
        return known

    def _grace(self, node: Object) -> float:
        """A node that never reported has a little longer."""
        if _condition(node, "Ready") is None:
            return self.options.node_startup_grace_period
        return self.options.node_monitor_grace_period

    # -- what follows from the Ready condition

    def _turned(self, snapshot: Snapshot, node: Object, health: Health, ready: str, now: datetime) -> list[Action]:
        """A node that is not ready has no ready pods, whatever they last said."""
        if ready == "True":
            return []
        name = node["metadata"]["name"]
        actions: list[Action] = []
        if health.ready == "True":
            message = f"Node {name} status is now: NodeNotReady"
            actions.append(Event(_node_reference(name, node["metadata"]["uid"]), "Normal", "NodeNotReady", message))
        for pod in snapshot.by_index(POD, BY_NODE, name):
            if pods.is_ready(pod):
                actions += _unready(pod, now)
        return actions

    def _taints(self, node: Object, ready: str, now: datetime) -> list[Action]:
        """One patch that brings both kinds of our taints up to date; those of others stay as they are."""
        current: list[Object] = list(node["spec"].get("taints") or ())
        kept = [t for t in current if not _is_ours(t)]
        wanted = kept + _no_schedule(node, current, now) + self._no_execute(node, current, ready, now)
        if _as_set(wanted) == _as_set(current):
            return []
        patch = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": wanted or None}}
        return [Patch(NODE, "", node["metadata"]["name"], patch, type="merge")]

    def _no_execute(self, node: Object, current: Sequence[Object], ready: str, now: datetime) -> list[Object]:
        """The taint that drives pods away from a node that is not ready: as fast as its zone allows, never when all are dead."""
        key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready)
        if key is None or self.zones.all_dead:
            return []
        standing = next((t for t in current if t["effect"] == "NoExecute" and t["key"] in (NOT_READY, UNREACHABLE)), None)
        if standing is not None and standing["key"] == key:
            return [standing]
        if standing is None and not self.zones.may_evict(node, now.timestamp()):
            return []
        return [{"key": key, "effect": "NoExecute", "timeAdded": format_time(now)}]


def _lost(node: Object, now: datetime) -> Action | None:
    """The status of a node that has gone silent: all that its kubelet reports is unknown. None when it says so already."""
    status = node.get("status") or {}
    conditions = [dict(c) for c in status.get("conditions") or ()]
    changed = False
    for type_ in REPORTED:
        standing = find(conditions, type_)
        if standing is None:
            created = node["metadata"]["creationTimestamp"]
            made = {"type": type_, "status": "Unknown", "lastHeartbeatTime": created, "lastTransitionTime": format_time(now)}
            conditions.append(made | {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."})
            changed = True
        elif standing["status"] != "Unknown":
            standing.update(status="Unknown", reason="NodeStatusUnknown", message="Kubelet stopped posting node status.")
            standing["lastTransitionTime"] = format_time(now)
            changed = True
    return StatusUpdate(NODE, node, {**status, "conditions": conditions}) if changed else None


def _no_schedule(node: Object, current: Sequence[Object], now: datetime) -> list[Object]:
    """The taints that keep new pods away, one for each bad condition."""
    keys = [
        key
        for type_, states in CONDITION_TAINTS.items()
        if (found := _condition(node, type_)) is not None and (key := states.get(found["status"])) is not None
    ]
    if node["spec"].get("unschedulable"):
        keys.append(UNSCHEDULABLE)
    wanted = [{"key": key, "effect": "NoSchedule", "timeAdded": format_time(now)} for key in keys]
    return [next((c for c in current if same_taint(c, t)), t) for t in wanted]


def _is_ours(taint: Object) -> bool:
    if taint["effect"] == "NoSchedule":
        return taint["key"] in OUR_NO_SCHEDULE
    return taint["effect"] == "NoExecute" and taint["key"] in (NOT_READY, UNREACHABLE)


def _as_set(taints: Iterable[Object]) -> set[tuple[str, str, str]]:
    return {(t["key"], t["effect"], t.get("value", "")) for t in taints}


def _condition(node: Object, type_: str) -> Object | None:
    return find((node.get("status") or {}).get("conditions"), type_)


def _unready(pod: Object, now: datetime) -> list[Action]:
    metadata = pod["metadata"]
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": format_time(now)}
    patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
    told = Event(pod, "Warning", "NodeNotReady", "Node is not ready")
    ignore = frozenset({"NotFound", "Conflict"})
    return [Patch(POD, metadata["namespace"], metadata["name"], patch, subresource="status", done=told, ignore=ignore)]


def _labels(node: Object) -> Action | None:
    """The beta labels that stand for the operating system and architecture ones."""
    marked = labels(node)
    missing = {old: marked[new] for new, old in OLD_LABELS.items() if new in marked and marked.get(old) != marked[new]}
    return Patch(NODE, "", node["metadata"]["name"], {"metadata": {"labels": missing}}) if missing else None


def _node_reference(name: str, uid: str) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}


def _node_event(name: str, uid: str, reason: str, what: str) -> Event:
    return Event(_node_reference(name, uid), "Normal", reason, f"Node {name} event: {what}")


def same(old: Object, new: Object) -> bool:
    """Whether an update of a node is nothing to look at."""

    def facts(node: Object) -> tuple[Any, ...]:
        status = node.get("status") or {}
        return node["spec"], status.get("conditions"), labels(node), annotations_of(node)

    return facts(old) == facts(new)


def duty(options: Options) -> Duty:
    zones = Zones(
        options.node_eviction_rate,
        options.secondary_node_eviction_rate,
        options.large_cluster_size_threshold,
        options.unhealthy_zone_threshold,
    )
    lifecycle = NodeLifecycle(options, zones)
    return Duty(
        "node-lifecycle-controller",
        "node-controller",
        WATCHES,
        lifecycle.reconcile,
        workers=8,
        account="node-controller",
        same={NODE: same},
    )
