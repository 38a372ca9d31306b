"""Who must go for a pod that matters more, and what is said when nobody can."""

from typing import Any

from kubetree.scheduler.cycle import Unschedulable, schedule
from kubetree.scheduler.pod_info import pod_info
from kubetree.scheduler.preemption import Nominated, preempt
from kubetree.scheduler.snapshot import Snapshot
from unit.scheduler.test_cycle import PROFILE, Object, node, pod, snapshot


def outcome(wanted: Object, cluster: Snapshot, budgets: list[Object] | None = None) -> tuple[str, list[str]] | str:
    info = pod_info(wanted)
    refused = schedule(info, cluster, PROFILE, lambda n: 0)
    assert isinstance(refused, Unschedulable)
    before = cluster.requested.copy()
    answer = preempt(info, refused, cluster, PROFILE, budgets or [])
    assert (cluster.requested == before).all(), "the snapshot is as it was"
    return (answer.node, sorted(victim.name for victim in answer.victims)) if isinstance(answer, Nominated) else answer


def test_the_least_important_pod_goes_and_no_more_than_needed() -> None:
    cluster = snapshot(
        node("a", cpu="3"),
        placed={"a": [pod("low", cpu="1", priority=1), pod("mid", cpu="1", priority=5), pod("top", cpu="1", priority=100)]},
    )
    assert outcome(pod("p", cpu="1", priority=50), cluster) == ("a", ["low"])
    assert outcome(pod("p", cpu="2", priority=50), cluster) == ("a", ["low", "mid"])


def test_the_node_with_the_least_important_victims_is_taken() -> None:
    cluster = snapshot(
        node("a", cpu="1"), node("b", cpu="1"), placed={"a": [pod("x", cpu="1", priority=5)], "b": [pod("y", cpu="1", priority=1)]}
    )
    assert outcome(pod("p", cpu="1", priority=9), cluster) == ("b", ["y"])


def test_a_budget_is_broken_only_when_nothing_else_helps() -> None:
    def web(name: str, priority: int) -> Object:
        return pod(name, cpu="1", priority=priority, labels={"app": name})

    budget: dict[str, Any] = {
        "metadata": {"namespace": "default", "name": "b"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}},
        "status": {"disruptionsAllowed": 0},
    }
    cluster = snapshot(node("a", cpu="1"), node("b", cpu="1"), placed={"a": [web("x", 1)], "b": [web("y", 5)]})
    assert outcome(pod("p", cpu="1", priority=9), cluster, [budget]) == ("b", ["y"])
    cluster.remove_node("b")
    assert outcome(pod("p", cpu="1", priority=9), cluster, [budget]) == ("a", ["x"])


def test_upstreams_words_when_it_does_not_help() -> None:
    cluster = snapshot(node("a", cpu="1"), node("b", unschedulable=True), placed={"a": [pod("x", cpu="1")]})
    expected = "0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    assert outcome(pod("p", cpu="1"), cluster) == expected
    assert outcome(pod("p", cpu="1", priority=9, preemptionPolicy="Never"), cluster) == "not eligible due to preemptionPolicy=Never."


def test_a_pod_whose_victims_are_still_ending_waits() -> None:
    victim = pod("x", cpu="1")
    victim["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    victim["status"] = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}
    wanted = pod("p", cpu="1", priority=9)
    wanted["status"] = {"nominatedNodeName": "a"}
    cluster = snapshot(node("a", cpu="1"), placed={"a": [victim]})
    assert outcome(wanted, cluster) == "not eligible due to a terminating pod on the nominated node."
