"""What a user may do to an object between its creation and its end, as upstream's lifecycle tests do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import storage_modes
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.testing import Cluster

JOB, POD, TEMPLATE, CONFIG_MAP = kind("batch/v1", "Job"), kind("v1", "Pod"), kind("v1", "PodTemplate"), kind("v1", "ConfigMap")
ATTRIBUTES_CLASS, CLAIM = kind("storage.k8s.io/v1", "VolumeAttributesClass"), kind("v1", "PersistentVolumeClaim")
EVENT, NEW_EVENT = kind("v1", "Event"), kind("events.k8s.io/v1", "Event")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with storage_modes.cluster() as running:
        yield running


async def test_a_suspended_job_may_be_annotated_and_moved_but_not_given_another_image(cluster: Cluster) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    job = {"metadata": {"name": "j", "namespace": "default"}, "spec": {"suspend": True, "template": template}}
    await cluster.client.create(JOB, job)
    patched = await cluster.client.patch(JOB, "j", {"metadata": {"annotations": {"patched": "true"}}}, namespace="default")
    assert patched["metadata"]["annotations"]["patched"] == "true"
    wanted = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": wanted}}
    for value in (affinity, None):
        moved = await cluster.client.patch(JOB, "j", {"spec": {"template": {"spec": {"affinity": value}}}}, namespace="default")
        assert moved["spec"]["template"]["spec"].get("affinity") == value
    other_image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}}
    with pytest.raises(errors.Invalid, match="field is immutable"):
        await cluster.client.patch(JOB, "j", other_image, namespace="default", type="strategic")


async def test_events_are_found_by_the_fields_of_either_group(cluster: Cluster) -> None:
    regarding = {"namespace": "default", "kind": "Pod", "name": "p"}
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": regarding,
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "note": "n",
        "action": "Do",
        "reason": "Test",
        "type": "Normal",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
    }
    await cluster.client.create(NEW_EVENT, event)
    for row, selector in (
        (NEW_EVENT, "reportingController=test-controller"),
        (NEW_EVENT, "regarding.kind=Pod,regarding.name=p,reportingController=test-controller,reason=Test"),
        (EVENT, "source=test-controller"),
        (EVENT, "involvedObject.name=p,reportingComponent=test-controller"),
    ):
        found = await cluster.client.list(row, "default", field_selector=selector)
        assert [e["metadata"]["name"] for e in found["items"]] == ["e"], selector
    assert not (await cluster.client.list(NEW_EVENT, "default", field_selector="reportingController=other"))["items"]
    for row, selector in ((NEW_EVENT, "source=test-controller"), (NEW_EVENT, "involvedObject.name=p"), (EVENT, "regarding.name=p")):
        with pytest.raises(errors.BadRequest, match="field label not supported"):
            await cluster.client.list(row, "default", field_selector=selector)


async def test_pods_are_found_by_the_old_names_of_their_fields(cluster: Cluster) -> None:
    await cluster.client.create(
        POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    pod = await cluster.until(POD, "p", "default", lambda p: p["status"].get("podIP"))
    assert pod is not None
    for selector in (f"spec.host={pod['spec']['nodeName']}", f"status.podIPs={pod['status']['podIP']}"):
        found = await cluster.client.list(POD, "default", field_selector=selector)
        assert [p["metadata"]["name"] for p in found["items"]] == ["p"], selector


async def test_a_volume_attributes_class_waits_for_its_claims_and_goes(cluster: Cluster) -> None:
    def is_gone(found: object) -> bool:
        return found is None

    await cluster.client.create(ATTRIBUTES_CLASS, {"metadata": {"name": "gold"}, "driverName": "d", "parameters": {"iops": "1"}})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "none"}
    claim = {"metadata": {"name": "c", "namespace": "default"}, "spec": {**spec, "volumeAttributesClassName": "gold"}}
    await cluster.client.create(CLAIM, claim)
    await cluster.client.delete(ATTRIBUTES_CLASS, "gold")
    await cluster.advance(2)
    assert (await cluster.client.get(ATTRIBUTES_CLASS, "gold"))["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
    await cluster.client.delete(CLAIM, "c", "default")
    await cluster.until(ATTRIBUTES_CLASS, "gold", "", is_gone)


async def test_a_paged_list_goes_on_from_now_when_its_revision_has_been_compacted() -> None:
    async with storage_modes.cluster(nodes=0, controllers=(), scheduler=False, compaction_interval=0.05) as cluster:
        for n in range(6):
            template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
            await cluster.client.create(TEMPLATE, {"metadata": {"name": f"t{n}", "namespace": "default"}, "template": template})
        first = await cluster.client.list(TEMPLATE, "default", limit=2)
        page, expired = {"limit": "2", "continue": first["metadata"]["continue"]}, None
        config = cluster.config
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=config.ssl_context())) as session:

            async def listed() -> Any:
                async with session.get(config.base_url + TEMPLATE.path("default"), params=page) as response:
                    return await response.json()

            for n in range(200):
                # Only other kinds change: the templates' own cache stays at the revision of the first page.
                await cluster.client.create(CONFIG_MAP, {"metadata": {"name": f"c{n}", "namespace": "default"}})
                expired = await listed()
                if expired.get("reason") == "Expired":
                    break
                await asyncio.sleep(0.02)
            assert expired["code"] == 410
            page["continue"] = expired["metadata"]["continue"]
            second = await listed()
        assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
        assert [t["metadata"]["name"] for t in second["items"]] == ["t2", "t3"]
        assert second["metadata"]["remainingItemCount"] == 2


async def test_priority_classes_of_the_system_stay(cluster: Cluster) -> None:
    classes = kind("scheduling.k8s.io/v1", "PriorityClass")
    with pytest.raises(errors.Forbidden) as refused:
        await cluster.client.delete(classes, "system-node-critical")
    assert refused.value.message == (
        'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and cannot be deleted'
    )
    assert (await cluster.client.get(classes, "system-node-critical"))["value"] == 2000001000
