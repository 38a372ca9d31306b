"""A client over a dict for tests of what uses one: create, update, delete, list and watch with resourceVersions, nothing more.

`delay` holds events of watches back by that many seconds, so that a cache is behind what was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from kubetree.api import errors
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy

Object = dict[str, Any]


class FakeClient:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str, str], Object] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.fails: Callable[[str, Kind, Object], errors.ApiError | None] = lambda *_: None
        self.delay = 0.0
        self.in_flight = self.most_in_flight = 0
        self._revision = 0
        self._watches: list[tuple[Kind, asyncio.Queue[tuple[str, Object]]]] = []

    def put(self, kind: Kind, obj: Object) -> Object:
        return self._write(kind, copy(obj), "ADDED")

    def _write(self, kind: Kind, obj: Object, type_: str) -> Object:
        self._revision += 1
        metadata = obj["metadata"]
        metadata.setdefault("uid", f"uid-{self._revision}")
        metadata.setdefault("generation", 1)
        metadata["resourceVersion"] = str(self._revision)
        key = (kind.api_version, kind.kind, metadata.get("namespace", ""), metadata["name"])
        if type_ == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = obj
        for watched, queue in self._watches:
            if watched == kind:
                queue.put_nowait((type_, {"apiVersion": kind.api_version, "kind": kind.kind, **obj}))
        return obj

    async def _enter(self, verb: str, kind: Kind, obj: Object) -> None:
        self.requests.append((verb, kind.kind, obj["metadata"].get("name", "")))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
        finally:
            self.in_flight -= 1
        if (error := self.fails(verb, kind, obj)) is not None:
            raise error

    async def create(self, kind: Kind, obj: Object, namespace: str = "", **_: Any) -> Object:
        await self._enter("create", kind, obj)
        made = copy(obj)
        metadata = made["metadata"]
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{self._revision + 1}"
        return self._write(kind, made, "ADDED")

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "", **_: Any) -> Object:
        await self._enter("update", kind, obj)
        metadata = obj["metadata"]
        current = self.objects.get((kind.api_version, kind.kind, metadata.get("namespace", ""), metadata["name"]))
        if current is None:
            raise errors.not_found(kind.plural, kind.group, metadata["name"])
        if metadata["resourceVersion"] != current["metadata"]["resourceVersion"]:
            raise errors.conflict(kind.plural, kind.group, metadata["name"], errors.MODIFIED)
        return self._write(kind, copy(obj), "MODIFIED")

    async def delete(self, kind: Kind, name: str, namespace: str = "", **_: Any) -> Object:
        await self._enter("delete", kind, {"metadata": {"name": name}})
        current = self.objects.get((kind.api_version, kind.kind, namespace, name))
        if current is None:
            raise errors.not_found(kind.plural, kind.group, name)
        self._write(kind, copy(current), "DELETED")
        return {"kind": "Status", "status": "Success"}

    async def list(self, kind: Kind, namespace: str = "", **_: Any) -> Object:
        items = [copy(o) for (version, name, *_), o in self.objects.items() if (version, name) == (kind.api_version, kind.kind)]
        return {"items": items, "metadata": {"resourceVersion": str(self._revision)}}

    async def watch(self, kind: Kind, namespace: str = "", **_: Any) -> AsyncIterator[tuple[str, Object]]:
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self._watches.append((kind, queue))
        while True:
            event = await queue.get()
            if self.delay:
                await asyncio.sleep(self.delay)
            yield event
