"""Who asks: the first authenticator that knows the credentials, or anonymous where that is allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.context import Authenticator, Handler, Middleware, RequestContext

Refused = Callable[[RequestContext, errors.Unauthorized], Awaitable[None]]


def authenticate(authenticator: Authenticator, *, refused: Refused | None = None) -> Middleware:
    """`refused` is told of requests whose credentials are not accepted."""

    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            try:
                ctx.user = await identify(ctx)
            except errors.Unauthorized as error:
                if refused is not None:
                    await refused(ctx, error)
                raise
            return await inner(ctx)

        async def identify(ctx: RequestContext) -> User:
            user = await authenticator.authenticate(ctx)
            if user is None:
                raise errors.Unauthorized()
            return user

        return handle

    return wrap
