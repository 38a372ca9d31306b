"""The chain of admission plugins: each request meets, in order, only those that asked for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from kubetree.apiserver.admission.managed_fields import check_managed_fields
from kubetree.apiserver.admission.metrics import SHORT, AdmissionMetrics
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authorization.attributes import AskElsewhere, settled_later
from kubetree.apiserver.metrics.exposition import Histogram

_ADMIT, _VALIDATE = "admit", "validate"
Run = Callable[[AdmissionRequest], Awaitable[None] | None]


class _Call(NamedTuple):
    """`times` is the plugin's row of the histogram."""

    run: Run
    name: str
    times: Histogram


class _Interested(NamedTuple):
    mutating: tuple[_Call, ...]
    validating: tuple[_Call, ...]


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
            await self._run(_ADMIT, mutating, request, started)
            if request.reinvocation is not None:
                await self._again(request, mutating)
            rejected = False
        finally:
            self.metrics.step_taken(_ADMIT, request.operation, rejected, self._clock() - started)

    async def validate(self, request: AdmissionRequest) -> None:
        validating, started, rejected = self._of(request).validating, self._clock(), True
        try:
            await self._run(_VALIDATE, validating, request, started)
            rejected = False
        finally:
            self.metrics.step_taken(_VALIDATE, request.operation, rejected, self._clock() - started)

    async def _run(self, step: str, calls: Sequence[_Call], request: AdmissionRequest, before: float) -> None:
        clock = self._clock
        for run, name, times in calls:
            try:
                try:
                    waiting = run(request)
                    if waiting is not None:
                        await waiting
                except AskElsewhere:
                    await settled_later(partial(_ran, run, request))
            except BaseException:
                self.metrics.plugins.add(clock() - before, name, step, request.operation, "true")
                raise
            now = clock()
            elapsed = now - before
            if elapsed <= SHORT:
                times.buckets[0] += 1
                times.sum += elapsed
            else:
                times.add(elapsed)
            before = now

    async def _again(self, request: AdmissionRequest, mutating: Sequence[_Call]) -> None:
        """Once more, where a webhook or policy has changed the object: the plugins of the house see what came of it, and so do those
        webhooks and policies that asked to. Follows admission/reinvocation.go."""
        reinvocation = request.reinvocation
        assert reinvocation is not None
        if reinvocation.wanted:
            reinvocation.running = True
            await self._run(_ADMIT, mutating, request, self._clock())
            check_managed_fields(request, reinvocation.managers)

    def _of(self, request: AdmissionRequest) -> _Interested:
        key = (request.operation, request.kind.group_resource, request.subresource)
        found = self._interested.get(key)
        if found is None:
            wanting = [plugin for plugin in self.plugins if plugin.wants(*key)]
            found = self._interested[key] = _Interested(
                tuple(self._call(p.admit, p, _ADMIT, request) for p in wanting if p.mutates),
                tuple(self._call(p.validate, p, _VALIDATE, request) for p in wanting if p.validates),
            )
        return found

    def _call(self, run: Run, plugin: Plugin, step: str, request: AdmissionRequest) -> _Call:
        return _Call(run, plugin.name, self.metrics.plugins.row(plugin.name, step, request.operation, "false"))


async def _ran(run: Run, request: AdmissionRequest) -> None:
    waiting = run(request)
    if waiting is not None:
        await waiting
