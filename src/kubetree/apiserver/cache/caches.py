"""All watch caches of an API server: made when a kind is first asked for, run together, and the Lister over them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from kubetree.api.kind_table import storage_row
from kubetree.api.kinds import Behaviour, Kind
from kubetree.apiserver.cache.cacher import Cacher
from kubetree.apiserver.cache.window import WindowLimits
from kubetree.apiserver.wire.encoding import decode, encode
from kubetree.store.protocol import Store

Object = dict[str, Any]


def _canonical(behaviour: Behaviour, value: bytes) -> bytes:
    return value if behaviour.has_written(value) else encode(behaviour.canonical(decode(value)))


class Caches:
    """`cache_of` gives the one Cacher of a kind, whichever of its versions is asked for. Caches fill while `run` runs.

    A custom resource's cache is made anew when its definition changes: `forget` the old one first.
    """

    def __init__(self, store: Store, *, limits: Callable[[Kind], WindowLimits | None] | None = None) -> None:
        self._store, self._limits = store, limits
        self.by_prefix: dict[str, Cacher] = {}
        """Those that exist, for the lister."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def cache_of(self, kind: Kind) -> Cacher:
        """Of a served or a storage row; a new cache starts to fill at once when `run` runs."""
        cacher = self.by_prefix.get(kind.prefix)
        if cacher is None:
            storage = storage_row(kind)
            cacher = Cacher(
                self._store,
                storage,
                canonical=partial(_canonical, kind.behaviour) if kind.behaviour is not None else None,
                limits=self._limits(storage) if self._limits is not None else None,
            )
            self.by_prefix[kind.prefix] = cacher
            self._start(cacher)
        return cacher

    def forget(self, kind: Kind) -> None:
        """Stops and drops the cache of a kind that is no longer served."""
        cacher = self.by_prefix.pop(kind.prefix, None)
        if cacher is not None:
            cacher.end_watches()
        task = self._tasks.pop(kind.prefix, None)
        if task is not None:
            task.cancel()

    def __iter__(self) -> Iterator[Cacher]:
        return iter(list(self.by_prefix.values()))

    async def run(self) -> None:
        """Keeps all caches up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for cacher in self.by_prefix.values():
                    self._start(cacher)
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def ready(self) -> None:
        """Returns once every cache that exists now has been filled."""
        for cacher in list(self.by_prefix.values()):
            await cacher.ready()

    def _start(self, cacher: Cacher) -> None:
        if self._group is not None:
            prefix = cacher.kind.prefix
            self._tasks[prefix] = self._group.create_task(cacher.run(), name=f"watch cache of {prefix}")


class CacheLister:
    """`lister.Lister` over the caches."""

    def __init__(self, caches: Caches) -> None:
        self._caches, self._by_prefix = caches, caches.by_prefix

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        entry = self._caches.cache_of(kind).get(f"{kind.prefix}{namespace}/{name}" if kind.namespaced else kind.prefix + name)
        return entry.obj if entry is not None else None

    def list(self, kind: Kind, namespace: str = "") -> Sequence[Object]:
        prefix = f"{kind.prefix}{namespace}/" if namespace and kind.namespaced else ""
        return [entry.obj for entry in self._caches.cache_of(kind).items(prefix)]

    def selected(self, kind: Kind, field: str, value: str) -> Iterable[Object]:
        entries = self._caches.cache_of(kind).items(index={field: value})
        return [entry.obj for entry in entries if entry.fields.get(field, "") == value]

    def generation(self, kind: Kind) -> int:
        cacher = self._by_prefix.get(kind.prefix)
        return cacher.generation if cacher is not None else self._caches.cache_of(kind).generation
