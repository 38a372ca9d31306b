"""Follows FlowSchemas and PriorityLevelConfigurations, and is what the middleware asks: where a request belongs, how wide it is.

Upstream's configController. It decides nothing by itself: see levels.py, shares.py and queues.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kubetree.api import errors
from kubetree.api.times import format_time
from kubetree.apiserver.cache.changes import Changes
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.flow_control.levels import Level, Levels, Place
from kubetree.apiserver.flow_control.maintenance import CONSUMER, FLOW_SCHEMA, PRIORITY_LEVEL, dangling, ensure_objects
from kubetree.apiserver.flow_control.width import ONE, Stored, Width, is_measured, width_of
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Registry, Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
Object = dict[str, Any]
ADJUSTMENT_PERIOD = 10.0
_MAINTENANCE = 6
"""Adjustments between two looks at the objects."""


class FlowControl:
    """`clock` gives the time, UTC, for conditions; seats are measured in the loop's own time."""

    def __init__(self, registry: Registry, lister: Lister, writer: Writer, total: int) -> None:
        self._registry, self._lister, self._writer = registry, lister, writer
        self._clock: Callable[[], datetime] = registry.clock
        self.levels = Levels(total, asyncio.get_running_loop().time)
        self._generation = (-1, -1)

    # -- for the middleware

    def place(self, ctx: RequestContext) -> Place:
        generation = (self._lister.generation(FLOW_SCHEMA), self._lister.generation(PRIORITY_LEVEL))
        if generation != self._generation:
            self._generation = generation
            self._configure()
        return self.levels.place(ctx.user, ctx.info)

    def width(self, ctx: RequestContext, level: Level) -> Width:
        info = ctx.info
        if not info.is_resource or not is_measured(info, ctx.query):
            return ONE
        row = self._registry.kinds.by_resource(info.group, info.version, info.resource)
        if row is None or not row.stored:
            return ONE
        cache = self._registry.resource(row).cache
        return width_of(info, ctx.query, Stored(len(cache), cache.size_guess, cache.watcher_count), level.limits.request)

    # -- by itself

    def _configure(self) -> None:
        self.levels.configure(self._lister.list(FLOW_SCHEMA), self._lister.list(PRIORITY_LEVEL))

    async def run(self) -> None:
        """Until cancelled: statuses as soon as something changes, seats each ten seconds, the objects each minute."""
        rounds = 0
        loop = asyncio.get_running_loop()
        due = loop.time() + ADJUSTMENT_PERIOD
        with Changes(*((self._registry.resource(row).cache, "") for row in (FLOW_SCHEMA, PRIORITY_LEVEL))) as changes:
            while True:
                try:
                    await self._say_what_dangles()
                    if rounds >= _MAINTENANCE:
                        rounds = 0
                        await ensure_objects(self._writer)
                except (errors.ApiError, StoreUnavailable) as error:
                    log.warning("flow schemas and priority levels are looked after later: %s", error)
                await changes.wait(max(0.0, due - loop.time()))
                if loop.time() >= due:
                    due = loop.time() + ADJUSTMENT_PERIOD
                    rounds += 1
                    self.levels.adjust()
                if self.levels.reap():
                    self._configure()

    async def _say_what_dangles(self) -> None:
        levels = {obj["metadata"]["name"] for obj in self._lister.list(PRIORITY_LEVEL)}
        now = format_time(self._clock())
        for schema in self._lister.list(FLOW_SCHEMA):
            condition = dangling(schema, levels, now)
            if condition is None:
                continue
            fields = {"status": {"conditions": [condition]}}
            try:
                await self._writer.apply(FLOW_SCHEMA, "", schema["metadata"]["name"], fields, CONSUMER, subresource="status")
            except (errors.NotFound, errors.Conflict):
                continue
