"""What a user may do to an object between its creation and its end, as upstream's lifecycle tests do it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.testing import Cluster

JOB = kind("batch/v1", "Job")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with Cluster() as running:
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
