from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.controllers import replicasets
from kubetree.controllers.deployments import rollout, sizes
from kubetree.controllers.deployments.replica_sets import REVISION, REVISION_HISTORY, new_annotations
from kubetree.controllers.plan import Create
from world import World

DEPLOYMENT, RS, POD = kind("apps/v1", "Deployment"), kind("apps/v1", "ReplicaSet"), kind("v1", "Pod")


def deployment(count: int = 3, image: str = "one", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {"note": "n"}},
        "spec": {
            "replicas": count,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
        "status": {},
    }


class Cluster(World):
    def step(self) -> None:
        """Both controllers run until nothing changes; no pod moves."""
        for _ in range(100):
            before = [o["metadata"]["resourceVersion"] for o in self.objects], len(self.objects)
            for reconcile, row in ((rollout.reconcile, DEPLOYMENT), (replicasets.reconcile, RS)):
                for obj in self.list(row):
                    self.follow(reconcile(self.snapshot, ("default", obj["metadata"]["name"]), self.now))
            if before == ([o["metadata"]["resourceVersion"] for o in self.objects], len(self.objects)):
                return
        raise AssertionError("does not settle")

    def roll_out(self) -> None:
        """Pods become ready until the rollout is over."""
        for _ in range(60):
            self.step()
            if all(p.get("status") for p in self.list(POD)) and not any("deletionTimestamp" in p["metadata"] for p in self.list(POD)):
                return
            self.make_ready()
        raise AssertionError("the rollout does not end")

    @property
    def web(self) -> dict[str, Any]:
        return self.get(DEPLOYMENT, "web")

    def change(self, **spec: Any) -> None:
        self.web["spec"].update(spec)
        self.web["metadata"]["generation"] += 1

    def set_image(self, image: str) -> None:
        template = self.web["spec"]["template"]
        self.change(template={**template, "spec": {"containers": [{"name": "c", "image": image}]}})

    def condition(self, type_: str) -> dict[str, Any]:
        return next(c for c in self.web["status"]["conditions"] if c["type"] == type_)

    def sizes(self) -> dict[str, int]:
        """Replicas by image."""
        return {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"] for rs in self.list(RS)}


def test_a_new_deployment_comes_up() -> None:
    cluster = Cluster(deployment(3))
    cluster.step()
    rs = cluster.list(RS)[0]
    digest = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{digest}"
    assert set(digest) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert rs["metadata"]["annotations"] == {
        "note": "n",
        "deployment.kubernetes.io/revision": "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert cluster.events[0] == f"ScalingReplicaSet: Scaled up replica set web-{digest} from 0 to 3"
    assert cluster.condition("Progressing")["reason"] in ("NewReplicaSetCreated", "ReplicaSetUpdated")
    assert cluster.condition("Available")["reason"] == "MinimumReplicasUnavailable"
    cluster.roll_out()
    assert cluster.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
    assert cluster.condition("Progressing")["message"] == f'ReplicaSet "web-{digest}" has successfully progressed.'
    assert cluster.condition("Available")["message"] == "Deployment has minimum availability."
    assert cluster.web["metadata"]["annotations"][REVISION] == "1"
    status = {k: v for k, v in cluster.web["status"].items() if k != "conditions"}
    assert status == {
        "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "terminatingReplicas": 0,
    }  # fmt: skip


def test_an_update_rolls_and_counts_revisions() -> None:
    cluster = Cluster(deployment(4))
    cluster.roll_out()
    cluster.pass_time(10)
    cluster.set_image("two")
    cluster.roll_out()
    assert cluster.sizes() == {"one": 0, "two": 4}
    assert cluster.web["metadata"]["annotations"][REVISION] == "2"


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 12),
    surge=st.one_of(st.integers(0, 5), st.sampled_from(["0%", "10%", "25%", "100%"])),
    unavailable=st.one_of(st.integers(0, 5), st.sampled_from(["0%", "10%", "25%", "100%"])),
    at_a_time=st.integers(1, 3),
)
def test_a_rolling_update_keeps_its_promises(count: int, surge: int | str, unavailable: int | str, at_a_time: int) -> None:
    spec = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    cluster = Cluster(deployment(count, strategy=spec))
    cluster.roll_out()
    cluster.pass_time(10)
    cluster.set_image("two")
    most = count + sizes.max_surge(cluster.web)
    least = count - sizes.max_unavailable(cluster.web)
    for _ in range(80):
        cluster.step()
        standing = [p for p in cluster.list(POD) if "deletionTimestamp" not in p["metadata"]]
        assert len(standing) <= most
        assert sum(bool(p.get("status")) for p in standing) >= least
        if cluster.sizes() == {"one": 0, "two": count} and all(p.get("status") for p in standing):
            return
        cluster.make_ready(limit=at_a_time)
    raise AssertionError(f"stuck at {cluster.sizes()}")


