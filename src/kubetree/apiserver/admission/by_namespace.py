"""Objects of a kind by namespace, kept until one of them changes: most namespaces have no quota, and every write asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.apiserver.lister import Lister

_CACHE_LIMIT = 16384


class ByNamespace:
    """Called with a namespace, it gives the objects in it: shared, never to be changed."""

    def __init__(self, lister: Lister, kind: Kind) -> None:
        self._lister, self._kind = lister, kind
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
