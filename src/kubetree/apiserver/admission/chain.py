"""The chain of admission plugins: each request meets, in order, only those that asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from kubetree.apiserver.admission.managed_fields import check_managed_fields
from kubetree.apiserver.admission.metrics import AdmissionMetrics
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authorization.attributes import AskElsewhere, settled_later


class _Interested(NamedTuple):
    mutating: tuple[Plugin, ...]
    validating: tuple[Plugin, ...]


class AdmissionChain:
    """`plugins` in the order they run. `clock` gives seconds that only grow."""

    def __init__(
        self, plugins: Sequence[Plugin], metrics: AdmissionMetrics | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plugins = tuple(plugins)
        self.metrics = metrics or AdmissionMetrics()
        self._clock = clock
        self._interested: dict[tuple[str, str, str], _Interested] = {}

    async def admit(self, request: AdmissionRequest) -> None:
        mutating, started, rejected = self._of(request).mutating, self._clock(), True
        try:
            for plugin in mutating:
                try:
                    await plugin.admit(request)
                except AskElsewhere:
                    await settled_later(partial(plugin.admit, request))
            if request.reinvocation is not None:
                await self._again(request, mutating)
            rejected = False
        finally:
            self.metrics.step_taken("admit", request.operation, rejected, self._clock() - started)

    async def _again(self, request: AdmissionRequest, mutating: Sequence[Plugin]) -> None:
        """Once more, where a webhook or policy has changed the object: the plugins of the house see what came of it, and so do those
        webhooks and policies that asked to. Follows admission/reinvocation.go."""
        reinvocation = request.reinvocation
        assert reinvocation is not None
        if reinvocation.wanted:
            reinvocation.running = True
            for plugin in mutating:
                await settled_later(partial(plugin.admit, request))
            check_managed_fields(request, reinvocation.managers)

    async def validate(self, request: AdmissionRequest) -> None:
        validating, started, rejected = self._of(request).validating, self._clock(), True
        try:
            for plugin in validating:
                try:
                    await plugin.validate(request)
                except AskElsewhere:
                    await settled_later(partial(plugin.validate, request))
            rejected = False
        finally:
            self.metrics.step_taken("validate", request.operation, rejected, self._clock() - started)

    def _of(self, request: AdmissionRequest) -> _Interested:
        key = (request.operation, request.kind.group_resource, request.subresource)
        found = self._interested.get(key)
        if found is None:
            wanting = [plugin for plugin in self.plugins if plugin.wants(*key)]
            found = _Interested(tuple(p for p in wanting if p.mutates), tuple(p for p in wanting if p.validates))
            self._interested[key] = found
        return found
