"""Events about objects, as client-go's record package: same event again counts up, too many of one source are dropped.

`event` only queues; `run()` writes, so that reporting never holds up work.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.times import format_time
from kubetree.client.rest import Client

EVENT = kind("v1", "Event")

CACHE_SIZE = 4096
QUEUE_SIZE = 1000
MOST_TRIES, RETRY = 12, 1.0
"""How often, and after how many seconds, an event is tried again while the server is away."""
AGGREGATE_AFTER = 10
AGGREGATE_WINDOW = 600.0
BURST, REFILL = 25, 300.0
"""A source may report 25 events about one object at once and one each 300 seconds after, upstream's spam filter."""

_REFERENCE_FIELDS = ("apiVersion", "kind")


def object_reference(obj: dict[str, Any], field_path: str = "") -> dict[str, str]:
    """v1.ObjectReference of an object that carries its apiVersion and kind."""
    metadata = obj.get("metadata", {})
    reference = {field: obj.get(field, "") for field in _REFERENCE_FIELDS}
    for field in ("namespace", "name", "uid", "resourceVersion"):
        reference[field] = metadata.get(field, "")
    reference["fieldPath"] = field_path
    return {field: value for field, value in reference.items() if value}


@dataclass(slots=True)
class _Source:
    """What is known of one source's events about one object: the spam filter's tokens."""

    tokens: float
    refilled: float


@dataclass(slots=True)
class _Group:
    """Events alike but for their message: after ten different messages in ten minutes they become one."""

    messages: set[str]
    started: float


class EventRecorder:
    """`component` and `instance` are the event's source: kubelet and node name, deployment-controller and ''."""

    def __init__(self, client: Client, component: str, instance: str = "", *, now: Callable[[], datetime] | None = None) -> None:
        self._client, self._component, self._instance = client, component, instance
        self._now = now or (lambda: datetime.now(UTC))
        self._queue: deque[dict[str, Any]] = deque(maxlen=QUEUE_SIZE)
        self._some = asyncio.Event()
        self._written: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()
        self._groups: OrderedDict[tuple[str, ...], _Group] = OrderedDict()
        self._sources: OrderedDict[tuple[str, ...], _Source] = OrderedDict()

    def event(
        self, obj: dict[str, Any], type_: str, reason: str, message: str, *, field_path: str = "", annotations: dict[str, str] | None = None
    ) -> None:
        """Reports that something happened to `obj` (an object with apiVersion and kind, or already an ObjectReference)."""
        reference = obj if "metadata" not in obj else object_reference(obj, field_path)
        now = self._now()
        stamp = format_time(now)
        suffix = f"{int(now.timestamp() * 1e9):x}"
        metadata: dict[str, Any] = {
            "name": f"{reference.get('name', '')}.{suffix}{random.randrange(256):02x}",
            "namespace": reference.get("namespace") or "default",
        }
        if annotations:
            metadata["annotations"] = annotations
        self._queue.append(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": metadata,
                "involvedObject": reference,
                "reason": reason,
                "message": message[:1024],
                "source": {"component": self._component, **({"host": self._instance} if self._instance else {})},
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "count": 1,
                "type": type_,
                "reportingComponent": self._component,
                "reportingInstance": self._instance,
            }
        )
        self._some.set()

    async def run(self) -> None:
        """Writes what is queued until cancelled. An event that the server refuses is dropped, as upstream does."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._queue:
                event = self._queue.popleft()
                if self._admitted(event):
                    await self._write(self._aggregated(event))

    async def flush(self) -> None:
        """Writes what is queued now: for a component about to end."""
        while self._queue:
            await self._write(self._aggregated(self._queue.popleft()), tries=1)

    def _admitted(self, event: dict[str, Any]) -> bool:
        key = _about(event)
        now = self._now().timestamp()
        source = self._sources.setdefault(key, _Source(BURST, now))
        _bound(self._sources, key)
        source.tokens = min(BURST, source.tokens + (now - source.refilled) / REFILL)
        source.refilled = now
        if source.tokens < 1:
            return False
        source.tokens -= 1
        return True

    def _aggregated(self, event: dict[str, Any]) -> dict[str, Any]:
        key = (*_about(event), event["type"], event["reason"])
        now = self._now().timestamp()
        group = self._groups.get(key)
        if group is None or now - group.started > AGGREGATE_WINDOW:
            group = self._groups[key] = _Group(set(), now)
        _bound(self._groups, key)
        group.messages.add(event["message"])
        if len(group.messages) < AGGREGATE_AFTER:
            return event
        return {**event, "message": f"(combined from similar events): {event['message']}", "_aggregate": True}

    async def _write(self, event: dict[str, Any], tries: int = MOST_TRIES) -> None:
        aggregate = event.pop("_aggregate", False)
        key = (*_about(event), event["type"], event["reason"], "" if aggregate else event["message"])
        for last in range(tries - 1, -1, -1):
            try:
                self._written[key] = await self._post(event, self._written.get(key))
            except errors.ServiceUnavailable:
                if last:
                    await asyncio.sleep(RETRY)
            except errors.ApiError:
                return
            else:
                _bound(self._written, key)
                return

    async def _post(self, event: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
        """Counts up the event that was written earlier, or writes a new one."""
        if earlier is not None:
            change = {"count": earlier["count"] + 1, "lastTimestamp": event["lastTimestamp"], "message": event["message"]}
            metadata = earlier["metadata"]
            with contextlib.suppress(errors.NotFound):
                return await self._client.patch(EVENT, metadata["name"], change, namespace=metadata["namespace"], type="strategic")
        return await self._client.create(EVENT, event)


def _about(event: dict[str, Any]) -> tuple[str, ...]:
    """What tells one source's events about one object from all others."""
    involved, source = event["involvedObject"], event["source"]
    fields = ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
    return (source["component"], source.get("host", ""), *(involved.get(field, "") for field in fields))


def _bound(cache: OrderedDict[tuple[str, ...], Any], key: tuple[str, ...]) -> None:
    cache.move_to_end(key)
    while len(cache) > CACHE_SIZE:
        cache.popitem(last=False)
