"""/openapi/v2 and /openapi/v3: the documents of this server and of those behind it, made when somebody asks for them.

A document is kept as bytes until the table of kinds changes. Follows kube-openapi's handlers: ETags, redirects to the current hash, what
may be cached for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from aiohttp import web

from kubetree.api.kinds import Kind, Kinds
from kubetree.api.openapi import (
    PROTO_V2_MEDIA_TYPES,
    PROTO_V3_MEDIA_TYPES,
    document_hash,
    document_names,
    encode_proto_v2,
    encode_proto_v3,
    openapi_v2,
    openapi_v3_document,
    openapi_v3_index,
)
from kubetree.api.openapi.merge import merged
from kubetree.apiserver.aggregation.aggregation import Aggregation
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.wire.answers import Answer
from kubetree.apiserver.wire.responses import GZIP_THRESHOLD, accepts_gzip, gzip_fast

Object = dict[str, Any]
_JSON = "application/json"
_YEAR = timedelta(days=365)


def schema_of(kind: Kind) -> Object | None:
    """The schema of a custom resource."""
    return kind.behaviour.schema if kind.behaviour is not None else None


class OpenAPI:
    """`changed` must be called when rows come or go."""

    def __init__(self, kinds: Kinds, aggregation: Aggregation, clock: Callable[[], Any]) -> None:
        self._kinds, self._aggregation, self._clock = kinds, aggregation, clock
        self._made: dict[str, tuple[bytes, str]] = {}
        self._packed: dict[str, bytes] = {}
        self._joined = ""
        self._making = asyncio.Lock()

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
        """JSON, or gnostic's protobuf for clients that ask for it, as client-go's discovery does. Both have the ETag of the JSON."""
        media_type = accepted(ctx.headers.get("Accept", ""), (_JSON, *PROTO_V2_MEDIA_TYPES))
        if not media_type:
            return _not_acceptable(ctx)
        async with self._making:
            others = await self._aggregation.documents.v2() if self._aggregation.remotes else []
            joined = self._aggregation.documents.state() if others else ""
            if joined != self._joined:
                self._made = {name: made for name, made in self._made.items() if not name.startswith("v2")}
                self._joined = joined
            data, tag = self._document("v2", lambda: self._v2(others))
            if media_type != _JSON:
                if "v2 protobuf" not in self._made:
                    self._made["v2 protobuf"] = (encode_proto_v2(orjson.loads(data)), tag)
                data = self._made["v2 protobuf"][0]
        return self._answer(ctx, data, tag, media_type=_JSON if media_type == _JSON else PROTO_V2_MEDIA_TYPES[0])

    def _v2(self, others: Sequence[Object]) -> Object:
        document = openapi_v2(self._kinds, schema_of)
        for other in others:
            document = merged(document, other)
        return document

    async def v3(self, ctx: RequestContext) -> web.StreamResponse:
        """The index and, below it, the documents that it names. With the hash of the index they may be kept for ever."""
        name = ctx.path.removeprefix("/openapi/v3").strip("/")
        if not name:
            return await self._index(ctx)
        media_type = accepted(ctx.headers.get("Accept", ""), (_JSON, *PROTO_V3_MEDIA_TYPES))
        if not media_type:
            return _not_acceptable(ctx)
        documents = self._aggregation.documents
        remote = documents.owner(name) if self._aggregation.remotes else None
        if remote is not None:
            found = await documents.converted(remote)
            if found is None:
                return await self._aggregation.proxy.forward(ctx, remote)
            document, tag = found
            return self._of_hash(ctx, name, orjson.dumps(document), tag.strip('"'), media_type)
        if name not in self._made and name not in document_names(self._kinds):
            return Answer(b"", 404, {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private"})
        data, _ = self._document(name, lambda: openapi_v3_document(self._kinds, name, schema_of) or {})
        return self._of_hash(ctx, name, data, document_hash(self._kinds, name, schema_of), media_type)

    def _of_hash(self, ctx: RequestContext, name: str, data: bytes, tag: str, media_type: str) -> web.StreamResponse:
        asked = ctx.first("hash")
        if asked and asked != tag:
            headers = {"Location": f"/openapi/v3/{name}?hash={tag}", "Etag": f'"{tag}"', "Vary": "Accept", "Content-Type": _JSON}
            return Answer(b"", 301, {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", **headers})
        if media_type != _JSON:
            media_type = PROTO_V3_MEDIA_TYPES[0]
            key = f"{name} protobuf {tag}"
            if key not in self._made:
                self._made[key] = (encode_proto_v3(orjson.loads(data)), tag)
            data = self._made[key][0]
        return self._answer(ctx, data, tag, immutable=bool(asked), media_type=media_type)

    async def _index(self, ctx: RequestContext) -> web.StreamResponse:
        data, tag = self._document("v3", lambda: openapi_v3_index(self._kinds, schema_of))
        if self._aggregation.remotes:
            index = orjson.loads(data)
            index["paths"] |= {name: {"serverRelativeURL": url} for name, url in (await self._aggregation.documents.index()).items()}
            data = orjson.dumps(index, option=orjson.OPT_SORT_KEYS)
            tag = hashlib.sha512(data).hexdigest().upper()
        return self._answer(ctx, data, tag)

    def _answer(
        self, ctx: RequestContext, data: bytes, tag: str, *, immutable: bool = False, media_type: str = _JSON
    ) -> web.StreamResponse:
        caching = "public, immutable" if immutable else "no-cache, private"
        headers = {"Audit-Id": ctx.audit_id, "Etag": f'"{tag}"', "Cache-Control": caching, "Vary": "Accept"}
        if immutable:
            headers["Expires"] = format_datetime(self._clock() + _YEAR, usegmt=True)
        if ctx.headers.get("If-None-Match", "").strip('"') == tag:
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = media_type
        if len(data) > GZIP_THRESHOLD and accepts_gzip(ctx.headers):
            packed = self._packed.get(media_type + tag)
            if packed is None:
                packed = self._packed[media_type + tag] = gzip_fast(data)
            data = packed
            headers["Content-Encoding"] = "gzip"
        return Answer(data, 200, headers)


def _not_acceptable(ctx: RequestContext) -> Answer:
    return Answer(b"", 406, {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", "Vary": "Accept"})


def accepted(accept: str, offered: Sequence[str]) -> str:
    """The first of the media types offered that the first fitting clause of Accept takes; '' for none. No Accept takes anything."""
    for clause in accept.split(",") if accept else ("*/*",):
        media_type = clause.partition(";")[0].strip().lower()
        for candidate in offered:
            main = candidate.partition("/")[0]
            if media_type in (candidate.lower(), "*/*", f"{main}/*"):
                return candidate
    return ""
