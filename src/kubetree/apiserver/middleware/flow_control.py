"""Requests enter by their priority level: at once where it has a seat to spare, else from its queues, or not at all.

Follows server/filters/priority-and-fairness.go. Connections and logs stay outside; a watch keeps its seats until it has begun.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.flow_control.controller import FlowControl
from kubetree.apiserver.flow_control.levels import WAITS, Place, Traffic
from kubetree.apiserver.flow_control.metrics import FlowMetrics
from kubetree.apiserver.flow_control.queues import QueueSet, Rejected, Ticket
from kubetree.apiserver.metrics.exposition import Histogram
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.middleware.timeout import is_long_running, requested_timeout
from kubetree.apiserver.wire.answers import Answer

_READS = frozenset({"get", "list", "watch"})
_LONGEST_WAIT = 60.0


def take_turns(control: FlowControl, metrics: Metrics, flows: FlowMetrics, timeout: float) -> Middleware:
    """A request waits for a quarter of the time it may take: of `timeout` seconds, or of what it asks for."""

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            watching = ctx.info.verb == "watch"
            if not watching and is_long_running(ctx):
                return await inner(ctx)
            place = control.place(ctx)
            level = place.level
            ctx.flow_headers = place.headers
            if level.exempt and not watching:
                return await _exempt(inner, ctx, place)
            ticket = Ticket(*((1, 0.0) if level.exempt else control.width(ctx, level)), place.schema, place.flow)
            queues, traffic = level.queues, place.traffic
            kind = "readOnly" if ctx.info.verb in _READS else "mutating"
            if not queues.try_enter(ticket, place.hand):
                try:
                    await _wait(ctx, queues, ticket, place, timeout, metrics.inqueue, kind)
                except Rejected as rejected:
                    traffic.rejected[rejected.reason] = traffic.rejected.get(rejected.reason, 0) + 1
                    ctx.routed = False
                    return _refusal(ctx, flows.retry_after(level.name, int(asyncio.get_running_loop().time())))
            else:
                traffic.entered += 1
            if ticket.seats > 1:
                traffic.widths.add(ticket.seats)
            stay = _Stay(queues, ticket, traffic, metrics.inflight, kind, watching)
            if watching:
                ctx.has_begun = stay.end
            try:
                return await inner(ctx)
            finally:
                stay.end()

        async def _exempt(inner: Handler, ctx: RequestContext, place: Place) -> web.StreamResponse:
            queues, traffic, kind = place.level.queues, place.traffic, "readOnly" if ctx.info.verb in _READS else "mutating"
            queues.take_one()
            started = queues.at
            traffic.entered += 1
            traffic.executing += 1
            traffic.seats += 1
            metrics.inflight[kind] += 1
            try:
                return await inner(ctx)
            finally:
                metrics.inflight[kind] -= 1
                traffic.seats -= 1
                traffic.executing -= 1
                queues.give_one()
                traffic.times.add(queues.at - started)

        return handle

    return wrap


async def _wait(
    ctx: RequestContext, queues: QueueSet, ticket: Ticket, place: Place, timeout: float, inqueue: dict[str, int], kind: str
) -> None:
    loop = asyncio.get_running_loop()
    began, executed, traffic = loop.time(), False, place.traffic
    traffic.waiting += 1
    inqueue[kind] += 1
    try:
        await queues.enter(ticket, place.hand, min(requested_timeout(ctx.first("timeout"), timeout) / 4, _LONGEST_WAIT))
        executed = True
    finally:
        inqueue[kind] -= 1
        traffic.waiting -= 1
        if ticket.line:
            traffic.lines.add(ticket.line)
        waited = loop.time() - began
        ctx.waits["apf-queue-wait"] = waited
        traffic.waits.setdefault(executed, Histogram(WAITS)).add(waited)


class _Stay:
    """The time that a request is worked on. `end` may be called again."""

    __slots__ = ("_inflight", "_kind", "_queues", "_started", "_ticket", "_traffic", "_watching")

    def __init__(self, queues: QueueSet, ticket: Ticket, traffic: Traffic, inflight: dict[str, int], kind: str, watching: bool) -> None:
        self._queues: QueueSet | None = queues
        self._ticket, self._inflight, self._kind = ticket, inflight, kind
        self._traffic, self._watching, self._started = traffic, watching, queues.at
        inflight[kind] += 1
        traffic.executing += 1
        traffic.seats += ticket.seats

    def end(self) -> None:
        queues, self._queues = self._queues, None
        if queues is not None:
            self._inflight[self._kind] -= 1
            traffic = self._traffic
            traffic.executing -= 1
            traffic.seats -= self._ticket.seats
            queues.leave(self._ticket)
            (traffic.watches if self._watching else traffic.times).add(queues.at - self._started)


def _refusal(ctx: RequestContext, seconds: int) -> Answer:
    headers = {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", "Content-Type": "text/plain; charset=utf-8"}
    headers |= {"X-Content-Type-Options": "nosniff", "Retry-After": str(seconds), **(ctx.flow_headers or {})}
    return Answer(b"Too many requests, please try again later.\n", 429, headers)
