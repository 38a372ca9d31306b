"""What a delete makes of an object."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.apiserver.operations.deletion import mark, mark_namespace
from kubetree.apiserver.wire.options import DeleteOptions

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POD, MAP, JOB = kind("v1", "Pod"), kind("v1", "ConfigMap"), kind("batch/v1", "Job")


def pod(**metadata: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": "p", **metadata},
        "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30},
        "status": {"phase": "Running"},
    }


def test_an_object_without_finalizers_goes_at_once() -> None:
    assert mark(MAP, {"metadata": {"name": "a"}}, DeleteOptions(), NOW) is None


def test_a_bound_pod_is_given_time() -> None:
    new = mark(POD, pod(), DeleteOptions(), NOW)
    assert new is not None
    assert new["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:35Z"
    assert new["metadata"]["deletionGracePeriodSeconds"] == 30


def test_a_grace_period_can_only_be_shortened() -> None:
    going = pod(deletionTimestamp="2026-01-02T03:04:35Z", deletionGracePeriodSeconds=30)
    assert mark(POD, going, DeleteOptions(grace_period=60), NOW) == {}
    shorter = mark(POD, going, DeleteOptions(grace_period=10), NOW)
    assert shorter is not None
    assert shorter["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:15Z"
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 10


def test_a_deadline_is_not_moved_into_the_past() -> None:
    going = pod(deletionTimestamp="2026-01-02T03:04:10Z", deletionGracePeriodSeconds=30)
    shorter = mark(POD, going, DeleteOptions(grace_period=5), NOW)
    assert shorter is not None
    assert shorter["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 1


def test_propagation_policies_are_finalizers() -> None:
    owner: dict[str, Any] = {"metadata": {"name": "a", "generation": 1}}
    foreground = mark(MAP, owner, DeleteOptions(policy="Foreground"), NOW)
    assert foreground is not None
    assert foreground["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert foreground["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    assert foreground["metadata"]["generation"] == 2
    orphan = mark(MAP, owner, DeleteOptions(policy="Orphan"), NOW)
    assert orphan is not None and orphan["metadata"]["finalizers"] == ["orphan"]
    held = {"metadata": {"name": "a", "finalizers": ["x", "orphan"]}}
    background = mark(MAP, held, DeleteOptions(policy="Background"), NOW)
    assert background is not None and background["metadata"]["finalizers"] == ["x"]


def test_jobs_leave_their_pods_unless_told_otherwise() -> None:
    new = mark(JOB, {"metadata": {"name": "j"}}, DeleteOptions(), NOW)
    assert new is not None and new["metadata"]["finalizers"] == ["orphan"]
    assert mark(JOB, {"metadata": {"name": "j"}}, DeleteOptions(policy="Background"), NOW) is None


def test_a_namespace_terminates_first() -> None:
    active = {"kind": "Namespace", "metadata": {"name": "x"}, "spec": {"finalizers": ["kubernetes"]}}
    new = mark_namespace(active, DeleteOptions(), NOW)
    assert new is not None
    assert new["status"]["phase"] == "Terminating"
    assert mark_namespace(new, DeleteOptions(), NOW) == {}
    emptied = {**new, "spec": {}}
    assert mark_namespace(emptied, DeleteOptions(), NOW) is None
