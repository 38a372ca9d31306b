"""An informer: a kind's objects as a local cache, kept by list and watch, with indexes and change callbacks.

Follows client-go's reflector: list, watch from the list's resourceVersion, list again when the server says 410. The objects are
shared with everyone who reads them: never change one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubetree.api import errors
from kubetree.api.kinds import Kind
from kubetree.client.rest import Client

Object = dict[str, Any]
Key = tuple[str, str]
IndexFunction = Callable[[Object], Iterable[str]]
ChangeFunction = Callable[[Object | None, Object | None], None]

PAGE = 500
FIRST_RETRY, LAST_RETRY = 0.05, 5.0


class Informer:
    """`transform` may slim an object before it is kept. `run()` belongs in a TaskGroup; reads work before and during it."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        transform: Callable[[Object], Object] | None = None,
    ) -> None:
        self.kind = kind
        self._client, self._namespace = client, namespace
        self._label_selector, self._field_selector = label_selector, field_selector
        self._transform = transform
        self._objects: dict[Key, Object] = {}
        self._by_namespace: dict[str, dict[Key, Object]] = {}
        self._index_functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}
        self._handlers: list[ChangeFunction] = []
        self._synced = asyncio.Event()
        self._revision = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    # -- reading

    @property
    def resource_version(self) -> int:
        """The newest resourceVersion seen."""
        return self._revision

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    def get(self, namespace: str, name: str) -> Object | None:
        return self._objects.get((namespace, name))

    def list(self, namespace: str = "") -> Sequence[Object]:
        chosen = self._by_namespace.get(namespace, {}) if namespace else self._objects
        return list(chosen.values())

    def by_index(self, index: str, value: str) -> Sequence[Object]:
        return list(self._indexes[index].get(value, {}).values())

    def __len__(self) -> int:
        return len(self._objects)

    async def synced(self) -> None:
        """Returns once the first list is in the cache and its handlers have been called."""
        await self._synced.wait()

    async def wait_for(self, resource_version: str | int) -> None:
        """Returns once the cache has seen `resource_version`: what the caller wrote is then in it."""
        wanted = int(resource_version)
        if self._revision >= wanted:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        await future

    # -- shaping

    def add_index(self, name: str, function: IndexFunction) -> None:
        """`function` gives the values that an object stands under. Adding one that exists already changes nothing."""
        if name in self._index_functions:
            return
        self._index_functions[name] = function
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._enter(name, key, obj)

    def on_change(self, function: ChangeFunction) -> None:
        """Calls `function(old, new)` for each change: old None for a new object, new None for one that went.

        Objects that are in the cache already are handed over at once.
        """
        self._handlers.append(function)
        for obj in list(self._objects.values()):
            function(None, obj)

    # -- following the server

    async def run(self) -> None:
        """Follows the server until cancelled. Nothing the server does ends it: it tries again with a back-off."""
        delay = FIRST_RETRY
        while True:
            try:
                await self._follow_list()
                self._synced.set()
                while True:
                    before = self._revision
                    await self._follow_watch()
                    delay = FIRST_RETRY
                    if self._revision == before:
                        await asyncio.sleep(FIRST_RETRY)
            except (errors.Expired, errors.Gone):
                await asyncio.sleep(FIRST_RETRY)
            except errors.ApiError:
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY)

    async def _follow_list(self) -> None:
        """Makes the cache equal to a list of the server's."""
        seen: dict[Key, Object] = {}
        token = ""
        while True:
            page = await self._client.list(
                self.kind,
                self._namespace,
                limit=PAGE,
                continue_=token,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
            )
            api_version, kind = self.kind.api_version, self.kind.kind
            for item in page.get("items") or ():
                seen[_key(item)] = {"apiVersion": api_version, "kind": kind, **item}
            token = page["metadata"].get("continue", "")
            if not token:
                break
        for key in [key for key in self._objects if key not in seen]:
            self._set(key, None)
        for key, obj in seen.items():
            if _version(self._objects.get(key)) != _version(obj):
                self._set(key, obj)
        self._advance(int(page["metadata"].get("resourceVersion") or 0))

    async def _follow_watch(self) -> None:
        stream = self._client.watch(
            self.kind,
            self._namespace,
            resource_version=str(self._revision),
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        async for type_, obj in stream:
            if type_ != "BOOKMARK":
                self._set(_key(obj), None if type_ == "DELETED" else obj)
            self._advance(int(obj["metadata"]["resourceVersion"]))

    def _advance(self, revision: int) -> None:
        self._revision = max(self._revision, revision)
        if not self._waiting:
            return
        still: list[tuple[int, asyncio.Future[None]]] = []
        for wanted, future in self._waiting:
            if future.done():
                continue
            if wanted <= self._revision:
                future.set_result(None)
            else:
                still.append((wanted, future))
        self._waiting = still

    def _set(self, key: Key, obj: Object | None) -> None:
        """Puts an object in the cache, or takes it out, and tells the handlers."""
        old = self._objects.get(key)
        if obj is not None and self._transform is not None:
            obj = self._transform(obj)
        if old is not None:
            for name in self._index_functions:
                self._leave(name, key, old)
        if obj is None:
            if old is None:
                return
            del self._objects[key]
            siblings = self._by_namespace[key[0]]
            del siblings[key]
            if not siblings:
                del self._by_namespace[key[0]]
        else:
            self._objects[key] = obj
            self._by_namespace.setdefault(key[0], {})[key] = obj
            for name in self._index_functions:
                self._enter(name, key, obj)
        for handler in self._handlers:
            handler(old, obj)

    def _enter(self, index: str, key: Key, obj: Object) -> None:
        for value in self._index_functions[index](obj):
            self._indexes[index].setdefault(value, {})[key] = obj

    def _leave(self, index: str, key: Key, obj: Object) -> None:
        entries = self._indexes[index]
        for value in self._index_functions[index](obj):
            if value in entries:
                entries[value].pop(key, None)
                if not entries[value]:
                    del entries[value]


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _version(obj: Object | None) -> str | None:
    return obj["metadata"].get("resourceVersion") if obj is not None else None
