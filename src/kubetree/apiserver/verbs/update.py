"""PUT of an object, or of its status and other subresources that are the object itself."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kubetree.api import errors
from kubetree.api.defaults import apply_defaults
from kubetree.apiserver.operations import change
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.bodies import decode_object
from kubetree.apiserver.wire.options import write_options

Object = dict[str, Any]


async def update(call: Call) -> web.StreamResponse:
    ctx, kind = call.ctx, call.resource.kind
    output = call.output()
    body = await call.body()
    options = write_options(ctx.query, ctx.user_agent, "UpdateOptions")
    scope = call.scope(options, "UpdateOptions")

    def read() -> Object:
        obj = decode_object(ctx, body, kind, options.validation)
        metadata = obj.setdefault("metadata", {})
        check_namespace(call.namespace, metadata)
        check_name(metadata, call.name)
        return obj

    first: Object | None = read()

    async def transform(old: Object | None) -> Object:
        nonlocal first
        given, first = first, None
        obj = given if given is not None else read()
        apply_defaults(kind, obj, old if call.resource.same_version else None)
        return obj

    stored = await change.update(call.registry, call.resource, call.name, transform, scope)
    return call.stored(stored, output, 201 if stored.created else 200)


def check_name(metadata: Object, name: str) -> None:
    """Raises BadRequest when the object is not the one of the URL."""
    given = metadata.get("name", "")
    if given == name:
        return
    if not given:
        raise errors.BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    raise errors.BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
