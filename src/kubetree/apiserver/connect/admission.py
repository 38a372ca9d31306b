"""Admission of connections (exec, attach, port-forward, proxies): before anything is looked up, on the options of the connection."""

from __future__ import annotations

from typing import Any

from kubetree.apiserver.admission.request import CONNECT
from kubetree.apiserver.operations.scope import WriteScope
from kubetree.apiserver.verbs.call import Call


async def admit_connection(call: Call, options: dict[str, Any]) -> None:
    """`options` is the kind's object: PodExecOptions and its like. Raises what admission raises."""
    ctx = call.ctx
    scope = WriteScope(
        call.namespace, ctx.user, "", ctx.info.subresource, warnings=ctx.warnings, annotations=ctx.annotations, waits=ctx.waits
    )
    request = scope.admission(CONNECT, call.resource.kind, call.name, options, None)
    await call.registry.admission.admit(request)
    await call.registry.admission.validate(request)
