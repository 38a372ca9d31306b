"""The paths that are no resources: version, health, metrics, OpenAPI."""

from __future__ import annotations

import platform
from typing import Any

from aiohttp import web

from kubetree.api.feature_gates import Features
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.options.config import GIT_VERSION, VERSION_MAJOR, VERSION_MINOR
from kubetree.apiserver.pages import debug as debug_pages
from kubetree.apiserver.pages.health import Health
from kubetree.apiserver.pages.openapi import OpenAPI
from kubetree.apiserver.pages.zpages import ZPages
from kubetree.apiserver.wire.negotiation import JSON, Output, not_routed, routed
from kubetree.apiserver.wire.responses import answer_object, answer_text

Object = dict[str, Any]


def version_info() -> Object:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": VERSION_MAJOR,
        "minor": VERSION_MINOR,
        "emulationMajor": VERSION_MAJOR,
        "emulationMinor": VERSION_MINOR,
        "minCompatibilityMajor": VERSION_MAJOR,
        "minCompatibilityMinor": str(int(VERSION_MINOR) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{machine}",
    }


async def version(ctx: RequestContext) -> web.StreamResponse:
    """Always JSON, indented."""
    if not routed(ctx.headers.get("Accept", ""), (JSON.media_type,)):
        raise not_routed(JSON.media_type)
    return answer_object(ctx, version_info(), Output(pretty=True))


_METRICS = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


def add_pages(
    dispatcher: Dispatcher, health: Health, metrics: Metrics, openapi: OpenAPI, zpages: ZPages, features: Features, *, profiling: bool
) -> None:
    async def scrape(ctx: RequestContext) -> web.StreamResponse:
        if ctx.method == "DELETE" and profiling:
            metrics.reset()
            return answer_text(ctx, "metrics reset\n")
        return answer_text(ctx, metrics.render(), content_type=_METRICS)

    async def indicators(ctx: RequestContext) -> web.StreamResponse:
        return answer_text(ctx, health.render(), content_type=_METRICS)

    dispatcher.pages |= {"/version": version, "/metrics": scrape, "/metrics/slis": indicators}
    for path, page, gate in (("/statusz", zpages.statusz, "ComponentStatusz"), ("/flagz", zpages.flagz, "ComponentFlagz")):
        if gate in features:
            dispatcher.pages[path] = page
    dispatcher.pages |= {"/openapi/v2": openapi.v2, "/openapi/v3": openapi.v3, "/openapi/v3/": openapi.v3}
    for endpoint in ("/healthz", "/livez", "/readyz"):
        dispatcher.pages[endpoint] = dispatcher.pages[f"{endpoint}/"] = health.handle
    if profiling:
        dispatcher.pages |= debug_pages.PAGES
