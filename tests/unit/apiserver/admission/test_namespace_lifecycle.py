"""Content of namespaces comes and goes with them."""

from __future__ import annotations

import pytest

from admission_requests import cluster_object, creating, deleting, pod, run, updating
from kubetree.api.errors import Forbidden, NotFound
from kubetree.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from listed_objects import ListedObjects


class Stale:
    """A cache that has not seen what was written last."""

    def __init__(self, *objects: dict[str, object]) -> None:
        self.cache, self.store = ListedObjects(*objects), ListedObjects()
        self.plugin = NamespaceLifecycle(self.cache.cached(), self.store, lambda: 0.0)


def namespace(name: str, phase: str = "Active") -> dict[str, object]:
    return cluster_object("v1", "Namespace", name, status={"phase": phase})


async def test_creating_in_an_active_namespace() -> None:
    await run(Stale(namespace("ns")).plugin, creating(pod()))


async def test_creating_in_a_namespace_that_the_cache_has_not_seen_yet() -> None:
    world = Stale()
    world.store.add(namespace("ns"))
    await run(world.plugin, creating(pod()))


async def test_creating_in_a_missing_namespace() -> None:
    with pytest.raises(NotFound, match='namespaces "ns" not found'):
        await run(Stale().plugin, creating(pod()))


async def test_creating_in_a_terminating_namespace() -> None:
    with pytest.raises(Forbidden) as caught:
        await run(Stale(namespace("ns", "Terminating")).plugin, creating(pod()))
    assert caught.value.message == ('pods "p" is forbidden: unable to create new content in namespace ns because it is being terminated')
    assert [(c.reason, c.field) for c in caught.value.causes] == [("NamespaceTerminating", "metadata.namespace")]


async def test_updates_and_deletes_go_on_while_a_namespace_ends() -> None:
    plugin = Stale(namespace("ns", "Terminating")).plugin
    await run(plugin, updating(pod(), pod()))
    await run(plugin, deleting(pod()))


async def test_right_after_a_namespace_is_deleted_the_cache_is_not_believed() -> None:
    world = Stale(namespace("ns"))
    world.store.add(namespace("ns", "Terminating"))
    await run(world.plugin, creating(pod()))
    await run(world.plugin, deleting(namespace("ns")))
    with pytest.raises(Forbidden, match="being terminated"):
        await run(world.plugin, creating(pod()))


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_immortal_namespaces(name: str) -> None:
    with pytest.raises(Forbidden, match=f'namespaces "{name}" is forbidden: this namespace may not be deleted'):
        await run(Stale().plugin, deleting(namespace(name)))


async def test_cluster_scoped_objects_need_no_namespace() -> None:
    await run(Stale().plugin, creating(cluster_object("v1", "Node", "n")))
