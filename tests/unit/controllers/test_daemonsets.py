from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.times import format_time
from kubetree.controllers.daemonsets.daemons import Daemons
from kubetree.controllers.daemonsets.nodes import should_run, target_of, template_for
from kubetree.controllers.revisions import HASH
from world import World

DS, POD, NODE, REVISION = kind("apps/v1", "DaemonSet"), kind("v1", "Pod"), kind("v1", "Node"), kind("apps/v1", "ControllerRevision")


def node(name: str, *, taints: Any = (), **marked: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "namespace": "", "labels": marked},
        "spec": {"taints": list(taints)},
    }


def daemon_set(image: str = "one", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    made = {"selector": {"matchLabels": {"app": "agent"}}, "template": template, "updateStrategy": rolling, **spec}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": made, "status": {}}


class Fleet(World):
    """Nodes, a DaemonSet, and pods that go where their affinity says."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(*objects)
        self.daemons = Daemons()

    def step(self) -> None:
        self.settle(self.daemons.reconcile, DS)

    def bind(self, limit: int | None = None) -> None:
        """Pods that wait are bound and ready; deleted ones go."""
        self.objects = [o for o in self.objects if not (o["kind"] == "Pod" and "deletionTimestamp" in o["metadata"])]
        for pod in [p for p in self.list(POD) if not p["spec"].get("nodeName")][:limit]:
            pod["spec"]["nodeName"] = target_of(pod)
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(self.now)}
            pod["status"] = {"phase": "Running", "conditions": [ready]}

    def roll_out(self) -> None:
        for _ in range(40):
            self.step()
            before = len(self.events)
            self.bind()
            self.step()
            if len(self.events) == before and all(p["spec"].get("nodeName") for p in self.list(POD)):
                return
        raise AssertionError("does not end")

    @property
    def agent(self) -> dict[str, Any]:
        return self.get(DS, "agent")

    def where(self) -> dict[str, list[str]]:
        """Images of the pods on each node."""
        found: dict[str, list[str]] = {}
        for pod in self.list(POD):
            if "deletionTimestamp" not in pod["metadata"]:
                found.setdefault(target_of(pod), []).append(pod["spec"]["containers"][0]["image"])
        return found

    def set_image(self, image: str) -> None:
        template = self.agent["spec"]["template"]
        self.agent["spec"]["template"] = {**template, "spec": {"containers": [{"name": "c", "image": image}]}}
        self.agent["metadata"]["generation"] += 1


def test_one_pod_on_every_node_and_a_status_that_counts_them() -> None:
    fleet = Fleet(node("a"), node("b"), daemon_set())
    fleet.roll_out()
    assert fleet.where() == {"a": ["one"], "b": ["one"]}
    status = fleet.agent["status"]
    assert {k: v for k, v in status.items() if v} == {
        "currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberReady": 2, "observedGeneration": 1,
        "updatedNumberScheduled": 2, "numberAvailable": 2,
    }  # fmt: skip
    fleet.add(node("c"))
    fleet.roll_out()
    assert set(fleet.where()) == {"a", "b", "c"}


def test_nodes_that_do_not_fit_get_none_and_lose_theirs() -> None:
    fleet = Fleet(node("a", disk="ssd"), node("b"), daemon_set())
    fleet.agent["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    fleet.roll_out()
    assert set(fleet.where()) == {"a"}
    fleet.get(NODE, "a", "")["metadata"]["labels"] = {}
    fleet.step()
    assert fleet.where() == {}


@pytest.mark.parametrize(
    ("taint", "runs", "stays"),
    [
        ({"key": "k", "effect": "NoSchedule"}, False, True),
        ({"key": "k", "effect": "NoExecute"}, False, False),
        ({"key": "k", "effect": "PreferNoSchedule"}, True, True),
        ({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}, True, True),
        ({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, True, True),
        ({"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}, False, True),
    ],
)
def test_taints(taint: dict[str, str], runs: bool, stays: bool) -> None:
    assert should_run(daemon_set(), node("a", taints=[taint])) == (runs, stays)


def test_the_pod_of_a_node_is_tied_to_it() -> None:
    template = template_for(daemon_set(), "a", "hash")
    assert target_of(template) == "a"
    assert template["metadata"]["labels"] == {"app": "agent", HASH: "hash"}
    assert {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"} in template["spec"]["tolerations"]


@pytest.mark.parametrize(("surge", "unavailable"), [(0, 1), (0, 2), (1, 0), ("50%", 0)])
def test_a_rolling_update_keeps_its_promises(surge: int | str, unavailable: int) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}
    fleet = Fleet(*(node(name) for name in "abcd"), daemon_set(updateStrategy=rolling))
    fleet.roll_out()
    fleet.pass_time(5)
    fleet.set_image("two")
    for _ in range(30):
        fleet.step()
        standing = [p for p in fleet.list(POD) if "deletionTimestamp" not in p["metadata"]]
        ready = {target_of(p) for p in standing if p.get("status")}
        assert len(ready) >= 4 - unavailable
        assert len(standing) <= 4 + (2 if surge == "50%" else int(surge))
        if fleet.where() == {name: ["two"] for name in "abcd"} and len(ready) == 4:
            break
        fleet.bind(limit=1)
    assert fleet.where() == {name: ["two"] for name in "abcd"}
    assert sorted(r["revision"] for r in fleet.list(REVISION)) == [1, 2]


def test_going_back_raises_the_old_revision() -> None:
    fleet = Fleet(node("a"), daemon_set())
    for image in ("one", "two", "one"):
        fleet.pass_time(5)
        fleet.set_image(image)
        fleet.roll_out()
    assert sorted(r["revision"] for r in fleet.list(REVISION)) == [2, 3]


def test_on_delete_waits_for_somebody_to_delete_the_old_pods() -> None:
    fleet = Fleet(node("a"), daemon_set(updateStrategy={"type": "OnDelete"}))
    fleet.roll_out()
    fleet.set_image("two")
    fleet.roll_out()
    assert fleet.where() == {"a": ["one"]}
    fleet.objects = [o for o in fleet.objects if o["kind"] != "Pod"]
    fleet.roll_out()
    assert fleet.where() == {"a": ["two"]}


def test_failed_pods_are_replaced_with_a_back_off() -> None:
    fleet = Fleet(node("a"), daemon_set())
    fleet.roll_out()
    for wait in (0.0, 1.0, 2.0):
        fleet.list(POD)[0]["status"] = {"phase": "Failed"}
        if wait:
            fleet.follow(fleet.daemons.reconcile(fleet.snapshot, ("default", "agent"), fleet.now))
            assert fleet.requeues[-1] == wait
            fleet.pass_time(wait)
        fleet.roll_out()
        assert fleet.list(POD)[0]["status"]["phase"] == "Running"
    assert sum(e.startswith("FailedDaemonPod: Found failed daemon pod default/agent-") for e in fleet.events) == 3


def test_old_revisions_beyond_the_limit_go() -> None:
    fleet = Fleet(node("a"), daemon_set(revisionHistoryLimit=1))
    for image in ("one", "two", "three", "four"):
        fleet.pass_time(5)
        fleet.set_image(image)
        fleet.roll_out()
    assert len(fleet.list(REVISION)) == 2


def test_pods_for_nodes_that_are_gone_before_they_were_scheduled_go() -> None:
    fleet = Fleet(node("a"), daemon_set())
    fleet.step()
    fleet.objects = [o for o in fleet.objects if o["kind"] != "Node"]
    fleet.step()
    assert fleet.where() == {}
