"""GET of one object: the cache's bytes as they are."""

from __future__ import annotations

from aiohttp import web

from kubetree.api import errors, protobuf
from kubetree.apiserver.operations.managers import shown
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.negotiation import PROTOBUF
from kubetree.apiserver.wire.options import revision_of
from kubetree.apiserver.wire.request_info import first
from kubetree.apiserver.wire.responses import answer, answer_message


async def get(call: Call) -> web.StreamResponse:
    """Without resourceVersion as fresh as every acknowledged write; with 0 what the cache has; with another at least that."""
    query, resource = call.ctx.query, call.resource
    output = call.output()
    wanted = first(query, "resourceVersion") if query else ""
    if query.get("export"):
        _refuse_export(query["export"][0])
    if wanted != "0":
        await resource.cache.fresh(_revision(wanted, resource.storage.group_resource) if wanted else 0)
    entry = resource.cache.get(resource.key(call.namespace, call.name))
    if entry is None:
        raise call.not_found()
    if not output.as_kind and resource.same_version:
        if output.serializer is not PROTOBUF:
            return answer(call.ctx, entry.data, output)
        return answer_message(call.ctx, protobuf.wrap(resource.kind.api_version, resource.kind.kind, entry.message))
    return call.object(await shown(resource, entry.obj), output)


def _revision(wanted: str, resource: str) -> int:
    """Events are read past upstream's watch cache, which words it in its own way. Raises BadRequest."""
    try:
        return revision_of(wanted)
    except errors.BadRequest as error:
        if resource in ("events", "events.events.k8s.io"):
            raise errors.BadRequest(f"invalid resource version: {error.message}") from None
        raise


def _refuse_export(text: str) -> None:
    if text.lower() not in ("false", "0"):
        raise errors.BadRequest("the export parameter, deprecated since v1.14, is no longer supported")
