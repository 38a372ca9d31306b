from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.times import format_time
from kubetree.controllers.statefulsets import replicas, retention
from kubetree.controllers.statefulsets.identity import POD_NAME, ordinal_of
from world import World

SET, POD, REVISION = kind("apps/v1", "StatefulSet"), kind("v1", "Pod"), kind("apps/v1", "ControllerRevision")
CLAIM = kind("v1", "PersistentVolumeClaim")


def stateful_set(count: int = 3, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    made = {"replicas": count, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "status": {},
        "spec": {**made, "podManagementPolicy": "OrderedReady", "updateStrategy": rolling, **spec},
    }  # fmt: skip


class Rack(World):
    """A StatefulSet and pods that become ready when a test says."""

    def step(self) -> Rack:
        for pod in self.list(POD):
            pod.setdefault("status", {"phase": "Pending"})
        self.settle(replicas.reconcile, SET)
        return self

    def ready(self, limit: int | None = None) -> Rack:
        self.objects = [o for o in self.objects if not (o["kind"] == "Pod" and "deletionTimestamp" in o["metadata"])]
        waiting = [p for p in self.list(POD) if not (p.get("status") or {}).get("conditions")]
        for pod in waiting[:limit]:
            condition = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(self.now)}
            pod["status"] = {"phase": "Running", "conditions": [condition]}
        return self.step()

    def all_ready(self) -> Rack:
        self.step()
        for _ in range(40):
            before = self.pods(), len(self.events)
            self.ready()
            if (self.pods(), len(self.events)) == before:
                return self
        raise AssertionError("does not end")

    def pods(self) -> dict[str, str]:
        """Images by name of the pods that stay."""
        staying = [p for p in self.list(POD) if "deletionTimestamp" not in p["metadata"]]
        return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in staying}

    @property
    def db(self) -> dict[str, Any]:
        return self.get(SET, "db")

    def change(self, **spec: Any) -> None:
        self.db["spec"].update(spec)
        self.db["metadata"]["generation"] += 1

    def set_image(self, image: str) -> None:
        template = self.db["spec"]["template"]
        self.change(template={**template, "spec": {"containers": [{"name": "c", "image": image}]}})


def test_pods_come_one_after_the_other_with_names_that_last() -> None:
    rack = Rack(stateful_set(3)).step()
    assert list(rack.pods()) == ["db-0"]
    rack.step()
    assert list(rack.pods()) == ["db-0"]
    rack.all_ready()
    assert list(rack.pods()) == ["db-0", "db-1", "db-2"]
    pod = rack.get(POD, "db-1")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    assert pod["metadata"]["labels"][POD_NAME] == "db-1"
    status = rack.db["status"]
    assert {
        k: status[k] for k in ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
    } == dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"), 3)
    assert status["currentRevision"] == status["updateRevision"] == rack.list(REVISION)[0]["metadata"]["name"]
    assert "SuccessfulCreate: Create Pod db-1 in StatefulSet db successful" in rack.events


def test_all_at_once_when_told_so() -> None:
    assert list(Rack(stateful_set(3, podManagementPolicy="Parallel")).step().pods()) == ["db-0", "db-1", "db-2"]


def test_the_last_goes_first_and_only_when_all_are_well() -> None:
    rack = Rack(stateful_set(3)).all_ready()
    rack.get(POD, "db-0")["status"] = {"phase": "Running"}
    rack.change(replicas=1)
    rack.step()
    assert len(rack.pods()) == 3
    rack.ready()
    assert list(rack.pods()) == ["db-0", "db-1"]
    rack.all_ready()
    assert list(rack.pods()) == ["db-0"]
    assert "SuccessfulDelete: Delete Pod db-2 in StatefulSet db successful" in rack.events


def test_an_update_goes_from_the_last_to_the_first_one_at_a_time() -> None:
    rack = Rack(stateful_set(3)).all_ready()
    rack.set_image("two")
    seen = []
    for _ in range(12):
        rack.step()
        seen.append(dict(rack.pods()))
        missing = 3 - sum(
            1 for p in rack.list(POD) if (p.get("status") or {}).get("conditions") and "deletionTimestamp" not in p["metadata"]
        )
        assert missing <= 1
        rack.ready()
    assert {"db-0": "one", "db-1": "one", "db-2": "two"} in seen or {"db-0": "one", "db-2": "two"} in seen
    assert set(rack.pods().values()) == {"two"}
    assert rack.db["status"]["currentRevision"] == rack.db["status"]["updateRevision"]


