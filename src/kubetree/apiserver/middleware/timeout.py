"""How long a request may take: its `timeout` parameter, at most the server's own limit. Watches, logs and proxies are exempt."""

from __future__ import annotations

import asyncio
import math

from aiohttp import web

from kubetree.api.errors import BadRequest, Timeout
from kubetree.api.times import parse_duration
from kubetree.apiserver.context import Handler, Middleware, RequestContext

_LONG_VERBS = frozenset({"watch", "proxy"})
_LONG_SUBRESOURCES = frozenset({"attach", "exec", "log", "portforward", "proxy"})


class Deadlines:
    """When requests under way must be done.

    Those that have the same time are looked at now and then rather than with a timer each, of which nearly all would be cancelled again.
    A request is ended up to a twentieth of `longest` seconds (at most half a second) late.
    """

    def __init__(self, longest: float) -> None:
        self.longest, self._often = longest, min(longest / 20, 0.5)
        self._running: dict[asyncio.Task[object], float] = {}
        self._shorter: dict[asyncio.Task[object], float] = {}
        self._over: set[asyncio.Task[object]] = set()
        self._watching = False

    @property
    def running(self) -> int:
        """How many requests are under way."""
        return len(self._running) + len(self._shorter)

    def left(self) -> float:
        """The seconds that the request of this task still has; infinite where that is not known."""
        task = asyncio.current_task()
        if task is None:
            return math.inf
        end = self._shorter.get(task) or self._running.get(task)
        return math.inf if end is None else end - asyncio.get_running_loop().time()

    async def limited_to(self, seconds: float, inner: Handler, ctx: RequestContext) -> web.StreamResponse:
        """Raises TimeoutError when the time is over."""
        task = asyncio.current_task()
        assert task is not None
        async with asyncio.timeout(seconds) as limit:
            self._shorter[task] = limit.when() or 0.0
            try:
                return await inner(ctx)
            finally:
                del self._shorter[task]

    async def limited(self, inner: Handler, ctx: RequestContext) -> web.StreamResponse:
        """Raises TimeoutError when the time is over."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._running[task] = loop.time() + self.longest
        if not self._watching:
            self._watching = True
            loop.call_later(self._often, self._look, loop)
        try:
            return await inner(ctx)
        except asyncio.CancelledError:
            if task in self._over and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            del self._running[task]
            self._over.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, end in self._running.items():
            if end > now:
                break  # the others came later
            if task not in self._over:
                self._over.add(task)
                task.cancel()
        self._watching = bool(self._running)
        if self._watching:
            loop.call_later(self._often, self._look, loop)


def limit_time(deadlines: Deadlines) -> Middleware:
    """Follows endpoints/filters/request_deadline.go and server/filters/timeout.go."""

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            if is_long_running(ctx):
                return await inner(ctx)
            try:
                if not ctx.query or not ctx.first("timeout"):
                    return await deadlines.limited(inner, ctx)
                return await deadlines.limited_to(requested_timeout(ctx.first("timeout"), deadlines.longest), inner, ctx)
            except TimeoutError:
                raise TimedOut from None

        return handle

    return wrap


_MESSAGE = "Timeout: request did not complete within the allotted timeout"
TIMED_OUT = f'{{"metadata":{{}},"status":"Failure","message":"{_MESSAGE}","reason":"Timeout","details":{{}},"code":504}}\n'
"""What upstream's filter answers with, in whatever format an answer was asked for: a Status that does not say that it is one, as text."""


class TimedOut(Timeout):
    """The time of a request is over."""

    def __init__(self) -> None:
        super().__init__(_MESSAGE, empty_details=True)


def is_long_running(ctx: RequestContext) -> bool:
    info = ctx.info
    return info.verb in _LONG_VERBS or (info.is_resource and info.subresource in _LONG_SUBRESOURCES)


def requested_timeout(text: str, longest: float) -> float:
    """Raises BadRequest for a duration that cannot be read. Zero asks for the default."""
    if not text:
        return longest
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadRequest(f"invalid timeout specified in the request URL - {error}") from None
    return min(seconds, longest) if seconds > 0 else longest
