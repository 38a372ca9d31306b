from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubetree.controllers.garbage_collector import GarbageCollector
from kubetree.controllers.plan import Batch, Delete, Event, Outcome, Patch, Plan, Read, RequeueAfter
from kubetree.controllers.snapshot import ObjectSnapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(
    name: str, *owners: str, kind: str = "ConfigMap", finalizers: Any = (), deleting: bool = False, block: bool = True
) -> dict[str, Any]:
    references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": o, "uid": o, "blockOwnerDeletion": block} for o in owners]
    metadata: dict[str, Any] = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "7", "finalizers": list(finalizers)}
    if references:
        metadata["ownerReferences"] = references
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def look(name: str, *objects: dict[str, Any], collector: GarbageCollector | None = None) -> Plan:
    return (collector or GarbageCollector()).reconcile(ObjectSnapshot(objects), ("v1", "ConfigMap", "ns", name), NOW)


def answered(plan: Plan, *answers: dict[str, Any] | None) -> Plan:
    assert plan.then is not None
    return plan.then(Outcome(answers))


def test_an_owner_that_the_caches_do_not_show_is_asked_for_before_anything_goes() -> None:
    first = look("child", obj("child", "gone"))
    (batch,) = first.actions
    assert isinstance(batch, Batch)
    assert isinstance(batch.requests[0], Read)
    (delete,) = answered(first, None).actions
    assert isinstance(delete, Delete)
    assert (delete.uid, delete.resource_version, delete.propagation) == ("child", "7", "Background")
    assert answered(first, obj("gone")).actions == ()
    (delete,) = answered(first, {"metadata": {"uid": "another of the same name"}}).actions
    assert isinstance(delete, Delete)


def test_an_owner_that_was_seen_going_needs_no_question() -> None:
    collector = GarbageCollector()
    child = obj("child", "owner")
    keys = collector.keys(obj("owner"), ObjectSnapshot([child]))
    assert ("v1", "ConfigMap", "ns", "child") in keys
    (delete,) = look("child", child, collector=collector).actions
    assert isinstance(delete, Delete)


def test_a_living_owner_keeps_the_object_and_dead_ones_are_struck_out() -> None:
    owner = obj("alive")
    assert look("child", owner, obj("child", "alive")).actions == ()
    (patch,) = answered(look("child", owner, obj("child", "alive", "gone")), None).actions
    assert isinstance(patch, Patch)
    assert isinstance(patch.patch, dict)
    assert [r["name"] for r in patch.patch["metadata"]["ownerReferences"]] == ["alive"]
    assert patch.patch["metadata"]["resourceVersion"] == "7"


def test_foreground_deletion_goes_down_and_comes_up() -> None:
    owner = obj("owner", finalizers=["foregroundDeletion"], deleting=True)
    child, leaf = obj("child", "owner"), obj("leaf", "child")
    assert look("owner", owner, child, leaf).actions == ()
    (delete,) = look("child", owner, child, leaf).actions
    assert isinstance(delete, Delete)
    assert delete.propagation == "Foreground"
    (delete,) = look("child", owner, child).actions
    assert isinstance(delete, Delete)
    assert delete.propagation == "Background"
    (patch,) = look("owner", owner).actions
    assert isinstance(patch, Patch)
    assert patch.patch == {"metadata": {"resourceVersion": "7", "finalizers": None}}
    (patch,) = look("owner", owner, obj("child", "owner", block=False)).actions
    assert isinstance(patch, Patch)


def test_orphaning_frees_the_dependents_first() -> None:
    freed, patch = look("owner", obj("owner", finalizers=["orphan"], deleting=True), obj("child", "owner")).actions
    assert isinstance(freed, Batch)
    assert isinstance(freed.requests[0], Patch)
    assert isinstance(freed.requests[0].patch, dict)
    assert freed.requests[0].patch["metadata"]["ownerReferences"] is None
    assert isinstance(patch, Patch)


def test_a_circle_that_waits_for_itself_is_broken() -> None:
    waiting = {"finalizers": ["foregroundDeletion"], "deleting": True}
    unblock, delete = look("b", obj("a", "b", **waiting), obj("b", "a")).actions
    assert isinstance(unblock, Patch)
    assert isinstance(unblock.patch, dict)
    assert [r["blockOwnerDeletion"] for r in unblock.patch["metadata"]["ownerReferences"]] == [False]
    assert isinstance(delete, Delete)
    assert delete.resource_version == ""


def test_an_owner_of_a_kind_that_nobody_serves_keeps_the_object() -> None:
    child = obj("child", "x")
    child["metadata"]["ownerReferences"][0]["kind"] = "Unheard"
    assert look("child", child).actions == (RequeueAfter(30.0),)


def test_a_cluster_scoped_object_cannot_have_an_owner_in_a_namespace() -> None:
    node = obj("n", "owner", kind="Node")
    del node["metadata"]["namespace"]
    plan = GarbageCollector().reconcile(ObjectSnapshot([node]), ("v1", "Node", "", "n"), NOW)
    (event,) = plan.actions
    assert isinstance(event, Event)
    assert event.reason == "OwnerRefInvalidNamespace"


def test_an_object_on_its_way_out_waits_for_its_own_end() -> None:
    assert look("child", obj("child", "gone", deleting=True, finalizers=["example.com/hold"])).actions == ()


def test_an_owner_that_waits_hears_of_a_dependent_that_stays_with_another() -> None:
    going, staying = obj("going", finalizers=("foregroundDeletion",), deleting=True), obj("staying")
    before, after = obj("child", "going", "staying"), obj("child", "staying")
    snapshot, collector = ObjectSnapshot([going, staying, after]), GarbageCollector()
    assert ("v1", "ConfigMap", "ns", "going") in list(collector.keys(before, snapshot))
    assert list(collector.keys(after, snapshot)) == [("v1", "ConfigMap", "ns", "child")]
