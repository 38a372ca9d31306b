"""Reads that must not miss what was written a moment ago: the watch cache first, the store when the cache does not have it."""

from __future__ import annotations

from typing import Any, Protocol

from kubetree.api.errors import NotFound
from kubetree.api.kinds import Kind
from kubetree.apiserver.lister import Lister


class Reader(Protocol):
    """The part of registry.Writer that is needed here."""

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]: ...


class LiveObjects:
    """`get` gives a shared object, or None where neither cache nor store has it."""

    def __init__(self, lister: Lister, reader: Reader) -> None:
        self._lister = lister
        self._reader = reader

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        known = self._lister.get(kind, namespace, name)
        if known is not None:
            return known
        try:
            return await self._reader.get(kind, namespace, name)
        except NotFound:
            return None
