"""The paths that are no resources: version, health, metrics, OpenAPI."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from kubetree.api.kinds import Kinds
from kubetree.api.openapi import (
    PROTO_V2_MEDIA_TYPES,
    document_hash,
    document_names,
    encode_proto_v2,
    openapi_v2,
    openapi_v3_document,
    openapi_v3_index,
)
from kubetree.apiserver import debug_pages
from kubetree.apiserver.answers import Answer
from kubetree.apiserver.config import GIT_VERSION, VERSION_MAJOR, VERSION_MINOR
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.health import Health
from kubetree.apiserver.metrics import Metrics
from kubetree.apiserver.negotiation import JSON, Output, not_routed, routed
from kubetree.apiserver.responses import GZIP_THRESHOLD, accepts_gzip, answer_object, answer_text, gzip_fast, not_found_page
from kubetree.apiserver.zpages import ZPages

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


class OpenAPI:
    """The documents, made at first use and kept until the table of kinds changes."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._made: dict[str, tuple[bytes, str]] = {}
        self._packed: dict[str, bytes] = {}

    def changed(self) -> None:
        self._made.clear()
        self._packed.clear()

    def _document(self, name: str, make: Callable[[], Object]) -> tuple[bytes, str]:
        made = self._made.get(name)
        if made is None:
            data = orjson.dumps(make())
            made = self._made[name] = (data, hashlib.sha512(data).hexdigest().upper())
        return made

    async def v2(self, ctx: RequestContext) -> web.StreamResponse:
        """JSON, or gnostic's protobuf for clients that ask for it, as client-go's discovery does."""
        accepted = ctx.headers.get("Accept", "")
        if not any(known in accepted for known in PROTO_V2_MEDIA_TYPES):
            return self._answer(ctx, *self._document("v2", lambda: openapi_v2(self._kinds)))
        if "v2 protobuf" not in self._made:
            data = encode_proto_v2(openapi_v2(self._kinds))
            self._made["v2 protobuf"] = (data, hashlib.sha512(data).hexdigest().upper())
        return self._answer(ctx, *self._made["v2 protobuf"], media_type=PROTO_V2_MEDIA_TYPES[0])

    async def v3(self, ctx: RequestContext) -> web.StreamResponse:
        """The index and, below it, the documents that it names. With the hash of the index they may be kept for ever."""
        name = ctx.path.removeprefix("/openapi/v3").strip("/")
        if not name:
            return self._answer(ctx, *self._document("v3", lambda: openapi_v3_index(self._kinds)))
        if name not in self._made and name not in document_names(self._kinds):
            return not_found_page(ctx)
        data, _ = self._document(name, lambda: openapi_v3_document(self._kinds, name) or {})
        tag, asked = document_hash(self._kinds, name), ctx.first("hash")
        if asked and asked != tag:
            return web.Response(status=301, headers={"Location": f"/openapi/v3/{name}?hash={tag}", "Audit-Id": ctx.audit_id})
        return self._answer(ctx, data, tag, immutable=bool(asked))

    def _answer(
        self, ctx: RequestContext, data: bytes, tag: str, *, immutable: bool = False, media_type: str = "application/json"
    ) -> web.StreamResponse:
        caching = "public, immutable" if immutable else "no-cache, private"
        headers = {"Audit-Id": ctx.audit_id, "Etag": f'"{tag}"', "Cache-Control": caching, "Vary": "Accept"}
        if ctx.headers.get("If-None-Match", "").strip('"') == tag:
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = media_type
        if len(data) > GZIP_THRESHOLD and accepts_gzip(ctx.headers):
            packed = self._packed.get(tag)
            if packed is None:
                packed = self._packed[tag] = gzip_fast(data)
            data = packed
            headers["Content-Encoding"] = "gzip"
        return Answer(data, 200, headers)


_METRICS = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


def add_pages(dispatcher: Dispatcher, health: Health, metrics: Metrics, kinds: Kinds, zpages: ZPages, *, profiling: bool) -> OpenAPI:
    openapi = OpenAPI(kinds)

    async def scrape(ctx: RequestContext) -> web.StreamResponse:
        if ctx.method == "DELETE" and profiling:
            metrics.reset()
            return answer_text(ctx, "metrics reset\n")
        return answer_text(ctx, metrics.render(), content_type=_METRICS)

    async def indicators(ctx: RequestContext) -> web.StreamResponse:
        return answer_text(ctx, health.render(), content_type=_METRICS)

    dispatcher.pages |= {"/version": version, "/metrics": scrape, "/metrics/slis": indicators}
    dispatcher.pages |= {"/statusz": zpages.statusz, "/flagz": zpages.flagz}
    dispatcher.pages |= {"/openapi/v2": openapi.v2, "/openapi/v3": openapi.v3, "/openapi/v3/": openapi.v3}
    for endpoint in ("/healthz", "/livez", "/readyz"):
        dispatcher.pages[endpoint] = dispatcher.pages[f"{endpoint}/"] = health.handle
    if profiling:
        dispatcher.pages |= debug_pages.PAGES
    return openapi
