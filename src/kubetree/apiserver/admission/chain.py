"""The chain of admission plugins: each request meets, in order, only those that asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import AdmissionRequest


class _Interested(NamedTuple):
    mutating: tuple[Plugin, ...]
    validating: tuple[Plugin, ...]


class AdmissionChain:
    """`plugins` in the order they run."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self._interested: dict[tuple[str, str, str], _Interested] = {}

    async def admit(self, request: AdmissionRequest) -> None:
        for plugin in self._of(request).mutating:
            await plugin.admit(request)

    async def validate(self, request: AdmissionRequest) -> None:
        for plugin in self._of(request).validating:
            await plugin.validate(request)

    def _of(self, request: AdmissionRequest) -> _Interested:
        key = (request.operation, request.kind.group_resource, request.subresource)
        found = self._interested.get(key)
        if found is None:
            wanting = [plugin for plugin in self.plugins if plugin.wants(*key)]
            found = _Interested(tuple(p for p in wanting if p.mutates), tuple(p for p in wanting if p.validates))
            self._interested[key] = found
        return found
