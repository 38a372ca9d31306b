"""In-place resizes: what is allocated, and what is left to do for it."""

from __future__ import annotations

from typing import Any

from kubetree.kubelet import resize
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, State

Object = dict[str, Any]
ALLOCATABLE = {"cpu": "2", "memory": "1Gi", "pods": "10"}


def needs(cpu: str, memory: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def pod(*all_needs: Object, policy: list[Object] | None = None) -> Object:
    containers = [{"name": f"c{i}", "image": "i", "resources": n, "resizePolicy": policy or []} for i, n in enumerate(all_needs)]
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 2}, "spec": {"containers": containers}}


def running(*names: str) -> PodRuntime:
    return PodRuntime(containers=tuple(ContainerRecord(f"{name}-id", name, State.RUNNING) for name in names))


def test_room() -> None:
    assert resize.refusal(pod(needs("1", "100Mi")), [], ALLOCATABLE) is None
    too_much = resize.refusal(pod(needs("3", "100Mi")), [], ALLOCATABLE)
    assert too_much == resize.Refusal("Infeasible", "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000")
    later = resize.refusal(pod(needs("1500m", "100Mi")), [pod(needs("1", "1Mi"))], ALLOCATABLE)
    assert later == resize.Refusal("Deferred", "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000")


def test_the_allocated_pod_keeps_its_old_resources() -> None:
    new = pod(needs("2", "2Mi"))
    held = resize.with_allocation(new, {"c0": needs("1", "1Mi")})
    assert held["spec"]["containers"][0]["resources"] == needs("1", "1Mi") and new["spec"]["containers"][0]["resources"] == needs(
        "2", "2Mi"
    )
    assert resize.with_allocation(new, resize.wanted(new)) is new


def test_updates_are_told_to_the_runtime() -> None:
    plan = resize.plan(pod(needs("500m", "64Mi")), running("c0"), {"c0-id": needs("250m", "32Mi")})
    (update,) = plan.updates
    assert update.id == "c0-id" and not plan.restarts
    assert update.linux == {"cpu_shares": 512, "cpu_period": 100_000, "cpu_quota": 50_000, "memory_limit_in_bytes": 64 << 20}


def test_a_limit_that_went_is_minus_one_and_one_that_never_was_is_nothing() -> None:
    plan = resize.plan(pod({"requests": {"cpu": "100m"}}), running("c0"), {"c0-id": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}}})
    assert plan.updates[0].linux["cpu_quota"] == -1 and plan.updates[0].linux["memory_limit_in_bytes"] == 0


def test_equal_figures_need_nothing() -> None:
    plan = resize.plan(pod(needs("1", "1024Ki")), running("c0"), {"c0-id": needs("1000m", "1Mi")})
    assert plan == resize.ResizePlan(settled=("c0-id",))
    tiny = {"requests": {"cpu": "1m"}}, {"requests": {"cpu": "2m"}}
    assert resize.plan(pod(tiny[0]), running("c0"), {"c0-id": tiny[1]}).settled == ("c0-id",)


def test_a_policy_may_ask_for_a_restart() -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}, {"resourceName": "cpu", "restartPolicy": "NotRequired"}]
    had = {"c0-id": needs("1", "32Mi")}
    assert resize.plan(pod(needs("2", "32Mi"), policy=policy), running("c0"), had).updates
    (kill,) = resize.plan(pod(needs("1", "64Mi"), policy=policy), running("c0"), had).restarts
    assert kill.message == "Container c0 resize requires restart"


def test_containers_that_do_not_run_wait_for_their_start() -> None:
    assert resize.plan(pod(needs("2", "2Mi")), PodRuntime(), {"c0-id": needs("1", "1Mi")}) == resize.ResizePlan()


def test_an_earlier_kubelets_allocation_is_read_from_the_status() -> None:
    given = pod(needs("2", "2Mi"))
    shown = {"name": "c0", "state": {"running": {}}, "resources": needs("1", "1Mi"), "allocatedResources": {"cpu": "1", "memory": "1Mi"}}
    given["status"] = {"containerStatuses": [shown]}
    assert resize.remembered(given) == {"c0": needs("1", "1Mi")}
