"""The pages with which others verify this cluster's service-account tokens. Follows pkg/routes/openidmetadata.go."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from kubetree.apiserver.authentication.build import Authentication
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.dispatch import Dispatcher

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"


def add_openid_pages(dispatcher: Dispatcher, authentication: Authentication, address: Callable[[], str]) -> None:
    """`address` gives host:port of this server. Nothing is added where tokens are not verified here or the issuer is no URL."""
    if authentication.openid_configuration("") is None:
        return

    async def configuration(ctx: RequestContext) -> web.StreamResponse:
        return _page(ctx, authentication.openid_configuration(address()), "application/json")

    async def keys(ctx: RequestContext) -> web.StreamResponse:
        return _page(ctx, authentication.openid_keys(), "application/jwk-set+json")

    dispatcher.pages[CONFIGURATION] = configuration
    dispatcher.pages[KEYS] = keys


def _page(ctx: RequestContext, document: bytes | None, content_type: str) -> web.Response:
    headers = {"Audit-Id": ctx.audit_id, "Cache-Control": "public, max-age=3600", "Content-Type": content_type}
    return web.Response(body=document, headers=headers)
