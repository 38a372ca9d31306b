"""From requests and limits to what the kernel is told."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.kubelet import resources

Object = dict[str, Any]


def pod(*all_resources: Object, init: tuple[Object, ...] = (), **spec: Any) -> Object:
    containers = [{"name": f"c{i}", "resources": r} for i, r in enumerate(all_resources)]
    return {"metadata": {"uid": "u"}, "spec": {"containers": containers, "initContainers": list(init), **spec}}


FULL = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("given", "qos", "cgroup"),
    [
        (pod({}), "BestEffort", "/kubepods/besteffort/podu"),
        (pod(FULL), "Guaranteed", "/kubepods/podu"),
        (pod({"limits": FULL["limits"]}), "Guaranteed", "/kubepods/podu"),
        (pod(FULL, {}), "Burstable", "/kubepods/burstable/podu"),
        (pod({"requests": {"cpu": "1"}}), "Burstable", "/kubepods/burstable/podu"),
        (pod({"requests": {"example.com/x": "1"}}), "BestEffort", "/kubepods/besteffort/podu"),
    ],
)
def test_quality_of_service(given: Object, qos: str, cgroup: str) -> None:
    assert resources.qos_class(given) == qos
    assert resources.pod_cgroup("/", given) == cgroup
    assert resources.pod_cgroup("/own", given) == f"/own{cgroup}"


def test_totals_count_sidecars_with_main_and_init_alone() -> None:
    side = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}
    big = {"name": "i", "resources": {"requests": {"cpu": "2"}}}
    given = pod({"requests": {"cpu": "500m"}}, init=(side, big), overhead={"cpu": "10m"})
    assert resources.pod_total(given, "requests", "cpu").milli() == 2110
    given["spec"]["initContainers"] = [side]
    assert resources.pod_total(given, "requests", "cpu").milli() == 610


@pytest.mark.parametrize(("milli", "shares"), [(0, 2), (1, 2), (10, 10), (1000, 1024), (10**9, 262144)])
def test_shares(milli: int, shares: int) -> None:
    assert resources.cpu_shares(milli) == shares


@pytest.mark.parametrize(("milli", "quota"), [(0, 0), (1, 1000), (500, 50_000), (2000, 200_000)])
def test_quota(milli: int, quota: int) -> None:
    assert resources.cpu_quota(milli) == quota


def test_a_pod_is_limited_only_when_every_container_is() -> None:
    assert resources.pod_limits(pod(FULL, FULL)) == resources.CgroupLimits(2048, 200_000, 2 << 30)
    assert resources.pod_limits(pod(FULL, {})) == resources.CgroupLimits(1024)
    assert resources.pod_limits(pod({})) == resources.CgroupLimits(2)


@pytest.mark.parametrize(
    ("given", "score"),
    [
        (pod({}), 1000),
        (pod(FULL), -997),
        (pod({"requests": {"memory": "1Gi"}}), 750),
        (pod({"requests": {"memory": "4Gi"}}), 3),
        (pod({"requests": {"cpu": "1"}}), 999),
    ],
)
def test_oom_scores(given: Object, score: int) -> None:
    assert resources.oom_score_adj(given, given["spec"]["containers"][0], 4 << 30) == score
    assert (
        resources.oom_score_adj({**given, "spec": {**given["spec"], "priority": 2_000_001_000}}, given["spec"]["containers"][0], 1) == -997
    )


def test_container_resources() -> None:
    given = pod({"limits": {"cpu": "250m", "memory": "64Mi"}})
    made = resources.linux_resources(given, given["spec"]["containers"][0], memory_capacity=1 << 30, cgroup_v2=False)
    assert (made["cpu_shares"], made["cpu_quota"], made["memory_limit_in_bytes"]) == (256, 25_000, 64 << 20) and "unified" not in made
