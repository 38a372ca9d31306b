"""POST of an object."""

from __future__ import annotations

from aiohttp import web

from kubetree.apiserver.operations.creation import create as create_object
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.bodies import decode_new
from kubetree.apiserver.wire.options import write_options


async def create(call: Call) -> web.StreamResponse:
    output = call.output()
    body = await call.body()
    options = write_options(call.ctx.query, call.ctx.user_agent, "CreateOptions")
    obj, defaulted, spec = decode_new(call.ctx, body, call.resource.kind, options.validation, call.registry.known_specs)
    scope = call.scope(options, "CreateOptions")
    scope.defaulted, scope.spec = defaulted, spec
    if scope.namespace == "" and call.resource.kind.namespaced:
        scope.namespace = obj.get("metadata", {}).get("namespace", "")
    stored = await create_object(call.registry, call.resource, obj, scope)
    return call.stored(stored, output, 201)
