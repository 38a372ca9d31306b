from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubetree.api.times import format_time
from kubetree.controllers import disruption
from kubetree.controllers.plan import Event, Outcome, Plan, Read, RequeueAfter, Update
from kubetree.controllers.snapshot import ObjectSnapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def budget(status: Any = None, **spec: Any) -> dict[str, Any]:
    made = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    metadata = {"name": "b", "namespace": "ns", "generation": 2}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": made, "status": status or {}}


def pod(name: str, *, ready: bool = True, owner: str = "ReplicaSet", deleting: bool = False) -> dict[str, Any]:
    reference = {"apiVersion": "v1" if owner == "Widget" else "apps/v1", "kind": owner, "name": "o", "uid": "o", "controller": True}
    metadata: dict[str, Any] = {"name": name, "namespace": "ns", "labels": {"app": "web"}, "uid": name}
    if owner:
        metadata["ownerReferences"] = [reference]
    if deleting:
        metadata["deletionTimestamp"] = format_time(NOW)
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": format_time(NOW)}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": {"conditions": conditions}}


def replica_set(replicas: int) -> dict[str, Any]:
    metadata = {"name": "o", "namespace": "ns", "uid": "o"}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": replicas}}


def look(*objects: dict[str, Any]) -> Plan:
    return disruption.reconcile(ObjectSnapshot(objects), ("ns", "b"), NOW)


def status_of(plan: Plan) -> dict[str, Any]:
    (update,) = [a for a in plan.actions if isinstance(a, Update)]
    found: dict[str, Any] = update.obj["status"]
    return found


@pytest.mark.parametrize(
    ("spec", "ready", "replicas", "allowed", "desired"),
    [
        ({"minAvailable": 2}, 3, 3, 1, 2),
        ({"minAvailable": 3}, 3, 3, 0, 3),
        ({"minAvailable": "50%"}, 5, 5, 2, 3),
        ({"maxUnavailable": 1}, 3, 3, 1, 2),
        ({"maxUnavailable": 1}, 2, 3, 0, 2),
        ({"maxUnavailable": "30%"}, 3, 3, 1, 2),
        ({"maxUnavailable": 5}, 3, 3, 3, 0),
    ],
)
def test_how_many_may_go(spec: dict[str, Any], ready: int, replicas: int, allowed: int, desired: int) -> None:
    listed = [pod(f"p{n}", ready=n < ready) for n in range(replicas)]
    status = status_of(look(budget(**spec), replica_set(replicas), *listed))
    assert (status["disruptionsAllowed"], status["desiredHealthy"], status["currentHealthy"]) == (allowed, desired, ready)
    assert status["expectedPods"] == replicas
    assert status["observedGeneration"] == 2
    condition = status["conditions"][0]
    assert (condition["status"], condition["reason"]) == (("True", "SufficientPods") if allowed else ("False", "InsufficientPods"))


def test_the_owners_scale_counts_and_not_the_pods_there_are() -> None:
    assert status_of(look(budget(maxUnavailable=1), replica_set(5), pod("a"), pod("b")))["disruptionsAllowed"] == 0


def test_a_granted_eviction_counts_as_gone_for_two_minutes() -> None:
    told = {"disruptedPods": {"a": format_time(NOW - timedelta(seconds=30)), "b": format_time(NOW - timedelta(minutes=3))}}
    plan = look(budget(told, minAvailable=1), pod("a"), pod("b"), pod("c", deleting=True))
    assert status_of(plan)["currentHealthy"] == 1
    assert list(status_of(plan)["disruptedPods"]) == ["a"]
    assert RequeueAfter(90.0) in plan.actions
    assert [a.message for a in plan.actions if isinstance(a, Event)] == ["Pod was expected by PDB ns/b to be deleted but it wasn't"]


def test_unmanaged_pods_are_told_of() -> None:
    plan = look(budget(maxUnavailable=1), pod("a", owner=""))
    assert [a.reason for a in plan.actions if isinstance(a, Event)] == ["UnmanagedPods"]


def test_an_owner_without_scale_allows_nothing() -> None:
    status = status_of(look(budget(maxUnavailable=1), pod("a", owner="DaemonSet")))
    assert status["disruptionsAllowed"] == 0
    assert status["conditions"][0]["reason"] == "SyncFailed"
    assert status["conditions"][0]["message"] == "daemonsets.apps does not implement the scale subresource"


def test_what_stands_is_not_written_again() -> None:
    first = look(budget(minAvailable=1), pod("a"))
    assert look(budget(status_of(first), minAvailable=1), pod("a")).actions == ()


def test_the_scale_of_an_unknown_kind_is_asked_for() -> None:
    stateful = pod("a", owner="Deployment")
    plan = look(budget(maxUnavailable=1), stateful)
    (batch,) = plan.actions
    (read,) = batch.requests  # type: ignore[union-attr]
    assert isinstance(read, Read)
    assert read.subresource == "scale"
    assert plan.then is not None
    status = status_of(plan.then(Outcome(({"metadata": {"uid": "o"}, "spec": {"replicas": 1}},))))
    assert (status["expectedPods"], status["disruptionsAllowed"]) == (1, 1)


def test_an_eviction_that_came_to_nothing_is_taken_back() -> None:
    marked = pod("a")
    since = format_time(NOW - timedelta(seconds=30))
    marked["status"]["conditions"].append(
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "lastTransitionTime": since}
    )
    assert disruption.reconcile_stale(ObjectSnapshot([marked]), ("ns", "a"), NOW).actions == (RequeueAfter(90.0),)
    (patch,) = disruption.reconcile_stale(ObjectSnapshot([marked]), ("ns", "a"), NOW + timedelta(minutes=2)).actions
    assert patch.patch["status"]["conditions"][0]["status"] == "False"  # type: ignore[union-attr]
