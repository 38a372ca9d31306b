from __future__ import annotations

from typing import Any

import pytest

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.controllers import replicasets, replication_controllers
from kubetree.controllers.plan import Batch, Create
from world import World

RS, RC, POD = kind("apps/v1", "ReplicaSet"), kind("v1", "ReplicationController"), kind("v1", "Pod")


def replica_set(count: int = 3, name: str = "web", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
        "status": {"replicas": 0},
    }


def bare_pod(name: str, app: str = "web") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": {"containers": []}}


def settled(world: World) -> World:
    world.settle(replicasets.reconcile, RS)
    return world


def test_creates_pods_and_tells_their_state() -> None:
    world = settled(World(replica_set(3)))
    pod = world.list(POD)[0]
    assert len(world.list(POD)) == 3
    assert pod["metadata"]["name"].startswith("web-")
    assert pod["metadata"]["ownerReferences"][0] == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "uid-0001", "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip
    assert world.get(RS, "web")["status"] == {
        "replicas": 3, "fullyLabeledReplicas": 3, "observedGeneration": 1, "terminatingReplicas": 0,
    }  # fmt: skip
    world.make_ready()
    settled(world)
    assert world.get(RS, "web")["status"]["readyReplicas"] == world.get(RS, "web")["status"]["availableReplicas"] == 3
    assert world.events.count(f"SuccessfulCreate: Created pod: {pod['metadata']['name']}") == 1


def test_shrinks_by_deleting_the_unready_first() -> None:
    world = settled(World(replica_set(3)))
    world.make_ready(limit=2)
    unready = next(p["metadata"]["name"] for p in world.list(POD) if not p.get("status"))
    world.get(RS, "web")["spec"]["replicas"] = 2
    settled(world)
    assert f"SuccessfulDelete: Deleted pod: {unready}" in world.events
    assert world.get(RS, "web")["status"]["terminatingReplicas"] == 1


def test_adopts_matching_orphans_and_releases_what_matches_no_more() -> None:
    world = settled(World(bare_pod("orphan"), bare_pod("other", "db"), replica_set(2)))
    assert world.get(POD, "orphan")["metadata"]["ownerReferences"][0]["name"] == "web"
    assert "ownerReferences" not in world.get(POD, "other")["metadata"]
    assert len(world.list(POD)) == 3
    world.get(POD, "orphan")["metadata"]["labels"] = {"app": "debug"}
    settled(world)
    assert "ownerReferences" not in world.get(POD, "orphan")["metadata"]
    assert len(world.list(POD)) == 4


def test_finished_pods_are_replaced_and_not_counted() -> None:
    world = settled(World(replica_set(1)))
    world.list(POD)[0]["status"] = {"phase": "Failed"}
    settled(world)
    assert len(world.list(POD)) == 2
    assert world.get(RS, "web")["status"]["replicas"] == 1


def test_a_refused_pod_shows_in_the_condition_until_it_succeeds() -> None:
    world = World(replica_set(3))
    world.fails = lambda action: errors.forbidden("pods", "", "", "exceeded quota") if isinstance(action, Create) else None
    key = ("default", "web")
    failures = world.follow(replicasets.reconcile(world.snapshot, key, world.now))
    assert [e.message for e in failures] == ["pods is forbidden: exceeded quota"]
    condition = world.get(RS, "web")["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("ReplicaFailure", "True", "FailedCreate")
    assert world.events == ["FailedCreate: Error creating: pods is forbidden: exceeded quota"]
    world.fails = lambda _: None
    settled(world)
    assert "conditions" not in world.get(RS, "web")["status"]


def test_a_terminating_namespace_is_no_failure() -> None:
    world = World(replica_set(1))
    cause = errors.Cause("NamespaceTerminating", "namespace default is being terminated", "metadata.namespace")
    world.fails = lambda action: errors.Forbidden("forbidden", causes=[cause]) if isinstance(action, Create) else None
    assert world.follow(replicasets.reconcile(world.snapshot, ("default", "web"), world.now)) == []
    assert world.events == []


def test_min_ready_seconds_hold_availability_back() -> None:
    world = settled(World(replica_set(1, minReadySeconds=10)))
    world.make_ready()
    world.pass_time(4)
    settled(world)
    assert "availableReplicas" not in world.get(RS, "web")["status"]
    assert world.requeues[-1] == 6
    world.pass_time(6)
    settled(world)
    assert world.get(RS, "web")["status"]["availableReplicas"] == 1


def test_a_deleted_set_leaves_its_pods_alone() -> None:
    world = settled(World(replica_set(2)))
    world.get(RS, "web")["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.list(POD)[0]["status"] = {"phase": "Failed"}
    settled(world)
    assert len(world.list(POD)) == 2


@pytest.mark.parametrize(("wanted", "at_once"), [(3, 3), (2000, 500)])
def test_creates_at_most_500_in_one_pass_starting_slowly(wanted: int, at_once: int) -> None:
    world = World(replica_set(wanted))
    batch = replicasets.reconcile(world.snapshot, ("default", "web"), world.now).actions[0]
    assert isinstance(batch, Batch)
    assert batch.slow_start
    assert len(batch.requests) == at_once


def test_siblings_of_one_deployment_make_a_node_crowded() -> None:
    owner = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d", "controller": True}]
    old, new = replica_set(1, "old"), replica_set(2, "new")
    for rs, version in ((old, "1"), (new, "2")):
        rs["metadata"]["ownerReferences"] = owner
        rs["spec"]["selector"] = {"matchLabels": {"v": version}}
        rs["spec"]["template"]["metadata"]["labels"] = {"v": version}
    world = settled(World(old, new))
    world.make_ready()
    of_new = [p for p in world.list(POD) if p["metadata"]["labels"] == {"v": "2"}]
    of_new[0]["spec"]["nodeName"] = "empty-but-for-one"
    world.get(RS, "new")["spec"]["replicas"] = 1
    settled(world)
    assert f"SuccessfulDelete: Deleted pod: {of_new[1]['metadata']['name']}" in world.events


def test_replication_controllers_select_by_equality_and_count_no_terminating_pods() -> None:
    rc = replica_set(2)
    rc.update(apiVersion="v1", kind="ReplicationController")
    rc["spec"]["selector"] = {"app": "web"}
    world = World(rc)
    world.settle(replication_controllers.reconcile, RC)
    assert len(world.list(POD)) == 2
    assert "terminatingReplicas" not in world.get(RC, "web")["status"]
    assert world.list(POD)[0]["metadata"]["ownerReferences"][0]["kind"] == "ReplicationController"
