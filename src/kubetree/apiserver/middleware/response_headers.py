"""Headers that every answer has when the administrator asks for them: CORS, HSTS; and connections that are ended by chance.

Follows server/filters: cors.go, hsts.go and goaway.go. What is not asked for has no layer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from aiohttp import web

from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.wire.answers import Answer

_METHODS = "POST, GET, OPTIONS, PUT, DELETE, PATCH"
_HEADERS = "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since"


def answer_headers(config: Config, chance: Callable[[], float] = random.random) -> list[Middleware]:
    """The layers that the configuration asks for, innermost first."""
    layers: list[Middleware] = []
    if config.cors_allowed_origins:
        layers.append(allow_origins(config.cors_allowed_origins))
    if config.goaway_chance:
        layers.append(close_by_chance(config.goaway_chance, chance))
    if config.strict_transport_security_directives:
        layers.append(_always({"Strict-Transport-Security": "; ".join(config.strict_transport_security_directives)}))
    return layers


def allow_origins(patterns: Sequence[str]) -> Middleware:
    """Browsers may read answers from pages of these origins: regular expressions that may match anywhere."""
    allowed = [re.compile(pattern) for pattern in patterns]

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            origin = ctx.headers.get("Origin", "")
            if not origin or not any(pattern.search(origin) for pattern in allowed):
                return await inner(ctx)
            headers = {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _HEADERS,
                "Access-Control-Expose-Headers": "Date",
                "Access-Control-Allow-Credentials": "true",
            }
            if ctx.method == "OPTIONS":
                return Answer(b"", 204, {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", **headers})
            return await _with(ctx, inner, headers)

        return handle

    return wrap


def close_by_chance(chance: float, next_number: Callable[[], float]) -> Middleware:
    """So that clients come again, perhaps to another server: upstream tells HTTP/2 clients to go away, here connections are closed."""

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            response = await inner(ctx)
            if next_number() < chance and ctx.fresh:
                response.force_close()
            return response

        return handle

    return wrap


def _always(headers: dict[str, str]) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            return await _with(ctx, inner, headers)

        return handle

    return wrap


async def _with(ctx: RequestContext, inner: Handler, headers: dict[str, str]) -> web.StreamResponse:
    """Streams read `ctx.answer_headers` when they begin; other answers get them at the end."""
    ctx.answer_headers = {**(ctx.answer_headers or {}), **headers}
    response = await inner(ctx)
    if not response.prepared:
        response.headers.update(headers)
    return response
