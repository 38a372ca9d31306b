"""Custom resources are looked after like any other kind: collected with their owners, deleted with their namespace, counted by quotas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import storage_modes
from behaviour.custom_resources import definition
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.testing import Cluster

Object = dict[str, Any]
CRD = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
CONFIG_MAP, NAMESPACE, QUOTA = (kind("v1", name) for name in ("ConfigMap", "Namespace", "ResourceQuota"))
FOO = Kind("example.com", "v1", "Foo", "foos")
CONTROLLERS = ("garbage-collector-controller", "namespace-controller", "resourcequota-controller")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with storage_modes.cluster(nodes=0, scheduler=False, controllers=CONTROLLERS) as running:
        await running.client.create(CRD, definition())
        await running.until(CRD, "foos.example.com", "", established)
        yield running


def established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def foo(name: str, **metadata: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": name, **metadata}, "spec": {}}


def owned_by(owner: Object, **more: Any) -> list[Object]:
    names = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], **names, **more}]


def gone(obj: Object | None) -> bool:
    return obj is None


async def test_what_custom_resources_own_goes_with_them(cluster: Cluster) -> None:
    owner = await cluster.client.create(FOO, foo("owner"), "default")
    child = await cluster.client.create(FOO, foo("child", ownerReferences=owned_by(owner, blockOwnerDeletion=True)), "default")
    data = {"metadata": {"name": "data", "ownerReferences": owned_by(child)}}
    await cluster.client.create(CONFIG_MAP, data, "default")
    await cluster.client.delete(FOO, "owner", "default", propagation="Foreground")
    for row, name in ((CONFIG_MAP, "data"), (FOO, "child"), (FOO, "owner")):
        await cluster.until(row, name, "default", gone)


async def test_custom_resources_go_with_built_in_owners(cluster: Cluster) -> None:
    owner = await cluster.client.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}, "default")
    await cluster.client.create(FOO, foo("child", ownerReferences=owned_by(owner)), "default")
    await cluster.client.create(FOO, foo("orphan", ownerReferences=owned_by(owner, uid="no-such-uid")), "default")
    await cluster.until(FOO, "orphan", "default", gone)
    await cluster.client.delete(CONFIG_MAP, "owner", "default")
    await cluster.until(FOO, "child", "default", gone)


async def test_custom_resources_go_with_their_namespace(cluster: Cluster) -> None:
    await cluster.client.create(NAMESPACE, {"metadata": {"name": "team"}})
    await cluster.client.create(FOO, foo("a"), "team")
    await cluster.client.create(FOO, foo("b", finalizers=["example.com/hold"]), "team")
    await cluster.client.delete(NAMESPACE, "team")
    await cluster.until(FOO, "a", "team", gone)
    held = await cluster.until(NAMESPACE, "team", "", lambda n: any(c["type"] == "NamespaceFinalizersRemaining" and c["status"] == "True" for c in n["status"].get("conditions") or ()))  # fmt: skip
    assert any("example.com/hold in 1 resource instances" in c["message"] for c in held["status"]["conditions"])
    with pytest.raises(errors.Forbidden):
        await cluster.client.create(FOO, foo("c"), "team")
    await cluster.client.patch(FOO, "b", {"metadata": {"finalizers": None}}, namespace="team")
    await cluster.until(NAMESPACE, "team", "", gone)


async def test_quotas_count_custom_resources(cluster: Cluster) -> None:
    await cluster.client.create(QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": {"count/foos.example.com": "1"}}}, "default")
    await cluster.until(QUOTA, "q", "default", lambda q: "count/foos.example.com" in q.get("status", {}).get("used", {}))
    await cluster.client.create(FOO, foo("first"), "default")
    with pytest.raises(errors.Forbidden, match="exceeded quota: q, requested: count"):
        await cluster.client.create(FOO, foo("second"), "default")
    await cluster.client.delete(FOO, "first", "default")
    await cluster.until(QUOTA, "q", "default", lambda q: q["status"]["used"]["count/foos.example.com"] == "0")
    await cluster.client.create(FOO, foo("second"), "default")
