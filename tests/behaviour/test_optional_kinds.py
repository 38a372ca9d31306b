"""What is served only when asked for: with --runtime-config and --feature-gates it is there, and without it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import pytest_asyncio

import storage_modes
from kubetree.api import errors
from kubetree.api.kind_table import EVERY_ROW, kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import has_condition
from kubetree.api.times import format_micro_time
from kubetree.testing import Cluster

Object = dict[str, Any]
STORAGE_VERSION, LEASE = kind("internal.apiserver.k8s.io/v1alpha1", "StorageVersion"), kind("coordination.k8s.io/v1", "Lease")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(storage: storage_modes.Mode) -> AsyncIterator[Cluster]:
    async with storage_modes.cluster(nodes=0, **storage_modes.EVERYTHING) as running:
        yield running


async def served(cluster: Cluster, path: str) -> set[str]:
    found = orjson.loads(await cluster.client.raw("GET", path))
    return {row["name"] for row in found["resources"]}


def absent() -> AbstractContextManager[Any]:
    """Answered as a path that nothing is at: of a known group with a Status, else with a page."""
    return pytest.raises(errors.ApiError, match=r"the server could not find the requested resource|404 page not found")


@pytest.mark.asyncio(loop_scope="module")
async def test_all_that_there_is_can_be_listed(cluster: Cluster) -> None:
    for row in EVERY_ROW:
        if row.optional:
            assert row.plural in await served(cluster, f"/apis/{row.api_version}")
            assert (await cluster.client.list(row))["items"] is not None
            group = orjson.loads(await cluster.client.raw("GET", f"/openapi/v3/apis/{row.api_version}"))
            assert any(path.endswith(f"/{row.plural}") for path in group["paths"])


@pytest.mark.one_store
async def test_by_default_none_of_it_is_there() -> None:
    async with Cluster(nodes=0, controllers=(), scheduler=False) as cluster:
        for row in EVERY_ROW:
            if row.optional:
                with absent():
                    await cluster.client.list(row)
        groups = orjson.loads(await cluster.client.raw("GET", "/apis"))["groups"]
        assert not any("alpha" in v["version"] or "beta" in v["version"] for group in groups for v in group["versions"])


@pytest.mark.one_store
async def test_a_version_without_its_gate_has_no_such_resource() -> None:
    config = {"certificates.k8s.io/v1beta1": "true", "storagemigration.k8s.io/v1beta1": "true"}
    async with Cluster(
        nodes=0, controllers=(), scheduler=False, runtime_config=config, feature_gates={"ClusterTrustBundle": True}
    ) as cluster:
        assert await served(cluster, "/apis/certificates.k8s.io/v1beta1") == {"clustertrustbundles"}
        with absent():
            await served(cluster, "/apis/storagemigration.k8s.io/v1beta1")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_server_tells_in_which_versions_it_stores(cluster: Cluster) -> None:
    deployments = await cluster.client.get(STORAGE_VERSION, "apps.deployments")
    leases = {lease["metadata"]["name"] for lease in (await cluster.client.list(LEASE, "kube-system"))["items"]}
    (entry,) = deployments["status"]["storageVersions"]
    assert entry.pop("apiServerID") in leases
    assert entry == {"encodingVersion": "apps/v1", "decodableVersions": ["apps/v1"], "servedVersions": ["apps/v1"]}
    assert deployments["status"]["commonEncodingVersion"] == "apps/v1"
    claims = await cluster.client.get(STORAGE_VERSION, "resource.k8s.io.resourceclaims")
    assert set(claims["status"]["storageVersions"][0]["servedVersions"]) == {f"resource.k8s.io/{v}" for v in ("v1", "v1beta1", "v1beta2")}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_storage_version_of_a_server_that_is_not_there_goes(cluster: Cluster) -> None:
    """test/e2e/apimachinery/storage_version.go."""
    made = await cluster.client.create(
        STORAGE_VERSION,
        {"apiVersion": STORAGE_VERSION.api_version, "kind": STORAGE_VERSION.kind, "metadata": {"generateName": "storageversion.test.foos"}},
    )
    entry = {"apiServerID": "id-non-exist", "encodingVersion": "v1", "decodableVersions": ["v1"]}
    status = {"storageVersions": [entry], "commonEncodingVersion": "v1"}
    await cluster.client.update(STORAGE_VERSION, {**made, "status": status}, subresource="status")
    await cluster.until(STORAGE_VERSION, made["metadata"]["name"], "", lambda obj: obj is None)


@pytest.mark.one_store
async def test_a_server_without_identity_has_no_lease() -> None:
    gates = {"APIServerIdentity": False, "UnknownVersionInteroperabilityProxy": False, "StorageVersionHash": False}
    async with Cluster(nodes=0, controllers=(), scheduler=False, feature_gates=gates) as cluster:
        checks = (await cluster.client.raw("GET", "/readyz", params={"verbose": ""})).decode()
        assert "identity-lease" not in checks and "storage-version" not in checks
        assert (await cluster.client.list(LEASE, "kube-system"))["items"] == []
        found = orjson.loads(await cluster.client.raw("GET", "/apis/apps/v1"))
        assert not any("storageVersionHash" in row for row in found["resources"])


DEFINITION = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
GROUP, POD = kind("scheduling.k8s.io/v1alpha2", "PodGroup"), kind("v1", "Pod")
MIGRATION = kind("storagemigration.k8s.io/v1beta1", "StorageVersionMigration")
CANDIDATE = kind("coordination.k8s.io/v1beta1", "LeaseCandidate")


def of(row: Kind, name: str, **fields: Any) -> Object:
    metadata = {"name": name, **({"namespace": "default"} if row.namespaced else {})}
    return {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata, **fields}


@pytest.mark.asyncio(loop_scope="module")
async def test_stored_objects_are_migrated_to_the_new_version(cluster: Cluster) -> None:
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": {"type": "object"}}} for name in ("v1", "v2")
    ]
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    await cluster.client.create(DEFINITION, of(DEFINITION, "widgets.example.com", spec=spec))
    await cluster.until(DEFINITION, "widgets.example.com", "", lambda obj: obj is not None and has_condition(obj, "Established"))
    path = "/apis/example.com/v1/namespaces/default/widgets"
    for name in ("a", "b"):
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}}
        await cluster.client.raw("POST", path, body=orjson.dumps(body))
    before = orjson.loads(await cluster.client.raw("GET", path))["metadata"]["resourceVersion"]
    stored = [{**version, "storage": version["name"] == "v2"} for version in versions]
    await cluster.client.patch(DEFINITION, "widgets.example.com", {"spec": {"versions": stored}}, type="merge")
    defined = await cluster.until(
        DEFINITION, "widgets.example.com", "", lambda obj: obj is not None and obj["status"]["storedVersions"] == ["v1", "v2"]
    )
    assert defined is not None
    await cluster.client.create(MIGRATION, of(MIGRATION, "m", spec={"resource": {"group": "example.com", "resource": "widgets"}}))
    await cluster.until(MIGRATION, "m", "", lambda obj: obj is not None and has_condition(obj, "Succeeded"))
    await cluster.until(DEFINITION, "widgets.example.com", "", lambda obj: obj is not None and obj["status"]["storedVersions"] == ["v2"])
    items = orjson.loads(await cluster.client.raw("GET", path))["items"]
    assert all(int(item["metadata"]["resourceVersion"]) > int(before) for item in items)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_group_of_pods_stays_until_its_pods_are_gone(cluster: Cluster) -> None:
    await cluster.client.create(GROUP, of(GROUP, "g", spec={"schedulingPolicy": {"basic": {}}}))
    spec = {"schedulingGroup": {"podGroupName": "g"}, "containers": [{"name": "c", "image": "i"}]}
    await cluster.client.create(POD, of(POD, "grouped", spec=spec))
    deleted = await cluster.client.delete(GROUP, "g", "default")
    assert deleted["metadata"]["finalizers"] == ["scheduling.k8s.io/podgroup-protection"]
    assert (await cluster.client.get(GROUP, "g", "default"))["metadata"]["deletionTimestamp"]
    await cluster.client.delete(POD, "grouped", "default")
    await cluster.until(GROUP, "g", "default", lambda obj: obj is None)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_candidate_is_elected(cluster: Cluster) -> None:
    now = format_micro_time(datetime.now(UTC))
    versions = {"binaryVersion": "1.36.0", "emulationVersion": "1.36.0", "strategy": "OldestEmulationVersion"}
    await cluster.client.create(CANDIDATE, of(CANDIDATE, "me", spec={"leaseName": "work", "renewTime": now, "pingTime": now, **versions}))
    lease = await cluster.until(LEASE, "work", "default", lambda obj: obj is not None)
    assert lease is not None and lease["spec"]["holderIdentity"] == "me"


@pytest.mark.one_store
async def test_what_is_on_by_default_can_be_off() -> None:
    gates = {"WatchList": False, "ComponentStatusz": False, "ComponentFlagz": False}
    async with Cluster(nodes=0, controllers=(), scheduler=False, feature_gates=gates) as cluster:
        query = {"watch": "1", "allowWatchBookmarks": "1", "timeoutSeconds": "1"}
        asked = query | {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        refused = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        with pytest.raises(errors.Invalid, match=refused):
            await cluster.client.raw("GET", "/api/v1/namespaces", params=asked)
        seen = await cluster.client.raw("GET", "/api/v1/namespaces", params=query)
        assert b'"kube-system"' in seen and b"initial-events-end" not in seen
        for path in ("/statusz", "/flagz"):
            with absent():
                await cluster.client.raw("GET", path)
            assert path not in str(await cluster.client.get(kind("rbac.authorization.k8s.io/v1", "ClusterRole"), "system:monitoring"))
