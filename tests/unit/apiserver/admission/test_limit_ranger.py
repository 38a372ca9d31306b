"""Limit ranges fill in what containers leave out and refuse what is out of bounds."""

from __future__ import annotations

from typing import Any

import pytest

from admission_requests import creating, pod, run, updating
from kubetree.api.errors import Forbidden
from kubetree.apiserver.admission.limit_ranger import LimitRanger
from listed_objects import ListedObjects

Object = dict[str, Any]


def limited(**limit: Any) -> LimitRanger:
    metadata = {"name": "limits", "namespace": "ns"}
    found = {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": [{"type": "Container", **limit}]}}
    listed = ListedObjects(found)
    return LimitRanger(listed.cached(), listed)


def containers(**resources: dict[str, str]) -> Object:
    return {"containers": [{"name": "c", "resources": resources}]}


async def test_defaults_are_filled_in_and_noted() -> None:
    plugin = limited(default={"cpu": "500m", "memory": "64Mi"}, defaultRequest={"cpu": "100m"})
    spec = {"containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi"}}}], "initContainers": [{"name": "i"}]}
    made = await run(plugin, creating(pod(spec=spec)))
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi", "cpu": "500m"}}
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": (
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c; "
            "cpu request for init container i; cpu, memory limit for init container i"
        )
    }


REFUSED = [
    ({"min": {"cpu": "100m"}}, containers(requests={"cpu": "50m"}), "minimum cpu usage per Container is 100m, but request is 50m"),
    ({"min": {"cpu": "100m"}}, containers(), "minimum cpu usage per Container is 100m.  No request is specified"),
    ({"max": {"memory": "1Gi"}}, containers(limits={"memory": "2Gi"}), "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
    ({"max": {"memory": "1Gi"}}, containers(), "maximum memory usage per Container is 1Gi.  No limit is specified"),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        containers(requests={"cpu": "100m"}, limits={"cpu": "300m"}),
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        containers(limits={"cpu": "1"}),
        "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
    ),
    (
        {"type": "Pod", "max": {"cpu": "1"}},
        {"containers": [{"name": n, "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}} for n in "ab"]},
        "maximum cpu usage per Pod is 1, but limit is 2",
    ),
]


@pytest.mark.parametrize(("limit", "spec", "message"), REFUSED, ids=[message for *_, message in REFUSED])
async def test_out_of_bounds(limit: Object, spec: Object, message: str) -> None:
    with pytest.raises(Forbidden) as caught:
        await run(limited(**limit), creating(pod(spec=spec)))
    assert caught.value.message == f'pods "p" is forbidden: {message}'


async def test_several_violations_are_all_told() -> None:
    with pytest.raises(Forbidden, match=r"is forbidden: \[minimum cpu .*, maximum memory .*\]$"):
        await run(limited(min={"cpu": "1"}, max={"memory": "1Gi"}), creating(pod(spec=containers())))


async def test_claims_are_bounded() -> None:
    plugin = limited(type="PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "2Gi"})
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "ns"}}
    await run(plugin, creating(claim | {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}))
    with pytest.raises(Forbidden, match="maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"):
        await run(plugin, creating(claim | {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}))


async def test_a_running_pod_is_left_alone_but_a_resize_is_not() -> None:
    plugin = limited(min={"cpu": "100m"})
    small = pod(spec=containers(requests={"cpu": "50m"}))
    await run(plugin, updating(small, small))
    with pytest.raises(Forbidden):
        await run(plugin, updating(small, small, subresource="resize"))
