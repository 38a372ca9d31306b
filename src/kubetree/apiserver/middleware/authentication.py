"""Who asks: the first authenticator that knows the credentials, or anonymous where that is allowed."""

from __future__ import annotations

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.context import NOBODY, Authenticator, Handler, Middleware, RequestContext

_ALWAYS_ANONYMOUS = frozenset({"/healthz", "/livez", "/readyz"})


def authenticate(authenticator: Authenticator, *, anonymous: bool) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            user = await authenticator.authenticate(ctx)
            if user is None:
                if not anonymous and ctx.path not in _ALWAYS_ANONYMOUS:
                    raise errors.Unauthorized()
                user = NOBODY
            ctx.user = user
            return await inner(ctx)

        return handle

    return wrap
