"""Objects by namespace, from a cache that may lag."""

from __future__ import annotations

from typing import Any

from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.by_namespace import ByNamespace
from listed_objects import ListedObjects

LIMIT_RANGE = kind("v1", "LimitRange")


class Lagging(ListedObjects):
    """The store; its cache shows what there was when the store was last asked."""

    def __init__(self, shown: ListedObjects) -> None:
        super().__init__()
        self.shown, self.asked = shown, 0

    async def list(self, row: Any, namespace: str = "") -> list[dict[str, Any]]:
        self.asked += 1
        for obj in self.of(row):
            self.shown.add(obj)
        return self.of(row, namespace)


async def test_where_the_cache_has_none_the_store_is_asked_now_and_then() -> None:
    shown, now = ListedObjects(), 0.0
    store = Lagging(shown)
    ranges = ByNamespace(shown.cached(), LIMIT_RANGE, store, lambda: now)

    async def surely(namespace: str) -> list[str]:
        if ranges.doubtful(namespace):
            await ranges.catch_up(namespace)
        return [obj["metadata"]["name"] for obj in ranges(namespace)]

    assert await surely("a") == [] and store.asked == 1
    store.add({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "a"}})
    assert await surely("a") == [] and store.asked == 1
    now = 31.0
    assert await surely("a") == ["l"] and store.asked == 2
    assert await surely("a") == ["l"] and store.asked == 2
    assert await surely("b") == [] and store.asked == 3