def test_a_partition_keeps_the_lower_ordinals_as_they_were() -> None:
    rack = Rack(stateful_set(3)).all_ready()
    rack.change(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    rack.set_image("two")
    rack.all_ready()
    assert rack.pods() == {"db-0": "one", "db-1": "one", "db-2": "two"}
    rack.objects = [o for o in rack.objects if o["metadata"]["name"] != "db-1"]
    rack.all_ready()
    assert rack.pods()["db-1"] == "one"
    assert rack.db["status"]["currentRevision"] != rack.db["status"]["updateRevision"]


def test_on_delete_waits_for_somebody_to_delete_the_old_pods() -> None:
    rack = Rack(stateful_set(2, updateStrategy={"type": "OnDelete"})).all_ready()
    rack.set_image("two")
    rack.all_ready()
    assert set(rack.pods().values()) == {"one"}
    rack.objects = [o for o in rack.objects if o["metadata"]["name"] != "db-1"]
    rack.all_ready()
    assert rack.pods() == {"db-0": "one", "db-1": "two"}


def test_a_finished_pod_is_replaced() -> None:
    rack = Rack(stateful_set(1)).all_ready()
    rack.get(POD, "db-0")["status"] = {"phase": "Failed"}
    rack.step()
    assert rack.pods() == {}
    rack.all_ready()
    assert list(rack.pods()) == ["db-0"]


def test_ordinals_may_start_elsewhere_and_strangers_are_not_adopted() -> None:
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "other", "labels": {"app": "db"}},
        "spec": {"containers": [{"image": "x"}]},
    }
    rack = Rack(stateful_set(2, ordinals={"start": 5}), stranger).all_ready()
    assert sorted(rack.pods()) == ["db-5", "db-6", "other"]
    assert "ownerReferences" not in rack.get(POD, "other")["metadata"]


def test_every_pod_has_its_own_claims_and_they_stay() -> None:
    templates = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    rack = Rack(stateful_set(2, volumeClaimTemplates=templates)).all_ready()
    assert [c["metadata"]["name"] for c in rack.list(CLAIM)] == ["data-db-0", "data-db-1"]
    assert rack.list(CLAIM)[0]["metadata"]["labels"] == {"app": "db"}
    assert rack.get(POD, "db-1")["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}]
    assert "SuccessfulCreate: Create Claim data-db-0 Pod db-0 in StatefulSet db success" in rack.events
    rack.change(replicas=0)
    rack.all_ready()
    assert len(rack.list(CLAIM)) == 2


@pytest.mark.parametrize(
    ("deleted", "scaled", "count", "owner"),
    [("Retain", "Retain", 2, None), ("Delete", "Retain", 2, "StatefulSet"), ("Delete", "Delete", 2, "StatefulSet"),
     ("Delete", "Delete", 1, "Pod"), ("Retain", "Delete", 2, None), ("Retain", "Delete", 1, "Pod")],
)  # fmt: skip
def test_whose_a_claim_is(deleted: str, scaled: str, count: int, owner: str | None) -> None:
    policy = {"whenDeleted": deleted, "whenScaled": scaled}
    owning = stateful_set(count, persistentVolumeClaimRetentionPolicy=policy)
    owning["metadata"]["uid"] = "s"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-1", "uid": "p"}}
    wanted = retention.owners({"metadata": {"name": "data-db-1"}}, owning, pod)
    assert [r["kind"] for r in wanted] == ([owner] if owner else [])
    stranger = {"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "t", "controller": True}
    assert retention.owners({"metadata": {"ownerReferences": [stranger]}}, owning, pod)[0] == stranger


def test_old_revisions_beyond_the_limit_go() -> None:
    rack = Rack(stateful_set(1, revisionHistoryLimit=1))
    for image in ("one", "two", "three", "four"):
        rack.set_image(image)
        rack.all_ready()
    assert len(rack.list(REVISION)) == 2


def test_ordinals_of_names() -> None:
    assert [ordinal_of({"metadata": {"name": name}}) for name in ("db-0", "db-12", "db", "db-x")] == [0, 12, -1, -1]
