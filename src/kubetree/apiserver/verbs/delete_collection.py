"""DELETE of every object that a list would give, one after another: not atomic, as upstream's is not."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.operations import deletion, rules
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.delete import delete_scope
from kubetree.apiserver.verbs.list import answer_list, read
from kubetree.apiserver.wire.bodies import delete_options_body
from kubetree.apiserver.wire.options import delete_options, list_options
from kubetree.apiserver.wire.selection import select

_PARALLEL = 64


async def delete_collection(call: Call) -> web.StreamResponse:
    """Answers with the list of what was deleted, as it stood before."""
    output = call.output()
    listed = list_options(call.ctx.query, watch=False)
    options = delete_options(call.ctx.query, delete_options_body(call.ctx, await call.body()))
    selection = select(call.resource, call.namespace, call.name, listed)
    call.ctx.warnings.extend(rules.deletion_warnings(call.resource.kind, options))
    listing = await read(call.registry, call.resource, selection, listed)
    turns = asyncio.Semaphore(call.registry.config.delete_collection_workers or _PARALLEL)

    async def remove(namespace: str, name: str) -> None:
        scope = delete_scope(call, options)
        scope.namespace, scope.nameless = namespace, True
        async with turns:
            with contextlib.suppress(errors.NotFound):
                await deletion.delete(call.registry, call.resource, name, options, scope)

    try:
        async with asyncio.TaskGroup() as group:
            for entry in listing.entries:
                namespace, _, name = entry.key.removeprefix(call.resource.storage.prefix).rpartition("/")
                group.create_task(remove(namespace, name))
    except BaseExceptionGroup as failed:
        refused = failed.subgroup(errors.ApiError)
        if refused is not None:
            raise _leaf(refused) from None
        raise
    return await answer_list(call, listing, output)


def _leaf(group: BaseExceptionGroup[errors.ApiError]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
