"""A request that has found its kind: what every verb gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.operations.managers import requested_version
from kubetree.apiserver.operations.scope import Stored, WriteScope
from kubetree.apiserver.registry import Registry, Resource
from kubetree.apiserver.wire.bodies import read_body
from kubetree.apiserver.wire.encoding import with_revision
from kubetree.apiserver.wire.negotiation import CUSTOM_RESOURCES, PROTOBUF, RESOURCES, Output, negotiate_output
from kubetree.apiserver.wire.options import WriteOptions
from kubetree.apiserver.wire.responses import answer, answer_object
from kubetree.apiserver.wire.transforms import transform_one

Object = dict[str, Any]


@dataclass(slots=True)
class Call:
    ctx: RequestContext
    registry: Registry
    resource: Resource

    @property
    def namespace(self) -> str:
        return self.ctx.info.namespace if self.resource.kind.namespaced else ""

    @property
    def name(self) -> str:
        return self.ctx.info.name

    def output(self, *, watch: bool = False, streams: bool = False) -> Output:
        """Raises NotAcceptable."""
        ctx = self.ctx
        pretty = ctx.first("pretty") if ctx.query else ""
        endpoint = RESOURCES if self.resource.kind.behaviour is None else CUSTOM_RESOURCES
        key = ("output", endpoint is RESOURCES, watch, streams)
        found: Output | None = None if pretty else ctx.facts.get(key)
        if found is None:
            accept, agent = ctx.headers.get("Accept", ""), ctx.headers.get("User-Agent", "")
            found = negotiate_output(accept, pretty, agent, endpoint, watch=watch, streams=streams)
            if not pretty:
                ctx.facts[key] = found
        return found

    async def cached(self) -> Object:
        """The object as the cache has it, no older than this request. It is shared. Raises NotFound."""
        cache = self.resource.cache
        await cache.fresh()
        entry = cache.get(self.resource.key(self.namespace, self.name))
        if entry is None:
            raise self.not_found()
        return entry.obj

    async def body(self) -> bytes:
        return await read_body(self.ctx, self.registry.config.max_request_body)

    def scope(self, options: WriteOptions, options_kind: str) -> WriteScope:
        ctx = self.ctx
        return WriteScope(
            self.namespace,
            ctx.user,
            options.manager,
            ctx.info.subresource,
            options.dry_run,
            True,
            options.to_dict(options_kind),
            ctx.warnings,
            ctx.annotations,
            ctx.waits,
        )

    def not_found(self) -> errors.NotFound:
        return errors.not_found(self.resource.kind.plural, self.resource.kind.group, self.name)

    def stored(self, stored: Stored, output: Output, status: int = 200) -> web.StreamResponse:
        """Answers with an object that was just written: its stored bytes where they are what the client wants."""
        if output.as_kind == "" and self.resource.same_version and output.serializer is not PROTOBUF:
            data = with_revision(stored.value, stored.revision) if stored.revision else stored.value
            return answer(self.ctx, data, output, status)
        revision = {"resourceVersion": str(stored.revision)} if stored.revision else {}
        obj = {**stored.obj, "metadata": {**stored.obj["metadata"], **revision}}
        return self.object(requested_version(self.resource, obj), output, status)

    def object(self, obj: Object, output: Output, status: int = 200) -> web.StreamResponse:
        """Answers with an object in the request's version."""
        if output.as_kind:
            obj = transform_one(self.resource.kind, obj, output, self.ctx.query, self.registry.clock())
        return answer_object(self.ctx, obj, output, status)


Verb = Callable[[Call], Awaitable[web.StreamResponse]]
