"""Requests of another server's groups, passed on to it as they are: every verb, watches as they flow, upgrades as a tunnel.

Follows kube-aggregator's handler_proxy.go. Answers of its own are plain text, as there.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from multidict import CIMultiDict

from kubetree.api.errors import ApiError
from kubetree.apiserver.aggregation.remote import Remote, Transport, Unreachable, identity, is_identity
from kubetree.apiserver.connect.backend import HOP, pass_on, request_body
from kubetree.apiserver.connect.upgrade_tunnel import Target, is_upgrade, tunnel
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.wire.responses import answer_text

DISCOVERY_TIMEOUT = 5.0
"""Seconds for requests that every client makes to find out what there is."""


class Proxy:
    """`redirects`: whether answers that send clients elsewhere are passed on."""

    def __init__(self, transport: Transport, *, redirects: bool = False) -> None:
        self._transport, self._redirects = transport, redirects

    async def forward(self, ctx: RequestContext, remote: Remote) -> web.StreamResponse:
        if not remote.available:
            return answer_text(ctx, "service unavailable\n", 503)
        try:
            tls = self._transport.tls(remote)
        except ValueError as error:
            return answer_text(ctx, f"{error}\n", 500)
        try:
            address = self._transport.address(remote)
        except (ApiError, ValueError):
            return answer_text(ctx, "service unavailable\n", 503)
        if is_upgrade(ctx):
            sent = [*_forwarded(ctx, upgrade=True), *identity(ctx.user)]
            target = Target(address.host, address.port, ctx.http.raw_path, tls, remote.server_name, tuple(sent))
            try:
                return await tunnel(ctx, target)
            except ApiError as error:
                return answer_text(ctx, f"{error.message}\n", 503)
        headers = CIMultiDict([*_forwarded(ctx), *identity(ctx.user)])
        body = request_body(ctx) if ctx.http.body_exists else None
        try:
            async with asyncio.timeout(DISCOVERY_TIMEOUT if _is_discovery(ctx) else None):
                response = await self._transport.open(remote, address, ctx.method, ctx.http.raw_path, headers, body)
        except Unreachable as error:
            return answer_text(ctx, f"{error}\n", 503)
        except TimeoutError:
            if not _is_discovery(ctx):
                raise
            return answer_text(ctx, "context deadline exceeded\n", 503)
        if not self._redirects and 300 <= response.status <= 399 and response.headers.get("Location"):
            response.close()
            return answer_text(ctx, "the backend attempted to redirect this request, which is not permitted", 502)
        return await pass_on(ctx, response)


def _is_discovery(ctx: RequestContext) -> bool:
    return not ctx.info.is_resource and len(ctx.path.strip("/").split("/")) == 3


def _forwarded(ctx: RequestContext, *, upgrade: bool = False) -> list[tuple[str, str]]:
    """The request's headers without those of the connection and without whoever it came as."""
    kept = ("connection", "upgrade") if upgrade else ()
    found = [
        (name, value)
        for name, value in ctx.headers.items()
        if not is_identity(name)
        and (name.lower() not in HOP or name.lower() in kept)
        and name.lower() not in ("audit-id", "x-forwarded-for")
    ]
    found.append(("X-Forwarded-For", ", ".join(filter(None, (ctx.headers.get("X-Forwarded-For", ""), ctx.remote)))))
    found.append(("X-Forwarded-Uri", ctx.path))
    found.append(("Audit-Id", ctx.audit_id))
    return found
