"""Duties that are there with feature gates: groups of pods, certificates for pods, migrations between stored versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubetree.api.errors import Forbidden, ServerTimeout
from kubetree.api.kind_table import kind
from kubetree.controllers import pod_group_protection
from kubetree.controllers.certificates import pod_request_cleaning
from kubetree.controllers.options import Options
from kubetree.controllers.plan import NOTHING, Batch, Delete, Discover, Outcome, Patch, Plan, Read, ReadAll, RequeueAfter, Update
from kubetree.controllers.slimming import pod as slimmed
from kubetree.controllers.snapshot import ObjectSnapshot
from kubetree.controllers.storage_version_migration import DEFINITION, MIGRATION, reconcile, those_of_the_resource

Object = dict[str, Any]
NOW = datetime(2026, 5, 1, 1, tzinfo=UTC)
WIDGETS = kind("apps/v1", "Deployment")


def then(plan: Plan, *results: Object | None, errors: tuple[Any, ...] = ()) -> Plan:
    assert plan.then is not None
    return plan.then(Outcome(results, errors))


def group(*, deleting: bool = True) -> Object:
    metadata: Object = {"name": "g", "namespace": "ns", "finalizers": ["a/b", pod_group_protection.FINALIZER]}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"apiVersion": "scheduling.k8s.io/v1alpha2", "kind": "PodGroup", "metadata": metadata, "spec": {}}


def pod(phase: str, of: str = "g") -> Object:
    spec = {"schedulingGroup": {"podGroupName": of}, "containers": []}
    metadata = {"name": "p", "namespace": "ns"}
    return slimmed({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase}})


@pytest.mark.parametrize(
    ("objects", "goes"),
    [
        ((group(),), True),
        ((group(), pod("Running")), False),
        ((group(), pod("Succeeded")), True),
        ((group(), pod("Running", of="other")), True),
        ((group(deleting=False),), False),
        ((), False),
    ],
)
def test_a_group_goes_after_its_pods(objects: tuple[Object, ...], goes: bool) -> None:
    planned = pod_group_protection.reconcile(ObjectSnapshot(objects), ("ns", "g"), NOW)
    if not goes:
        assert planned == NOTHING
        return
    (update,) = planned.actions
    assert isinstance(update, Update) and update.obj["metadata"]["finalizers"] == ["a/b"]
    assert list(pod_group_protection.group_of_pod(pod("Running"), ObjectSnapshot([]))) == [("ns", "g")]


@pytest.mark.parametrize(("age", "goes"), [(14, False), (16, True)])
def test_a_certificate_request_of_a_pod_goes_after_a_while(age: int, goes: bool) -> None:
    row = pod_request_cleaning.REQUEST
    metadata = {"name": "r", "namespace": "ns", "uid": "u", "creationTimestamp": "2026-05-01T01:00:00Z"}
    asked = {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata}
    (action,) = pod_request_cleaning.reconcile(ObjectSnapshot([asked]), ("ns", "r"), NOW + timedelta(minutes=age)).actions
    assert action == (Delete(row, "ns", "r", uid="u") if goes else RequeueAfter(61))


# -- migrations


def migration(
    name: str = "m", *conditions: str, group: str = "apps", revision: str = "", at: str = "2026-05-01T00:59:30Z", status: str = "True"
) -> Object:
    told: Object = {"conditions": [{"type": each, "status": status} for each in conditions]}
    if revision:
        told["resourceVersion"] = revision
    return {
        "apiVersion": MIGRATION.api_version,
        "kind": MIGRATION.kind,
        "metadata": {"name": name, "creationTimestamp": at},
        "spec": {"resource": {"group": group, "resource": "deployments"}},
        "status": told,
    }


def planned(*objects: Object, key: str = "m", now: datetime = NOW) -> Plan:
    return reconcile(ObjectSnapshot(objects), ("", key), now)


def conditions(plan: Plan) -> dict[str, str]:
    update = plan.actions[-1]
    assert isinstance(update, Update) and update.subresource == "status"
    return {each["type"]: each["status"] for each in update.obj["status"]["conditions"]}


def test_one_after_another_of_a_resource() -> None:
    assert planned() == NOTHING
    first, second = migration("a"), migration("m", at="2026-05-01T00:59:40Z")
    assert planned(first, second) == NOTHING
    assert planned(migration("a", "Running"), second) == NOTHING
    ended = migration("a", "Succeeded")
    assert planned(ended, second).actions == (Read(DEFINITION, "", "deployments.apps"),)
    assert planned(migration("m", "Failed")) == NOTHING
    assert set(those_of_the_resource(ended, ObjectSnapshot([second, migration("z", group="x")]))) == {("", "a"), ("", "m")}


def test_it_runs() -> None:
    assert conditions(then(planned(migration()), None)) == {"Running": "True"}
    assert conditions(planned(migration(group=""))) == {"Running": "True"}
    assert then(planned(migration()), errors=(ServerTimeout("x"),)) == NOTHING


DEFINED: Object = {
    "apiVersion": DEFINITION.api_version,
    "kind": DEFINITION.kind,
    "metadata": {"name": "deployments.apps", "resourceVersion": "3", "generation": 2},
    "spec": {"versions": [{"name": "v1", "storage": False}, {"name": "v2", "storage": True}]},
    "status": {"storedVersions": ["v1", "v2"]},
}


def applied(plan: Plan) -> Object:
    patch = plan.actions[0]
    assert isinstance(patch, Patch) and (patch.type, patch.subresource, patch.force) == ("apply", "status", True)
    assert isinstance(patch.patch, dict)
    status: Object = patch.patch["status"]
    return status


def test_a_definition_is_told_of_its_beginning_and_its_end() -> None:
    begun = applied(then(planned(migration()), DEFINED))
    (told,) = begun["conditions"]
    assert (told["type"], told["status"], told["observedGeneration"], told["message"]) == (
        "StorageMigrating",
        "True",
        2,
        "Migration m is running",
    )
    assert "storedVersions" not in begun
    marked = {**DEFINED, "status": DEFINED["status"] | begun}
    finished = then(planned(migration("m", "Running", "Succeeded")), marked)
    assert applied(finished)["storedVersions"] == ["v2"] and conditions(finished) == {"Running": "False", "Succeeded": "True"}
    changed = {**marked, "metadata": marked["metadata"] | {"generation": 3}}
    ended = applied(then(planned(migration("m", "Running", "Succeeded")), changed))
    assert "storedVersions" not in ended and ended["conditions"][0]["message"].endswith("due to a generation mismatch")
    failed = applied(then(planned(migration("m", "Running", "Failed")), marked))
    assert (failed["conditions"][0]["reason"], failed["storedVersions"]) == ("MigrationFailed", ["v2"])


def test_a_resource_may_take_a_while_to_be_found() -> None:
    running = migration("m", "Running")
    looking = planned(running)
    assert looking.actions == (Discover(),)
    assert then(looking, {"kinds": []}).actions == (RequeueAfter(5.0),)
    late = then(planned(running, now=NOW + timedelta(minutes=2)), {"kinds": []})
    assert conditions(late) == {"Running": "True", "Failed": "True"}


def test_objects_from_before_are_written_anew() -> None:
    asked = then(planned(migration("m", "Running")), {"kinds": [WIDGETS]})
    assert asked.actions == (ReadAll(WIDGETS, limit=1),)
    (update,) = then(asked, {"metadata": {"resourceVersion": "9"}, "items": []}).actions
    assert isinstance(update, Update) and update.obj["status"]["resourceVersion"] == "9"
    listing = then(planned(migration("m", "Running", revision="9")), {"kinds": [WIDGETS]})
    items = [{"metadata": {"name": f"d{at}", "namespace": "ns", "uid": f"u{at}", "resourceVersion": at}} for at in ("8", "9", "10")]
    writing = then(listing, {"metadata": {"resourceVersion": "11"}, "items": items})
    (batch,) = writing.actions
    assert isinstance(batch, Batch) and writing.forgive
    patches = [each for each in batch.requests if isinstance(each, Patch)]
    assert [each.name for each in patches] == ["d8", "d9"]
    assert patches[0].patch == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d8", "uid": "u8", "resourceVersion": "8"},
    }
    assert conditions(then(writing, None, None)) == {"Running": "True", "Succeeded": "True"}
    assert then(writing, errors=(ServerTimeout("x"),)).actions == (RequeueAfter(5.0),)
    failed = then(writing, errors=(Forbidden("no"),))
    assert conditions(failed)["Failed"] == "True"


def test_duties_are_there_with_their_gates() -> None:
    from kubetree.controllers.duties import GATED, duties

    plain = {duty.name for duty in duties(Options())}
    everything = {duty.name for duty in duties(Options(features=frozenset().union(*(gates for gates, _ in GATED))))}
    assert {duty.name for _, duty in GATED} == everything - plain
