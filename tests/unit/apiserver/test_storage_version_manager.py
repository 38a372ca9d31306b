"""A server tells in which versions it stores, before it lets anybody write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiohttp import web

from kubetree.api import errors
from kubetree.api.feature_gates import DEFAULT_FEATURES
from kubetree.api.kind_table import builtin
from kubetree.api.kinds import Kind
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.middleware.storage_version import await_storage_versions
from kubetree.apiserver.options.runtime_config import served_kinds
from kubetree.apiserver.storage_versions import manager
from kubetree.apiserver.storage_versions.manager import STORAGE_VERSION, StorageVersions
from kubetree.apiserver.storage_versions.resources import stored_resources
from kubetree.apiserver.wire.request_info import read
from listed_objects import ListedObjects

RESOURCES = stored_resources(builtin())


def versions(objects: ListedObjects, server: str = "apiserver-a") -> StorageVersions:
    return StorageVersions(objects, lambda: datetime(2026, 1, 1, tzinfo=UTC), server, RESOURCES)


def test_what_is_stored_is_told_once() -> None:
    found = {each.names[0]: each for each in RESOURCES}
    assert found["events"].names == ("events", "events.events.k8s.io")
    assert found["events"].decodable == ("v1", "events.k8s.io/v1") and found["events"].served == ("v1",)
    assert found["horizontalpodautoscalers.autoscaling"][2:5] == (
        "autoscaling/v2",
        ("autoscaling/v2", "autoscaling/v1"),
        ("autoscaling/v2", "autoscaling/v1"),
    )
    assert {"events.events.k8s.io", "bindings", "tokenreviews.authentication.k8s.io", "componentstatuses"}.isdisjoint(found)
    more = {each.names[0]: each for each in stored_resources(served_kinds({"api/all": "true"}, DEFAULT_FEATURES))}
    assert more["deviceclasses.resource.k8s.io"].served == ("resource.k8s.io/v1", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1")
    assert found["deviceclasses.resource.k8s.io"].served == ("resource.k8s.io/v1",)


async def test_every_resource_gets_an_object_and_every_server_an_entry() -> None:
    objects = ListedObjects()
    first = versions(objects)
    assert (
        first.pending("pods") == "<nil>"
        and first.pending("events.events.k8s.io") == "<nil>"
        and first.pending("things.example.com") is None
    )
    await first.register()
    assert first.complete and first.pending("pods") is None
    assert len(objects.of(STORAGE_VERSION)) == len(RESOURCES)
    await versions(objects, "apiserver-b").register()
    pods = await objects.get(STORAGE_VERSION, "", "core.pods")
    assert [each["apiServerID"] for each in pods["status"]["storageVersions"]] == ["apiserver-a", "apiserver-b"]


class Failing(ListedObjects):
    """Does not write one object, as often as `failures` says."""

    failures = 4

    async def update(self, kind: Kind, namespace: str, name: str, *args: Any, **options: Any) -> Any:
        if name == "core.pods" and self.failures:
            self.failures -= 1
            raise errors.ServiceUnavailable("the store is away")
        return await super().update(kind, namespace, name, *args, **options)


async def test_what_could_not_be_written_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "_PAUSE", 0.0)
    objects = Failing()
    mine = versions(objects)
    await mine._write_all()
    assert not mine.complete and mine.pending("pods") == "the store is away" and mine.pending("secrets") is None
    await mine.register()
    assert mine.complete and mine.pending("pods") is None


def context(method: str, path: str) -> RequestContext:
    target = read(method, path)
    return RequestContext(target.info, method, target.path, target.query, {}, cast(Any, None), "")


@pytest.mark.parametrize(
    ("method", "path", "waits"),
    [
        ("POST", "/api/v1/namespaces/default/configmaps", True),
        ("POST", "/api/v1/namespaces/default/pods/p/binding", True),
        ("DELETE", "/apis/apps/v1/namespaces/default/deployments/d", True),
        ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", True),
        ("POST", "/apis/events.k8s.io/v1/namespaces/default/events", True),
        ("GET", "/api/v1/configmaps", False),
        ("GET", "/api/v1/configmaps?watch=1", False),
        ("POST", "/apis/internal.apiserver.k8s.io/v1alpha1/storageversions", False),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l", False),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", True),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", False),
        ("POST", "/apis/example.com/v1/namespaces/default/things", False),
        ("POST", "/anything", False),
    ],
)
async def test_writes_wait_for_it(method: str, path: str, waits: bool) -> None:
    objects = ListedObjects()
    mine = versions(objects)
    passed = []

    async def inner(ctx: RequestContext) -> web.StreamResponse:
        passed.append(ctx)
        return web.Response()

    handler = await_storage_versions(mine)(inner)
    if waits:
        words = "wait for storage version registration to complete for resource: .*, last seen error: <nil>"
        with pytest.raises(errors.ServiceUnavailable, match=words):
            await handler(context(method, path))
    else:
        await handler(context(method, path))
    await mine.register()
    await handler(context(method, path))
    assert len(passed) == (1 if waits else 2)
