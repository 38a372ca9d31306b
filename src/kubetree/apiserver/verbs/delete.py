"""DELETE of one object."""

from __future__ import annotations

from aiohttp import web

from kubetree.apiserver.operations import deletion, rules
from kubetree.apiserver.operations.scope import WriteScope
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.bodies import delete_options_body
from kubetree.apiserver.wire.options import DeleteOptions, delete_options
from kubetree.apiserver.wire.responses import answer_object


async def delete(call: Call) -> web.StreamResponse:
    """Answers with the object or, for most kinds, with a Status once it is gone."""
    output = call.output()
    options = delete_options(call.ctx.query, delete_options_body(call.ctx, await call.body()))
    call.ctx.warnings.extend(rules.deletion_warnings(call.resource.kind, options))
    rules.refuse_deletion(call.resource.kind, call.name)
    stored, gone = await deletion.delete(call.registry, call.resource, call.name, options, delete_scope(call, options))
    status = 202 if not gone and options.orphan is False else 200
    kind = call.resource.kind
    if not gone or rules.returns_deleted(kind):
        return call.stored(stored, output, status)
    details = {"name": call.name, "group": kind.group, "kind": kind.plural, "uid": stored.obj["metadata"].get("uid", "")}
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return answer_object(call.ctx, {**body, "details": {k: v for k, v in details.items() if v}}, output, status)


def delete_scope(call: Call, options: DeleteOptions) -> WriteScope:
    ctx = call.ctx
    return WriteScope(
        call.namespace,
        ctx.user,
        "",
        ctx.info.subresource,
        options.dry_run,
        True,
        options.to_dict(),
        ctx.warnings,
        ctx.annotations,
        ctx.waits,
    )
