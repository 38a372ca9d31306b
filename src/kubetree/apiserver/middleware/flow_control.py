"""Requests enter by their priority level: at once where it has a seat to spare, else from its queues, or not at all.

Follows server/filters/priority-and-fairness.go. Connections and logs stay outside; a watch keeps its seats until it has begun.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubetree.apiserver.answers import Answer
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.flow_control.controller import FlowControl
from kubetree.apiserver.flow_control.levels import Place
from kubetree.apiserver.flow_control.metrics import FlowMetrics
from kubetree.apiserver.flow_control.queues import QueueSet, Rejected, Ticket
from kubetree.apiserver.metrics import Metrics
from kubetree.apiserver.middleware.timeout import is_long_running, requested_timeout

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
            queues = level.queues
            if not queues.try_enter(ticket, place.hand):
                try:
                    await _wait(ctx, queues, ticket, place.hand, timeout, flows)
                except Rejected as rejected:
                    flows.rejected(place.schema, level.name, rejected.reason)
                    return _refusal(ctx, flows.retry_after(level.name, int(asyncio.get_running_loop().time())))
            else:
                flows.entered(place.schema, level.name)
            stay = _Stay(queues, ticket, metrics.inflight, "readOnly" if ctx.info.verb in _READS else "mutating")
            if watching:
                ctx.has_begun = stay.end
            try:
                return await inner(ctx)
            finally:
                stay.end()

        async def _exempt(inner: Handler, ctx: RequestContext, place: Place) -> web.StreamResponse:
            queues, kind = place.level.queues, "readOnly" if ctx.info.verb in _READS else "mutating"
            flows.entered(place.schema, place.level.name)
            queues.take_one()
            metrics.inflight[kind] += 1
            try:
                return await inner(ctx)
            finally:
                metrics.inflight[kind] -= 1
                queues.give_one()

        return handle

    return wrap


async def _wait(ctx: RequestContext, queues: QueueSet, ticket: Ticket, hand: tuple[int, ...], timeout: float, flows: FlowMetrics) -> None:
    loop = asyncio.get_running_loop()
    began, executed = loop.time(), False
    try:
        await queues.enter(ticket, hand, min(requested_timeout(ctx.first("timeout"), timeout) / 4, _LONGEST_WAIT))
        executed = True
    finally:
        flows.waited(ticket.schema, loop.time() - began, executed=executed)


class _Stay:
    """The time that a request is worked on. `end` may be called again."""

    __slots__ = ("_inflight", "_kind", "_queues", "_ticket")

    def __init__(self, queues: QueueSet, ticket: Ticket, inflight: dict[str, int], kind: str) -> None:
        self._queues: QueueSet | None = queues
        self._ticket, self._inflight, self._kind = ticket, inflight, kind
        inflight[kind] += 1

    def end(self) -> None:
        queues, self._queues = self._queues, None
        if queues is not None:
            self._inflight[self._kind] -= 1
            queues.leave(self._ticket)


def _refusal(ctx: RequestContext, seconds: int) -> Answer:
    headers = {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", "Content-Type": "text/plain; charset=utf-8"}
    headers |= {"X-Content-Type-Options": "nosniff", "Retry-After": str(seconds), **(ctx.flow_headers or {})}
    return Answer(b"Too many requests, please try again later.\n", 429, headers)
