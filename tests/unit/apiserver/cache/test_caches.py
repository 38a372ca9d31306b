"""All caches together: one a stored kind, whichever version asks for it, and the Lister over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.cache import CacheLister, Caches
from kubetree.apiserver.watch_cache import WatchEnded
from kubetree.store.memory import MemoryStore

POD, EVENT, NEW_EVENT, NAMESPACE = (
    kind("v1", "Pod"),
    kind("v1", "Event"),
    kind("events.k8s.io/v1", "Event"),
    kind("v1", "Namespace"),
)


class Rig:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.caches = Caches(self.store)

    async def create(self, row: Kind, namespace: str, name: str) -> None:
        obj = {"kind": row.kind, "apiVersion": row.stored_as, "metadata": {"name": name, "namespace": namespace}}
        await self.store.create(row.key(namespace, name), orjson.dumps(obj))
        await self.caches.cache_of(row).fresh()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.caches.cache_of(POD)
    task = asyncio.create_task(rig.caches.run())
    await asyncio.wait_for(rig.caches.ready(), 30)
    yield rig
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cache_asked_for_later_fills_at_once(rig: Rig) -> None:
    await rig.create(NAMESPACE, "", "default")
    assert rig.caches.cache_of(NAMESPACE).get("/registry/namespaces/default") is not None


async def test_versions_of_one_resource_share_their_cache(rig: Rig) -> None:
    assert rig.caches.cache_of(EVENT) is rig.caches.cache_of(NEW_EVENT)
    assert rig.caches.cache_of(NEW_EVENT).kind.api_version == EVENT.stored_as
    assert rig.caches.cache_of(POD) is not rig.caches.cache_of(EVENT)


async def test_the_lister_reads_the_caches(rig: Rig) -> None:
    lister = CacheLister(rig.caches)
    assert lister.list(POD) == []
    before = lister.generation(POD)
    await rig.create(POD, "one", "a")
    await rig.create(POD, "two", "b")
    found = lister.get(POD, "one", "a")
    assert found is not None
    assert found["metadata"]["name"] == "a"
    assert lister.get(POD, "two", "a") is None
    assert [o["metadata"]["name"] for o in lister.list(POD)] == ["a", "b"]
    assert [o["metadata"]["name"] for o in lister.list(POD, "two")] == ["b"]
    assert lister.generation(POD) != before


async def test_a_kind_that_is_no_longer_served_ends_its_watches(rig: Rig) -> None:
    cache = rig.caches.cache_of(POD)
    with cache.watch(cache.revision) as watch:
        rig.caches.forget(POD)
        assert await watch.wait(5)
        with pytest.raises(WatchEnded):
            watch.take()
    assert rig.caches.cache_of(POD) is not cache
