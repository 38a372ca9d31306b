"""How long a request may take: its `timeout` parameter, at most the server's own limit. Watches, logs and proxies are exempt."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubetree.api.errors import BadRequest, Timeout
from kubetree.api.times import parse_duration
from kubetree.apiserver.context import Handler, Middleware, RequestContext

_LONG_VERBS = frozenset({"watch", "proxy"})
_LONG_SUBRESOURCES = frozenset({"attach", "exec", "log", "portforward", "proxy"})


def limit_time(longest: float) -> Middleware:
    """`longest` in seconds. Follows endpoints/filters/request_deadline.go and server/filters/timeout.go."""

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            if is_long_running(ctx):
                return await inner(ctx)
            seconds = requested_timeout(ctx.first("timeout"), longest) if ctx.query else longest
            try:
                async with asyncio.timeout(seconds):
                    return await inner(ctx)
            except TimeoutError:
                raise Timeout("Timeout: request did not complete within the allotted timeout", empty_details=True) from None

        return handle

    return wrap


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
