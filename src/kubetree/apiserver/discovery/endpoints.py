"""The discovery endpoints: /, /api, /apis and below. Documents are made once per state of the table of kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import orjson
from aiohttp import web

from kubetree.api import errors
from kubetree.api.kinds import Kinds
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.discovery import documents
from kubetree.apiserver.discovery.documents import Served
from kubetree.apiserver.wire.answers import Answer
from kubetree.apiserver.wire.negotiation import OBJECTS, Endpoint, Output, Serializer, negotiate_output
from kubetree.apiserver.wire.responses import answer, not_found_page

Object = dict[str, Any]
_GROUP = "apidiscovery.k8s.io"
_AGGREGATED = b'{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2",'
"""How the document begins; its ETag is of what follows, as upstream's."""


def _aggregated(_: Serializer, group: str, version: str, kind: str) -> bool:
    return group == _GROUP and version == "v2" and kind == "APIGroupDiscoveryList"


class Aggregation(Protocol):
    """What APIServices add to what the table of kinds says."""

    def generation(self) -> int:
        """Changes whenever an APIService does."""
        ...

    def groups(self) -> Mapping[str, list[str]]:
        """Named groups in discovery's order with their versions, the preferred one first."""
        ...

    def others(self) -> Iterable[Served]:
        """What other servers serve."""
        ...


_ROOTS = {"/api": Endpoint(_aggregated), "/apis": Endpoint(_aggregated, routed=False)}
_GROUPS = Endpoint(routed=False)


class Discovery:
    """`changed` must be called when rows come or go. `paths` gives the paths that are no groups, for the root page. `hashes`: lists tell
    a hash of the storage version."""

    def __init__(
        self, kinds: Kinds, address: Callable[[], str], aggregation: Aggregation, paths: Callable[[], Iterable[str]], *, hashes: bool = True
    ) -> None:
        self._kinds, self._address, self._aggregation, self._paths, self._hashes = kinds, address, aggregation, paths, hashes
        self._made: dict[str, tuple[bytes, str]] = {}
        self._generation = -1

    def changed(self) -> None:
        self._made.clear()

    async def handle(self, ctx: RequestContext) -> web.StreamResponse:
        generation = self._aggregation.generation()
        if generation != self._generation:
            self._made.clear()
            self._generation = generation
        path = ctx.path.rstrip("/")
        if path in ("/api", "/apis"):
            return self._root(ctx, path)
        parts = path.strip("/").split("/")
        match parts:
            case [""]:
                return self._index_page(ctx)
            case ["api", version]:
                made = documents.resource_list(self._kinds, "", version, hashes=self._hashes)
            case ["apis", group]:
                versions = self._aggregation.groups().get(group) or documents.groups(self._kinds).get(group)
                made = {"kind": "APIGroup", "apiVersion": "v1", **documents.group_document(group, versions)} if versions else None
            case ["apis", group, version] if group:
                made = documents.resource_list(self._kinds, group, version, hashes=self._hashes)
            case _:
                made = None
        if made is None:
            if parts[0] == "api" or (len(parts) == 3 and built_in(self._kinds, parts[1])):
                raise no_such_resource()
            return not_found_page(ctx)
        return self._answer(ctx, path, lambda: made, _output(ctx, _GROUPS if len(parts) == 2 and parts[0] == "apis" else OBJECTS))

    def _root(self, ctx: RequestContext, path: str) -> web.StreamResponse:
        endpoint = _GROUPS if ctx.path == "/apis/" else _ROOTS[path]
        output = negotiate_output(ctx.headers.get("Accept", ""), ctx.first("pretty"), ctx.user_agent, endpoint)
        if output.as_kind:
            response = self._answer(ctx, f"{path} aggregated", lambda: self._aggregated(legacy=path == "/api"), output, etag=True)
            if response.status == 200:
                response.headers["Content-Type"] = f"{output.serializer.media_type};g={_GROUP};v=v2;as=APIGroupDiscoveryList"
            return response
        if path == "/api":
            return self._answer(ctx, path, lambda: documents.api_versions(self._address()), output)
        return self._answer(ctx, path, lambda: documents.group_list(self._aggregation.groups()), output)

    def _aggregated(self, *, legacy: bool) -> Object:
        return documents.aggregated(self._kinds, self._aggregation.others(), legacy=legacy)

    def _answer(
        self, ctx: RequestContext, name: str, make: Callable[[], Object], output: Output, *, etag: bool = False
    ) -> web.StreamResponse:
        made = self._made.get(name)
        if made is None:
            data = orjson.dumps(make())
            tag = hashlib.sha512(data).hexdigest().upper()
            if etag:
                data = _AGGREGATED + data[1:]
            made = self._made[name] = (data, tag)
        data, tag = made
        if etag and ctx.headers.get("If-None-Match", "").strip('"') == tag:
            return web.Response(status=304, headers={"Audit-Id": ctx.audit_id, "Etag": f'"{tag}"', "Vary": "Accept"})
        response = answer(ctx, data, output)
        if etag:
            response.headers["Etag"] = f'"{tag}"'
            response.headers["Cache-Control"] = "public"
            response.headers["Vary"] = "Accept"
        return response

    def _index_page(self, ctx: RequestContext) -> web.StreamResponse:
        """Always JSON and always indented."""
        headers = {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", "Content-Type": "application/json"}
        return Answer(orjson.dumps({"paths": self._index()}, option=orjson.OPT_INDENT_2), 200, headers)

    def _index(self) -> list[str]:
        found = {"/api", "/api/v1", "/apis", "/apis/", *self._paths()}
        for group, versions in documents.groups(self._kinds).items():
            found.add(f"/apis/{group}")
            found.update(f"/apis/{group}/{version}" for version in versions)
        for row in self._aggregation.others():
            found |= {f"/apis/{row.group}", f"/apis/{row.group}/{row.version}"}
        return sorted(found)


def _output(ctx: RequestContext, endpoint: Endpoint = OBJECTS) -> Output:
    return negotiate_output(ctx.headers.get("Accept", ""), ctx.first("pretty"), ctx.user_agent, endpoint)


def built_in(kinds: Kinds, group: str) -> bool:
    """Whether the group has a handler of its own upstream, which answers with a Status for versions and resources that are not."""
    return any(kind.group == group and kind.behaviour is None for kind in kinds)


def no_such_resource() -> errors.NotFound:
    """An unknown resource of a known group and version."""
    return errors.NotFound("the server could not find the requested resource", empty_details=True)


def no_such_method() -> errors.MethodNotSupported:
    return errors.MethodNotSupported("the server does not allow this method on the requested resource", empty_details=True)
