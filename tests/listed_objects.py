"""A Lister and Writer over plain dicts, for tests of what decides by looking at objects."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import orjson

from kubetree.api.errors import already_exists, conflict, not_found
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind

Object = dict[str, Any]


class ListedObjects:
    """`add` puts an object there as if it had been written; the writer's methods behave as registry.Writer says."""

    def __init__(self, *objects: Object) -> None:
        self._objects: dict[tuple[str, str, str, str], Object] = {}
        self._generations: dict[tuple[str, str], int] = {}
        self._revision = itertools.count(1)
        self._uid = itertools.count(1)
        for obj in objects:
            self.add(obj)

    def _key(self, row: Kind, namespace: str, name: str) -> tuple[str, str, str, str]:
        return row.group, row.kind, namespace if row.namespaced else "", name

    def _changed(self, row: Kind) -> None:
        self._generations[row.group, row.kind] = next(self._revision)

    def add(self, obj: Object) -> Object:
        row = kind(obj["apiVersion"], obj["kind"])
        obj["metadata"].setdefault("uid", f"uid-{next(self._uid)}")
        obj["metadata"]["resourceVersion"] = str(next(self._revision))
        self._objects[self._key(row, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])] = obj
        self._changed(row)
        return obj

    def remove(self, obj: Object) -> None:
        row = kind(obj["apiVersion"], obj["kind"])
        del self._objects[self._key(row, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])]
        self._changed(row)

    def generation(self, row: Kind) -> int:
        return self._generations.get((row.group, row.kind), 0)

    def cached(self) -> CachedObjects:
        return CachedObjects(self)

    async def get(self, row: Kind, namespace: str, name: str) -> Object:
        obj = self._objects.get(self._key(row, namespace, name))
        if obj is None:
            raise not_found(row.plural, row.group, name)
        return obj

    async def list(self, row: Kind, namespace: str = "") -> list[Object]:
        return self.of(row, namespace)

    def of(self, row: Kind, namespace: str = "") -> list[Object]:
        return [
            obj for (group, name, ns, _), obj in self._objects.items() if (group, name) == (row.group, row.kind) and namespace in ("", ns)
        ]

    async def create(self, row: Kind, obj: Object, *, manager: str = "") -> Object:
        key = self._key(row, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if key in self._objects:
            raise already_exists(row.plural, row.group, key[3])
        return self.add(orjson.loads(orjson.dumps({"apiVersion": row.api_version, "kind": row.kind, **obj})))

    async def update(
        self,
        row: Kind,
        namespace: str,
        name: str,
        change: Callable[[Object], Object | None],
        *,
        subresource: str = "",
        manager: str = "",
    ) -> Object:
        found = await self.get(row, namespace, name)
        changed = change(orjson.loads(orjson.dumps(found)))
        return found if changed is None else self.add(changed)

    async def delete(self, row: Kind, namespace: str, name: str, *, uid: str = "", resource_version: str = "") -> None:
        found = await self.get(row, namespace, name)
        if uid and found["metadata"]["uid"] != uid:
            raise conflict(row.plural, row.group, name, "Precondition failed")
        self.remove(found)


class CachedObjects:
    """The Lister's side: synchronous."""

    def __init__(self, objects: ListedObjects) -> None:
        self._objects = objects

    def get(self, row: Kind, namespace: str, name: str) -> Object | None:
        return self._objects._objects.get(self._objects._key(row, namespace, name))

    def list(self, row: Kind, namespace: str = "") -> list[Object]:
        return self._objects.of(row, namespace)

    def generation(self, row: Kind) -> int:
        return self._objects.generation(row)

    def selected(self, row: Kind, field: str, value: str) -> list[Object]:
        def at(obj: Any) -> Any:
            for part in field.split("."):
                obj = (obj or {}).get(part)
            return obj

        return [obj for obj in self._objects.of(row) if at(obj) == value]
