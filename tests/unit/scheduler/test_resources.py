"""What a pod asks for, by upstream's rules for init containers, sidecars, pod-level requests and overhead."""

from typing import Any

from kubetree.scheduler.resources import pod_requests, scored_requests


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


def test_containers_add_up_and_an_init_container_counts_by_its_peak() -> None:
    spec = {"containers": [container("100m"), container("200m")], "initContainers": [container("1"), container("250m")]}
    assert pod_requests(spec) == {"cpu": 1000}


def test_a_sidecar_stays_and_runs_beside_later_init_containers() -> None:
    sidecar = container("500m", restartPolicy="Always")
    assert pod_requests({"containers": [container("100m")], "initContainers": [sidecar, container("300m")]}) == {"cpu": 800}
    assert pod_requests({"containers": [container("400m")], "initContainers": [container("300m"), sidecar]}) == {"cpu": 900}


def test_pod_level_requests_replace_and_overhead_adds() -> None:
    spec = {"containers": [container("100m")], "resources": {"requests": {"cpu": "2"}}, "overhead": {"cpu": "50m", "memory": "1Mi"}}
    assert pod_requests(spec) == {"cpu": 2050, "memory": 2**20}


def test_scoring_takes_nothing_for_something() -> None:
    assert scored_requests({"containers": [{}, container("1")]}) == {"cpu": 1100, "memory": 400 * 2**20}
