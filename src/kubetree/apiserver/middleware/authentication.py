"""Who asks: the first authenticator that knows the credentials, or anonymous where that is allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.context import Authenticator, Handler, Middleware, RequestContext
from kubetree.apiserver.metrics.access import AccessMetrics

Refused = Callable[[RequestContext, errors.Unauthorized], Awaitable[None]]


def authenticate(authenticator: Authenticator, metrics: AccessMetrics, refused: Refused | None = None) -> Middleware:
    """`refused` is told of requests whose credentials are not accepted."""

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            started = perf_counter()
            try:
                user = await authenticator.authenticate(ctx)
                if user is None:
                    raise _Nobody()
            except errors.Unauthorized as error:
                ctx.routed = False
                metrics.authentication.add("failure" if isinstance(error, _Nobody) else "error", perf_counter() - started)
                if refused is not None:
                    await refused(ctx, error)
                raise
            metrics.authenticated(user.name, perf_counter() - started)
            ctx.user = user
            return await inner(ctx)

        return handle

    return wrap


class _Nobody(errors.Unauthorized):
    """There are no credentials that an authenticator knows, wrong ones neither."""
