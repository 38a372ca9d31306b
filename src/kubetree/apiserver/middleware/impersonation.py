"""Impersonate-User and its companions: the request goes on as someone else, when its sender is allowed that."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from kubetree.apiserver.authentication.impersonation import impersonate
from kubetree.apiserver.authorization.attributes import Authorizer, settled
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.middleware.authorization import attributes_of


def act_as(authorizer: Authorizer) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            if _asks(ctx):
                other = await settled(partial(impersonate, ctx.headers, attributes_of(ctx), authorizer))
                if other is not None:
                    ctx.impersonated_by = ctx.user
                    ctx.user, ctx.impersonation_constraint = other
            return await inner(ctx)

        return handle

    return wrap


def _asks(ctx: RequestContext) -> bool:
    facts = ctx.facts
    found: bool | None = facts.get("impersonates")
    if found is None:
        found = facts["impersonates"] = any(name[:12].lower() == "impersonate-" for name in ctx.headers)
    return found
