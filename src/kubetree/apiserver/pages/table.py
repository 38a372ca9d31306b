"""The paths that are no resources: version, health, metrics, OpenAPI."""

from __future__ import annotations

from aiohttp import web

from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.options.program_version import version_info
from kubetree.apiserver.pages import debug as debug_pages
from kubetree.apiserver.pages.health import Health
from kubetree.apiserver.pages.openapi import OpenAPI
from kubetree.apiserver.pages.zpages import ZPages
from kubetree.apiserver.wire.negotiation import JSON, Output, not_routed, routed
from kubetree.apiserver.wire.responses import answer_object, answer_text

_METRICS = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


def add_pages(
    dispatcher: Dispatcher, health: Health, metrics: Metrics, openapi: OpenAPI, zpages: ZPages, reported: str, *, profiling: bool
) -> None:
    """`reported` is the version that the server says it is."""

    async def version(ctx: RequestContext) -> web.StreamResponse:
        """Always JSON, indented."""
        if not routed(ctx.headers.get("Accept", ""), (JSON.media_type,)):
            raise not_routed(JSON.media_type)
        return answer_object(ctx, version_info(reported), Output(pretty=True))

    async def scrape(ctx: RequestContext) -> web.StreamResponse:
        if ctx.method == "DELETE" and profiling:
            metrics.reset()
            return answer_text(ctx, "metrics reset\n")
        return answer_text(ctx, metrics.render(), content_type=_METRICS)

    async def indicators(ctx: RequestContext) -> web.StreamResponse:
        return answer_text(ctx, health.render(), content_type=_METRICS)

    dispatcher.pages |= {"/version": version, "/metrics": scrape, "/metrics/slis": indicators}
    dispatcher.pages |= zpages.pages
    dispatcher.pages |= {"/openapi/v2": openapi.v2, "/openapi/v3": openapi.v3, "/openapi/v3/": openapi.v3}
    for endpoint in ("/healthz", "/livez", "/readyz"):
        dispatcher.pages[endpoint] = dispatcher.pages[f"{endpoint}/"] = health.handle
    if profiling:
        dispatcher.pages |= debug_pages.PAGES
