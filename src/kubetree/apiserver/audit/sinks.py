"""Where audit events go: the Protocol, and what stands between a request and a backend: tolerance, truncation, several at once.

Follows apiserver's audit/union.go, plugin/pkg/audit/truncate and server/options/audit.go.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from kubetree.apiserver.audit.legacy_format import event_line
from kubetree.apiserver.audit.policy import LEVELS, Level

log = logging.getLogger(__name__)
Event = dict[str, Any]
"""An audit.k8s.io/v1 Event; nobody changes it any more."""
_TRUNCATED = "audit.k8s.io/truncated"


class Sink(Protocol):
    """Where events go: a backend, or what stands before one."""

    async def process(self, events: Sequence[Event]) -> bool:
        """False: some of the events are not kept. Raises nothing."""
        ...

    async def close(self) -> None:
        """Writes out what still waits. No event comes after it."""
        ...


@dataclass(slots=True)
class Losses:
    """Events that a backend could not keep, by backend: told in the log, counted for the metrics."""

    by_plugin: dict[str, int] = field(default_factory=dict)

    def count(self, plugin: str, error: object, events: Sequence[Event]) -> None:
        self.by_plugin[plugin] = self.by_plugin.get(plugin, 0) + len(events)
        shown = "\n".join(event_line(event) for event in events)
        log.error("Error in audit plugin '%s' affecting %d audit events: %s\nImpacted events:\n%s", plugin, len(events), error, shown)


@dataclass(frozen=True, slots=True)
class Tolerant:
    """A backend whose failures fail no request: modes `blocking` and `batch`."""

    inner: Sink

    async def process(self, events: Sequence[Event]) -> bool:
        await self.inner.process(events)
        return True

    async def close(self) -> None:
        await self.inner.close()


@dataclass(slots=True)
class Counting:
    """How many events come."""

    inner: Sink
    events: int = 0

    async def process(self, events: Sequence[Event]) -> bool:
        self.events += len(events)
        return await self.inner.process(events)

    async def close(self) -> None:
        await self.inner.close()


@dataclass(frozen=True, slots=True)
class Several:
    """All backends get every event, also when one of them fails."""

    inner: tuple[Sink, ...]

    async def process(self, events: Sequence[Event]) -> bool:
        kept = True
        for sink in self.inner:
            kept = await sink.process(events) and kept
        return kept

    async def close(self) -> None:
        for sink in self.inner:
            await sink.close()


@dataclass(frozen=True, slots=True)
class Truncating:
    """Events over `max_event` bytes lose their request and response objects, those still over it are lost; batches are split."""

    inner: Sink
    max_event: int
    max_batch: int
    losses: Losses

    async def process(self, events: Sequence[Event]) -> bool:
        batch: list[Event] = []
        lost: list[Event] = []
        kept, size = True, 0
        for event in events:
            length = _length(event)
            if length > self.max_event and LEVELS[event["level"]] >= Level.REQUEST:
                event = _shortened(event)
                length = _length(event)
            if length > self.max_event:
                lost.append(event)
                continue
            if batch and size + length > self.max_batch:
                kept = await self.inner.process(batch) and kept
                batch, size = [], 0
            batch.append(event)
            size += length
        if batch:
            kept = await self.inner.process(batch) and kept
        if lost:
            self.losses.count("truncate", "event is too large even after truncating", lost)
        return kept

    async def close(self) -> None:
        await self.inner.close()


def _length(event: Event) -> int:
    return len(orjson.dumps(event)) + 1


def _shortened(event: Event) -> Event:
    short = {key: value for key, value in event.items() if key not in ("requestObject", "responseObject")}
    short["annotations"] = {**short.get("annotations", {}), _TRUNCATED: "true"}
    return short
