"""One informer a kind for all duties together, and waiting until a cache shows what was written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.client import Client, Informer
from kubetree.controllers.snapshot import BY_CONTROLLER, BY_NODE, CacheSnapshot, IndexFunction, by_controller, by_node

Object = dict[str, Any]
Key = tuple[str, str]
Predicate = Callable[[Object | None], bool]


def slim(obj: Object) -> Object:
    """Drops managedFields, which no controller reads and which are a third of a small object."""
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {field: value for field, value in metadata.items() if field != "managedFields"}}


class SharedInformers:
    """Asked for before `run`, an informer starts with it; asked for later, at once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[Kind, Informer] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Kind, asyncio.Task[None]] = {}
        self._waiting: dict[tuple[Kind, Key], list[tuple[Predicate, asyncio.Future[None]]]] = {}
        self.snapshot = CacheSnapshot(self._informers)

    def informer(self, kind: Kind) -> Informer:
        """The informer of `kind`, with the index by controller, and for pods by node."""
        found = self._informers.get(kind)
        if found is None:
            found = self._informers[kind] = Informer(self._client, kind, transform=slim)
            found.add_index(BY_CONTROLLER, by_controller)
            if (kind.group, kind.kind) == ("", "Pod"):
                found.add_index(BY_NODE, by_node)
            found.on_change(lambda old, new: self._changed(kind, old, new))
            self._start(kind)
        return found

    def add_indexes(self, indexes: Mapping[Kind, Mapping[str, IndexFunction]]) -> None:
        for kind, functions in indexes.items():
            for name, function in functions.items():
                self.informer(kind).add_index(name, function)

    def forget(self, kind: Kind) -> None:
        """Stops following a kind that is no longer served."""
        self._informers.pop(kind, None)
        if task := self._tasks.pop(kind, None):
            task.cancel()

    def followed(self, kind: Kind) -> bool:
        return kind in self._informers

    @property
    def kinds(self) -> list[Kind]:
        return list(self._informers)

    async def run(self) -> None:
        """Follows all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for kind in self._informers:
                self._start(kind)
            await asyncio.Event().wait()

    async def synced(self, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            await self.informer(kind).synced()

    async def until(self, kind: Kind, key: Key, holds: Predicate) -> None:
        """Returns once `holds` is true of the object as the cache has it (None: it has none)."""
        if holds(self.informer(kind).get(*key)):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault((kind, key), [])
        waiting.append((holds, future))
        try:
            await future
        finally:
            if (holds, future) in waiting:
                waiting.remove((holds, future))
            if not waiting:
                self._waiting.pop((kind, key), None)

    def _start(self, kind: Kind) -> None:
        if self._group is not None and kind not in self._tasks:
            self._tasks[kind] = self._group.create_task(self._informers[kind].run())

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if not self._waiting:
            return
        either = new or old
        assert either is not None
        metadata = either["metadata"]
        for holds, future in self._waiting.get((kind, (metadata.get("namespace", ""), metadata["name"])), ()):
            if not future.done() and holds(new):
                future.set_result(None)
