"""Nodes: silence, taints, eviction, zones, address ranges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.times import format_micro_time, format_time
from kubetree.controllers import node_ipam, node_lifecycle, taint_eviction
from kubetree.controllers.options import Options
from kubetree.controllers.plan import Event, Patch, Plan, RequeueAfter, Update
from kubetree.controllers.snapshot import ObjectSnapshot
from kubetree.controllers.taints import patience
from kubetree.controllers.zones import FULL, NORMAL, PARTIAL, Zones

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODE, POD, LEASE = kind("v1", "Node"), kind("v1", "Pod"), kind("coordination.k8s.io/v1", "Lease")


def node(name: str = "n", ready: str | None = "True", zone: str = "", taints: Any = (), **conditions: str) -> dict[str, Any]:
    told = {**({"Ready": ready} if ready else {}), **conditions}
    stamp = format_time(NOW)
    listed = [{"type": t, "status": s, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp} for t, s in told.items()]
    marked = {"topology.kubernetes.io/zone": zone} if zone else {}
    metadata = {"name": name, "uid": name, "resourceVersion": "1", "creationTimestamp": stamp, "labels": marked}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": list(taints)}, "status": {"conditions": listed}}


def lease(name: str, at: datetime) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "kube-node-lease"}
    return {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": metadata, "spec": {"renewTime": format_micro_time(at)}}


def pod(name: str, *, tolerations: Any = (), ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": format_time(NOW)}]
    metadata = {"name": name, "namespace": "ns", "uid": name}
    spec = {"nodeName": "n", "tolerations": list(tolerations)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running", "conditions": conditions}}


class Watch:
    """A node lifecycle controller and the objects it sees."""

    def __init__(self, **options: Any) -> None:
        self.lifecycle = node_lifecycle.NodeLifecycle(Options(**options), Zones())

    def look(self, *objects: dict[str, Any], at: float = 0, name: str = "n") -> Plan:
        return self.lifecycle.reconcile(ObjectSnapshot(objects), ("", name), NOW + timedelta(seconds=at))


def taints_of(plan: Plan) -> set[tuple[str, str]]:
    (patch,) = [a for a in plan.actions if isinstance(a, Patch) and a.kind == NODE and "spec" in a.patch]
    assert isinstance(patch.patch, dict)
    return {(t["key"].removeprefix("node.kubernetes.io/"), t["effect"]) for t in patch.patch["spec"]["taints"] or ()}


def reasons(plan: Plan) -> list[str]:
    return [a.reason for a in plan.actions if isinstance(a, Event)]


def test_a_silent_node_becomes_unknown_after_the_grace_period_by_our_own_clock() -> None:
    watch, dead = Watch(), node(MemoryPressure="False")
    old_lease = lease("n", NOW - timedelta(days=1))
    first = watch.look(dead, old_lease)
    assert reasons(first) == ["RegisteredNode"]
    assert [a.seconds for a in first.actions if isinstance(a, RequeueAfter)] == [pytest.approx(50.01)]
    assert not any(isinstance(a, Update) for a in watch.look(dead, lease("n", NOW), at=40).actions)
    assert not any(isinstance(a, Update) for a in watch.look(dead, lease("n", NOW), at=89).actions)
    (lost,) = [a for a in watch.look(dead, lease("n", NOW), at=90).actions if isinstance(a, Update)]
    told = {c["type"]: (c["status"], c["reason"], c["message"]) for c in lost.obj["status"]["conditions"]}
    assert told["Ready"] == ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
    assert told["DiskPressure"] == ("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")


def test_a_node_that_never_reports_has_a_minute() -> None:
    watch, born = Watch(), node(ready=None)
    assert not any(isinstance(a, Update) for a in watch.look(born, at=59).actions)
    assert any(isinstance(a, Update) for a in watch.look(born, at=60).actions)


def test_taints_follow_conditions_and_others_stay() -> None:
    mine = {"key": "mine", "effect": "NoSchedule", "value": "x"}
    sick = node(DiskPressure="True", taints=[mine, {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}])
    sick["spec"]["unschedulable"] = True
    assert taints_of(Watch().look(sick)) == {("mine", "NoSchedule"), ("disk-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")}


def test_taints_say_since_when() -> None:
    sick = node(DiskPressure="True")
    (patch,) = [a for a in Watch().look(sick).actions if isinstance(a, Patch) and "spec" in a.patch]
    assert isinstance(patch.patch, dict)
    (taint,) = patch.patch["spec"]["taints"]
    assert taint == {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule", "timeAdded": format_time(NOW)}


def test_an_unreachable_node_drives_pods_away_and_a_ready_one_does_not() -> None:
    fine = node("fine")
    watch = Watch()
    assert taints_of(watch.look(node(ready="Unknown"), fine)) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    watch = Watch()
    assert taints_of(watch.look(node(ready="False"), fine)) == {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}
    tainted = node(taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "x"}])
    assert taints_of(Watch().look(tainted, fine)) == set()


def test_when_all_nodes_are_dead_nobody_is_driven_away() -> None:
    assert taints_of(Watch().look(node(ready="Unknown"), node("m", ready="False"))) == {("unreachable", "NoSchedule")}


def test_only_so_many_nodes_of_a_zone_are_given_up_at_a_time() -> None:
    watch = Watch()
    others = [node("fine"), node("fine2"), node("fine3")]
    given_up = []
    for name, at in (("a", 0.0), ("b", 1.0), ("b", 9.0), ("b", 11.0)):
        nodes = [node("a", ready="Unknown"), node("b", ready="Unknown"), *others]
        if ("unreachable", "NoExecute") in taints_of(watch.look(*nodes, at=at, name=name)):
            given_up.append((name, at))
    assert given_up == [("a", 0.0), ("b", 11.0)]


def test_pods_of_a_node_that_is_not_ready_are_not_ready() -> None:
    watch = Watch()
    watch.look(node())
    turned = watch.look(node(ready="False"), node("fine"), pod("good"), pod("bad", ready=False), at=1)
    marked = [a for a in turned.actions if isinstance(a, Patch) and a.kind == POD]
    assert [a.name for a in marked] == ["good"]
    assert marked[0].done is not None
    assert (marked[0].done.reason, marked[0].done.message) == ("NodeNotReady", "Node is not ready")
    assert reasons(turned) == ["NodeNotReady"]


@pytest.mark.parametrize(
    ("ready", "state"),
    [([True, True], NORMAL), ([False, False], FULL), ([False] * 3 + [True] * 2, PARTIAL), ([False, False, True], NORMAL)],
)
def test_zone_states(ready: list[bool], state: str) -> None:
    zones = Zones()
    zones.look([node(f"n{i}", ready=str(r), zone="a") for i, r in enumerate(ready)] + [node("other", zone="b")], 0)
    sick = node("n0", ready="False", zone="a")
    assert not zones.all_dead
    assert zones.may_evict(sick, 0) == (state != PARTIAL)


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0.0),
        ([{"key": "k", "operator": "Exists", "effect": "NoExecute"}], None),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 300}], 300.0),
        ([{"operator": "Exists", "tolerationSeconds": 20}, {"key": "k", "value": "v", "tolerationSeconds": 10}], 10.0),
        ([{"key": "k", "value": "other"}], 0.0),
        ([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}], 0.0),
        ([{"operator": "Exists", "tolerationSeconds": -5}], 0.0),
    ],
)
def test_how_long_a_pod_bears_a_taint(tolerations: list[dict[str, Any]], seconds: float | None) -> None:
    assert patience(tolerations, [{"key": "k", "value": "v", "effect": "NoExecute"}]) == seconds


def test_a_pod_is_evicted_when_its_patience_ends() -> None:
    eviction = taint_eviction.TaintEviction()
    since = NOW - timedelta(seconds=100)
    tainted = node(taints=[{"key": "k", "effect": "NoExecute", "timeAdded": format_time(since)}])
    patient = pod("p", tolerations=[{"key": "k", "operator": "Exists", "tolerationSeconds": 300}])
    waiting = eviction.reconcile(ObjectSnapshot([tainted, patient]), ("ns", "p"), NOW)
    assert waiting.actions == (RequeueAfter(200.0),)
    evicted = eviction.reconcile(ObjectSnapshot([tainted, patient]), ("ns", "p"), NOW + timedelta(seconds=200))
    assert reasons(evicted) == ["TaintManagerEviction"]
    assert type(evicted.actions[-1]).__name__ == "Delete"


def test_a_taint_that_goes_cancels_the_eviction() -> None:
    eviction = taint_eviction.TaintEviction()
    patient = pod("p", tolerations=[{"operator": "Exists", "tolerationSeconds": 300}])
    eviction.reconcile(ObjectSnapshot([node(taints=[{"key": "k", "effect": "NoExecute"}]), patient]), ("ns", "p"), NOW)
    cancelled = eviction.reconcile(ObjectSnapshot([node(), patient]), ("ns", "p"), NOW)
    assert [a.message for a in cancelled.actions if isinstance(a, Event)] == ["Cancelling deletion of Pod ns/p"]


def test_each_node_gets_a_range_of_its_own_until_there_are_none() -> None:
    options = Options(cluster_cidr=("10.244.0.0/23", "fd00::/62"), service_cluster_ip_range=())
    ipam = node_ipam.NodeIPAM(list(node_ipam._ranges(options)))
    taken = node("old")
    taken["spec"]["podCIDRs"] = ["10.244.0.0/24", "fd00::/64"]
    taken["spec"]["podCIDR"] = "10.244.0.0/24"
    world = [taken, node("a"), node("b")]
    (patch,) = ipam.reconcile(ObjectSnapshot(world), ("", "a"), NOW).actions
    assert isinstance(patch, Patch)
    assert patch.patch == {"spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:0:0:1::/64"]}}
    full = ipam.reconcile(ObjectSnapshot(world), ("", "b"), NOW)
    assert reasons(full) == ["CIDRNotAvailable"]
    ipam.reconcile(ObjectSnapshot([node("a"), node("b")]), ("", "old"), NOW)
    (again,) = ipam.reconcile(ObjectSnapshot(world[1:]), ("", "b"), NOW).actions
    assert isinstance(again, Patch)


def test_ranges_never_overlap_the_services() -> None:
    options = Options(cluster_cidr=("10.0.0.0/22",), service_cluster_ip_range=("10.0.0.0/24",))
    (range_,) = node_ipam._ranges(options)
    assert [str(range_.take(str(n))) for n in range(4)] == ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "None"]
