"""The discovery endpoints: /, /api, /apis and below. Documents are made once per state of the table of kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from kubetree.api import errors
from kubetree.api.kinds import Kinds
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.discovery import documents
from kubetree.apiserver.negotiation import OBJECTS, Endpoint, Output, Serializer, negotiate_output
from kubetree.apiserver.responses import answer, not_found_page

Object = dict[str, Any]
_GROUP = "apidiscovery.k8s.io"
_PATHS = (
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
)


def _aggregated(serializer: Serializer, group: str, version: str, kind: str) -> bool:
    return group == _GROUP and version in ("v2", "v2beta1") and kind == "APIGroupDiscoveryList"


_ROOTS = {"/api": Endpoint(_aggregated), "/apis": Endpoint(_aggregated, routed=False)}
_GROUPS = Endpoint(routed=False)


class Discovery:
    """`changed` must be called when rows come or go."""

    def __init__(self, kinds: Kinds, address: Callable[[], str]) -> None:
        self._kinds, self._address = kinds, address
        self._made: dict[str, tuple[bytes, str]] = {}

    def changed(self) -> None:
        self._made.clear()

    async def handle(self, ctx: RequestContext) -> web.StreamResponse:
        path = ctx.path.rstrip("/")
        if path in ("/api", "/apis"):
            return self._root(ctx, path)
        parts = path.strip("/").split("/")
        match parts:
            case [""]:
                return self._answer(ctx, "/", lambda: {"paths": self._index()}, _output(ctx))
            case ["api", version]:
                made = documents.resource_list(self._kinds, "", version)
            case ["apis", group]:
                versions = documents.groups(self._kinds).get(group)
                made = {"kind": "APIGroup", "apiVersion": "v1", **documents.group_document(group, versions)} if versions else None
            case ["apis", group, version]:
                made = documents.resource_list(self._kinds, group, version)
            case _:
                made = None
        if made is None:
            return not_found_page(ctx)
        return self._answer(ctx, path, lambda: made, _output(ctx, _GROUPS if len(parts) == 2 and parts[0] == "apis" else OBJECTS))

    def _root(self, ctx: RequestContext, path: str) -> web.StreamResponse:
        output = negotiate_output(ctx.headers.get("Accept", ""), ctx.first("pretty"), ctx.user_agent, _ROOTS[path])
        if output.as_kind:
            version = output.as_version
            name = f"{path} as {version}"
            response = self._answer(
                ctx, name, lambda: documents.aggregated(self._kinds, legacy=path == "/api", version=version), output, etag=True
            )
            if response.status == 200:
                response.headers["Content-Type"] = f"{output.serializer.media_type};g={_GROUP};v={version};as=APIGroupDiscoveryList"
            return response
        if path == "/api":
            return self._answer(ctx, path, lambda: documents.api_versions(self._address()), output)
        return self._answer(ctx, path, lambda: documents.group_list(self._kinds), output)

    def _answer(
        self, ctx: RequestContext, name: str, make: Callable[[], Object], output: Output, *, etag: bool = False
    ) -> web.StreamResponse:
        made = self._made.get(name)
        if made is None:
            data = orjson.dumps(make())
            made = self._made[name] = (data, hashlib.sha512(data).hexdigest().upper())
        data, tag = made
        if etag and ctx.headers.get("If-None-Match", "").strip('"') == tag:
            return web.Response(status=304, headers={"Audit-Id": ctx.audit_id, "Etag": f'"{tag}"', "Vary": "Accept"})
        response = answer(ctx, data, output)
        if etag:
            response.headers["Etag"] = f'"{tag}"'
            response.headers["Cache-Control"] = "public"
            response.headers["Vary"] = "Accept"
        return response

    def _index(self) -> list[str]:
        found = set(_PATHS)
        for group, versions in documents.groups(self._kinds).items():
            found.add(f"/apis/{group}")
            found.update(f"/apis/{group}/{version}" for version in versions)
        for endpoint in ("healthz", "livez", "readyz"):
            found.update(f"/{endpoint}/{check}" for check in ("etcd", "log", "ping"))
        return sorted(found)


def _output(ctx: RequestContext, endpoint: Endpoint = OBJECTS) -> Output:
    return negotiate_output(ctx.headers.get("Accept", ""), ctx.first("pretty"), ctx.user_agent, endpoint)


def known_group_version(kinds: Kinds, group: str, version: str) -> bool:
    return any(k.group == group and k.version == version for k in kinds)


def no_such_resource() -> errors.NotFound:
    """An unknown resource of a known group and version."""
    return errors.NotFound("the server could not find the requested resource", empty_details=True)


def no_such_method() -> errors.MethodNotSupported:
    return errors.MethodNotSupported("the server does not allow this method on the requested resource", empty_details=True)
