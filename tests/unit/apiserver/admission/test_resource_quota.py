"""Quotas are charged before a write and never exceeded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from admission_requests import creating, pod, run, updating
from kubetree.api.errors import Forbidden
from kubetree.apiserver.admission.resource_quota import RESOURCE_QUOTA, ResourceQuota
from listed_objects import ListedObjects

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def quota(name: str, hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Object:
    used = dict.fromkeys(hard, "0") if used is None else used
    metadata = {"name": name, "namespace": "ns"}
    status = {"hard": hard, "used": used}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard, **spec}, "status": status}


class SlowWriter(ListedObjects):
    """Lets others run while it writes, and counts its writes."""

    writes = 0

    async def update(self, *args: Any, **kwargs: Any) -> Object:
        await asyncio.sleep(0.001)
        self.writes += 1
        return await super().update(*args, **kwargs)


def world(*quotas: Object) -> tuple[SlowWriter, ResourceQuota]:
    objects = SlowWriter(*quotas)
    return objects, ResourceQuota(objects.cached(), objects, lambda: NOW)


async def used(objects: ListedObjects, name: str) -> dict[str, str]:
    return (await objects.get(RESOURCE_QUOTA, "ns", name))["status"]["used"]


def asking(cpu: str, **spec: Any) -> Object:
    return {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}], **spec}


async def test_usage_is_added() -> None:
    objects, plugin = world(quota("q", {"pods": "3", "requests.cpu": "1", "limits.memory": "1Gi", "services": "1"}))
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}}]}
    await run(plugin, creating(pod(spec=spec)))
    assert await used(objects, "q") == {"pods": "1", "requests.cpu": "250m", "limits.memory": "64Mi", "services": "0"}


async def test_the_pod_too_many_is_refused() -> None:
    _, plugin = world(quota("q", {"pods": "2"}, {"pods": "2"}))
    with pytest.raises(Forbidden) as caught:
        await run(plugin, creating(pod()))
    assert caught.value.message == 'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'


async def test_parallel_writes_never_exceed_and_are_charged_together() -> None:
    objects, plugin = world(quota("q", {"pods": "10"}))
    results = await asyncio.gather(*(run(plugin, creating(pod(f"p{i}"))) for i in range(50)), return_exceptions=True)
    assert sum(isinstance(result, Forbidden) for result in results) == 40
    assert sum(isinstance(result, dict) for result in results) == 10
    assert await used(objects, "q") == {"pods": "10"}
    assert objects.writes <= 3


async def test_what_one_quota_was_charged_is_given_back_when_another_refuses() -> None:
    objects, plugin = world(quota("a", {"pods": "5"}), quota("b", {"requests.cpu": "1"}))
    with pytest.raises(Forbidden, match=r"exceeded quota: b, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"):
        await run(plugin, creating(pod(spec=asking("2"))))
    assert (await used(objects, "a"), await used(objects, "b")) == ({"pods": "0"}, {"requests.cpu": "0"})


async def test_a_cancelled_leader_leaves_the_others_to_charge_themselves() -> None:
    objects, plugin = world(quota("q", {"pods": "10"}))
    tasks = [asyncio.ensure_future(run(plugin, creating(pod(f"p{i}")))) for i in range(3)]
    await asyncio.sleep(0.0005)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(isinstance(result, dict) for result in results[1:])
    assert int((await used(objects, "q"))["pods"]) >= 2


async def test_a_dry_run_is_checked_and_not_charged() -> None:
    objects, plugin = world(quota("q", {"pods": "1"}))
    asked = creating(pod())
    asked.dry_run = True
    await run(plugin, asked)
    assert await used(objects, "q") == {"pods": "0"}
    full = creating(pod())
    full.dry_run = True
    await run(plugin, creating(pod("first")))
    with pytest.raises(Forbidden, match="exceeded quota"):
        await run(plugin, full)


async def test_a_quota_of_cpu_demands_that_containers_state_it() -> None:
    _, plugin = world(quota("q", {"requests.cpu": "1", "limits.cpu": "1"}))
    with pytest.raises(Forbidden, match=r"failed quota: q: must specify limits.cpu for: c; requests.cpu for: c"):
        await run(plugin, creating(pod()))


async def test_a_quota_that_was_not_counted_yet_refuses() -> None:
    _, plugin = world(quota("q", {"pods": "1"}, {}))
    with pytest.raises(Forbidden, match="status unknown for quota: q, resources: pods"):
        await run(plugin, creating(pod()))


@pytest.mark.parametrize(
    ("scope", "spec", "charged"),
    [
        ("BestEffort", {"containers": [{"name": "c"}]}, True),
        ("BestEffort", asking("1"), False),
        ("NotBestEffort", asking("1"), True),
        ("Terminating", asking("1", activeDeadlineSeconds=5), True),
        ("NotTerminating", asking("1", activeDeadlineSeconds=5), False),
    ],
)
async def test_scopes(scope: str, spec: Object, charged: bool) -> None:
    objects, plugin = world(quota("q", {"pods": "1"}, scopes=[scope]))
    await run(plugin, creating(pod(spec=spec)))
    assert await used(objects, "q") == {"pods": "1" if charged else "0"}


async def test_priority_class_scopes() -> None:
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    objects, plugin = world(quota("q", {"pods": "1"}, scopeSelector=selector))
    await run(plugin, creating(pod(spec=asking("1", priorityClassName="low"))))
    await run(plugin, creating(pod(spec=asking("1", priorityClassName="high"))))
    assert await used(objects, "q") == {"pods": "1"}


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns"}}


async def test_any_kind_can_be_counted() -> None:
    objects, plugin = world(quota("q", {"count/deployments.apps": "1", "configmaps": "1"}))
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "ns"}}
    await run(plugin, creating(deployment))
    await run(plugin, creating(config_map("c")))
    with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: count/deployments.apps=1"):
        await run(plugin, creating(deployment))
    assert await used(objects, "q") == {"count/deployments.apps": "1", "configmaps": "1"}


def service(kind: str, *ports: int) -> Object:
    spec = {"type": kind, "ports": [{"port": port} for port in ports]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}, "spec": spec}


async def test_an_update_is_charged_what_it_adds() -> None:
    objects, plugin = world(quota("q", {"services.nodeports": "3", "services": "1"}, {"services.nodeports": "0", "services": "1"}))
    await run(plugin, updating(service("NodePort", 1, 2), service("ClusterIP", 1, 2)))
    assert await used(objects, "q") == {"services.nodeports": "2", "services": "1"}
    with pytest.raises(Forbidden, match=r"services.nodeports=2, used: services.nodeports=2, limited: services.nodeports=3"):
        await run(plugin, updating(service("NodePort", 1, 2, 3, 4), service("NodePort", 1, 2)))


async def test_storage_is_counted_by_class() -> None:
    gold = "gold.storageclass.storage.k8s.io/requests.storage"
    objects, plugin = world(quota("q", {"requests.storage": "10Gi", gold: "2Gi"}))
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "ns"}}
    spec = {"storageClassName": "gold", "resources": {"requests": {"storage": "2Gi"}}}
    await run(plugin, creating(claim | {"spec": spec}))
    assert await used(objects, "q") == {"requests.storage": "2Gi", gold: "2Gi"}
    with pytest.raises(Forbidden, match=f"exceeded quota: q, requested: {gold}=2Gi"):
        await run(plugin, creating(claim | {"spec": spec}))
