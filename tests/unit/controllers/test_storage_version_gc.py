"""Entries of API servers that are gone leave StorageVersion objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubetree.api.errors import ServiceUnavailable
from kubetree.api.storage_versions import server_entry, with_entries
from kubetree.controllers.plan import NOTHING, Batch, Delete, Outcome, Plan, Read, Update
from kubetree.controllers.snapshot import ObjectSnapshot
from kubetree.controllers.storage_version_gc import LEASE, STORAGE_VERSION, reconcile, those_of_the_server

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("", "core.pods")


def lease(name: str, **labels: str) -> Object:
    metadata = {"name": name, "namespace": "kube-system", "labels": labels or {"apiserver.kubernetes.io/identity": "kube-apiserver"}}
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}


def storage_version(*servers: str) -> Object:
    obj = {"apiVersion": STORAGE_VERSION.api_version, "kind": STORAGE_VERSION.kind, "metadata": {"name": KEY[1]}, "spec": {}}
    return with_entries(obj, [server_entry(server, "v1", ["v1"], ["v1"]) for server in servers], "2026-01-01T00:00:00Z")


def after(plan: Plan, *leases: Object | None) -> Plan:
    assert plan.then is not None
    return plan.then(Outcome(leases))


def test_while_all_live_nothing_is_done() -> None:
    assert reconcile(ObjectSnapshot([storage_version("a", "b"), lease("a"), lease("b")]), KEY, NOW) == NOTHING
    assert reconcile(ObjectSnapshot([]), KEY, NOW) == NOTHING


def test_the_dead_are_asked_for_before_they_are_buried() -> None:
    obj = storage_version("a", "b")
    plan = reconcile(ObjectSnapshot([obj, lease("a")]), KEY, NOW)
    assert plan.actions == (Batch((Read(LEASE, "kube-system", "b"),)),)
    assert after(plan, lease("b")) == NOTHING
    (update,) = after(plan, None).actions
    assert isinstance(update, Update) and update.subresource == "status"
    assert update.obj["status"] == storage_version("a")["status"]
    assert plan.then is not None and plan.then(Outcome((None,), (ServiceUnavailable("x"),))) == NOTHING


def test_the_last_one_takes_the_object_along() -> None:
    plan = reconcile(ObjectSnapshot([storage_version("a")]), KEY, NOW)
    assert after(plan, None).actions == (Delete(STORAGE_VERSION, "", KEY[1]),)


def test_a_lease_of_something_else_is_none() -> None:
    plan = reconcile(ObjectSnapshot([storage_version("a"), lease("a", app="x")]), KEY, NOW)
    assert after(plan, lease("a", app="x")).actions == (Delete(STORAGE_VERSION, "", KEY[1]),)


def test_a_lease_that_is_gone_wakes_what_names_its_server() -> None:
    other = storage_version("b") | {"metadata": {"name": "other"}}
    assert list(those_of_the_server(lease("a"), ObjectSnapshot([storage_version("a", "b"), other]))) == [KEY]
    assert list(those_of_the_server(lease("a"), ObjectSnapshot([storage_version("a"), lease("a")]))) == []
    assert list(those_of_the_server(lease("a", app="x"), ObjectSnapshot([storage_version("a")]))) == []
