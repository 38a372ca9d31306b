"""One informer a kind for all duties together, and waiting until a cache shows what was written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.objects import namespace_name
from kubetree.client import Client, Informer
from kubetree.controllers.slimming import slimming
from kubetree.controllers.snapshot import (
    BY_CONTROLLER,
    BY_NODE,
    CacheSnapshot,
    Dependents,
    IndexFunction,
    KindId,
    by_controller,
    by_node,
    kind_id,
)

Object = dict[str, Any]
Key = tuple[str, str]
Predicate = Callable[[Object | None], bool]


class SharedInformers:
    """Asked for before `run`, an informer starts with it; asked for later, at once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[KindId, Informer] = {}
        self._dependents: Dependents = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[KindId, asyncio.Task[None]] = {}
        self._waiting: dict[tuple[KindId, Key], list[tuple[Predicate, asyncio.Future[None]]]] = {}
        self.snapshot = CacheSnapshot(self._informers, self._dependents)

    def informer(self, kind: Kind, *, named: bool = True) -> Informer:
        """The informer of `kind`, with the index by controller, and for pods by node. `named` False: followed as one of all kinds,
        so that its metadata will do."""
        found = self._informers.get(kind_id(kind))
        if found is None:
            found = self._informers[kind_id(kind)] = Informer(self._client, kind, transform=slimming(kind, named=named))
            found.add_index(BY_CONTROLLER, by_controller)
            if (kind.group, kind.kind) == ("", "Pod"):
                found.add_index(BY_NODE, by_node)
            found.on_change(lambda old, new: self._changed(kind, old, new))
            self._start(found)
        return found

    def add_indexes(self, indexes: Mapping[Kind, Mapping[str, IndexFunction]]) -> None:
        for kind, functions in indexes.items():
            for name, function in functions.items():
                self.informer(kind).add_index(name, function)

    def forget(self, kind: Kind) -> None:
        """Stops following a kind that is no longer served."""
        informer = self._informers.pop(kind_id(kind), None)
        if task := self._tasks.pop(kind_id(kind), None):
            task.cancel()
        for obj in informer.list() if informer is not None else ():
            self._leave(kind, obj)

    def followed(self, kind: Kind) -> bool:
        return kind_id(kind) in self._informers

    @property
    def kinds(self) -> list[Kind]:
        return [informer.kind for informer in self._informers.values()]

    async def run(self) -> None:
        """Follows all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for informer in self._informers.values():
                self._start(informer)
            await asyncio.Event().wait()

    async def synced(self, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            await self.informer(kind).synced()

    async def until(self, kind: Kind, key: Key, holds: Predicate) -> None:
        """Returns once `holds` is true of the object as the cache has it (None: it has none)."""
        if holds(self.informer(kind).get(*key)):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault((kind_id(kind), key), [])
        waiting.append((holds, future))
        try:
            await future
        finally:
            if (holds, future) in waiting:
                waiting.remove((holds, future))
            if not waiting:
                self._waiting.pop((kind_id(kind), key), None)

    def _start(self, informer: Informer) -> None:
        if self._group is not None and kind_id(informer.kind) not in self._tasks:
            self._tasks[kind_id(informer.kind)] = self._group.create_task(informer.run())

    def _leave(self, kind: Kind, obj: Object) -> None:
        """Takes an object out of the index by owner."""
        for reference in obj["metadata"].get("ownerReferences") or ():
            if (entries := self._dependents.get(reference["uid"])) is not None:
                entries.pop((*kind_id(kind), *namespace_name(obj)), None)
                if not entries:
                    del self._dependents[reference["uid"]]

    def _changed(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        if old is not None:
            self._leave(kind, old)
        if new is not None:
            for reference in new["metadata"].get("ownerReferences") or ():
                entries = self._dependents.setdefault(reference["uid"], {})
                entries[(*kind_id(kind), *namespace_name(new))] = (kind, new)
        if not self._waiting:
            return
        either = new or old
        assert either is not None
        for holds, future in self._waiting.get((kind_id(kind), namespace_name(either)), ()):
            if not future.done() and holds(new):
                future.set_result(None)