def test_going_back_revives_the_old_replica_set_as_a_new_revision() -> None:
    cluster = Cluster(deployment(2))
    cluster.roll_out()
    cluster.pass_time(10)
    cluster.set_image("two")
    cluster.roll_out()
    cluster.set_image("one")
    cluster.roll_out()
    assert cluster.sizes() == {"one": 2, "two": 0}
    revived = next(rs for rs in cluster.list(RS) if rs["spec"]["replicas"])
    assert revived["metadata"]["annotations"][REVISION] == "3"
    assert revived["metadata"]["annotations"][REVISION_HISTORY] == "1"


def test_recreate_ends_all_old_pods_before_the_first_new() -> None:
    cluster = Cluster(deployment(2, strategy={"type": "Recreate"}))
    cluster.roll_out()
    cluster.pass_time(10)
    cluster.set_image("two")
    cluster.step()
    assert cluster.sizes() == {"one": 0}
    cluster.roll_out()
    assert cluster.sizes() == {"one": 0, "two": 2}


def test_scaling_in_the_middle_of_a_rollout_is_shared_out() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    cluster = Cluster(deployment(10, strategy=rolling))
    cluster.roll_out()
    cluster.pass_time(10)
    cluster.set_image("two")
    cluster.step()
    assert cluster.sizes() == {"one": 8, "two": 5}
    cluster.change(replicas=15)
    cluster.step()
    assert cluster.sizes() == {"one": 11, "two": 7}


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    cluster = Cluster(deployment(2))
    cluster.roll_out()
    cluster.change(paused=True, replicas=4)
    cluster.set_image("two")
    cluster.step()
    assert cluster.sizes() == {"one": 4}
    assert cluster.condition("Progressing")["reason"] == "DeploymentPaused"
    cluster.change(paused=False)
    cluster.step()
    assert "two" in cluster.sizes()


def test_old_replica_sets_beyond_the_limit_go() -> None:
    cluster = Cluster(deployment(1, revisionHistoryLimit=1))
    for image in ("one", "two", "three"):
        cluster.pass_time(10)
        cluster.set_image(image)
        cluster.roll_out()
    assert set(cluster.sizes()) == {"two", "three"}


def test_no_progress_until_the_deadline_is_a_failure() -> None:
    cluster = Cluster(deployment(1))
    cluster.step()
    assert 595 < cluster.requeues[-1] <= 601
    cluster.pass_time(601)
    cluster.step()
    assert cluster.condition("Progressing") | {"lastUpdateTime": "", "lastTransitionTime": ""} == {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": f'ReplicaSet "{cluster.list(RS)[0]["metadata"]["name"]}" has timed out progressing.',
        "lastUpdateTime": "",
        "lastTransitionTime": "",
    }


def test_a_taken_name_raises_the_collision_count() -> None:
    cluster = Cluster(deployment(1))
    cluster.step()
    name = cluster.list(RS)[0]["metadata"]["name"]
    other = Cluster(deployment(1))
    other.add({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": {"replicas": 0, "template": {}}})
    other.follow(rollout.reconcile(other.snapshot, ("default", "web"), other.now))
    assert other.web["status"]["collisionCount"] == 1
    other.step()
    assert len(other.list(RS)) == 2


def test_a_refused_replica_set_shows_in_the_condition() -> None:
    cluster = Cluster(deployment(1))
    cluster.fails = lambda action: errors.Forbidden("no") if isinstance(action, Create) else None
    assert cluster.follow(rollout.reconcile(cluster.snapshot, ("default", "web"), cluster.now))
    assert cluster.condition("Progressing")["reason"] == "ReplicaSetCreateError"
    assert cluster.events[0].startswith('ReplicaSetCreateError: Failed to create new replica set "web-')


def test_a_failure_of_the_replica_set_is_passed_up() -> None:
    cluster = Cluster(deployment(1))
    cluster.fails = lambda action: errors.Forbidden("quota") if isinstance(action, Create) and action.kind == POD else None
    cluster.step()
    assert cluster.condition("ReplicaFailure")["message"] == "quota"


@pytest.mark.parametrize(
    ("current", "made"),
    [({}, {REVISION: "3"}), ({REVISION: "1"}, {REVISION: "3", REVISION_HISTORY: "1"}), ({REVISION: "5"}, {REVISION: "5"}),
     ({REVISION: "2", REVISION_HISTORY: "1"}, {REVISION: "3", REVISION_HISTORY: "1,2"})],
)  # fmt: skip
def test_revision_history(current: dict[str, str], made: dict[str, str]) -> None:
    assert new_annotations({"metadata": {}}, current, 3) == made
