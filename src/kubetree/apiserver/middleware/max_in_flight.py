"""How many requests are worked on at once where priority and fairness is off: reads and writes each have their number.

Follows server/filters/maxinflight.go, but that the next ones wait in line for a while; members of system:masters are exempt.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

from kubetree.api.errors import TooManyRequests
from kubetree.apiserver.authentication.user import MASTERS_GROUP
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.middleware.timeout import is_long_running

_READS = frozenset({"get", "list", "watch"})
_WAITING_PER_SEAT = 50


class Seats:
    """`count` requests at once, `waiting` more in line."""

    def __init__(self, count: int, waiting: int) -> None:
        self._free, self._longest = count, waiting
        self._line: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Raises TooManyRequests when the line is full."""
        if self._free:
            self._free -= 1
            return
        if len(self._line) >= self._longest:
            raise TooManyRequests("too many requests, please try again later.", retry_after=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def limit_requests(reads: int, writes: int, metrics: Metrics) -> Middleware:
    """0: no limit. Watches, logs and proxies, which live long, take no seat."""
    seats = {
        kind: Seats(count, count * _WAITING_PER_SEAT) if count else None for kind, count in (("readOnly", reads), ("mutating", writes))
    }

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            kind = "readOnly" if ctx.info.verb in _READS else "mutating"
            taken = seats[kind]
            if taken is None or MASTERS_GROUP in ctx.user.groups or is_long_running(ctx):
                return await inner(ctx)
            try:
                await taken.take()
            except TooManyRequests:
                ctx.routed = False
                raise
            metrics.inflight[kind] += 1
            try:
                return await inner(ctx)
            finally:
                metrics.inflight[kind] -= 1
                taken.give()

        return handle

    return wrap
