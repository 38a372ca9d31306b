"""Objects of a kind by namespace, kept until one of them changes: most namespaces have no quota, and every write asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from kubetree.api.kinds import Kind
from kubetree.apiserver.lister import Lister

_CACHE_LIMIT = 16384
_TRUST = 30.0


class Reader(Protocol):
    """The part of registry.Writer that is needed here."""

    async def list(self, kind: Kind, namespace: str = "") -> list[dict[str, Any]]: ...


class ByNamespace:
    """Called with a namespace, it gives the objects in it: shared, never to be changed. `clock` gives seconds that only grow."""

    def __init__(self, lister: Lister, kind: Kind, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._lister, self._kind, self._reader, self._clock = lister, kind, reader, clock
        self._asked: dict[str, float] = {}
        self._generation = -1
        self._found: dict[str, Sequence[dict[str, Any]]] = {}

    def __call__(self, namespace: str) -> Sequence[dict[str, Any]]:
        generation = self._lister.generation(self._kind)
        if generation != self._generation:
            self._found = {}
            self._generation = generation
        found = self._found.get(namespace)
        if found is None:
            if len(self._found) >= _CACHE_LIMIT:
                self._found = {}
            found = self._found[namespace] = self._lister.list(self._kind, namespace)
        return found

    def doubtful(self, namespace: str) -> bool:
        """Whether the cache has none there and has not been made to `catch_up` within half a minute: another server may have just written
        the first of them. As upstream's live lookups."""
        return not self(namespace) and self._asked.get(namespace, 0.0) <= self._clock()

    async def catch_up(self, namespace: str) -> None:
        """Raises StoreUnavailable."""
        await self._reader.list(self._kind, namespace)
        if len(self._asked) >= _CACHE_LIMIT:
            self._asked = {}
        self._asked[namespace] = self._clock() + _TRUST
