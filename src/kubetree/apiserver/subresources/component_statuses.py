"""componentstatuses: deprecated, computed and never stored, but still asked for by `kubectl get cs`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.options import list_options
from kubetree.apiserver.wire.responses import answer_object
from kubetree.apiserver.wire.selection import computed
from kubetree.apiserver.wire.transforms import transform_list
from kubetree.store.protocol import StoreUnavailable

Object = dict[str, Any]
NAMES = ("controller-manager", "scheduler", "etcd-0")


async def _status(call: Call, name: str) -> Object:
    condition: Object = {"type": "Healthy", "status": "True", "message": "ok"}
    if name == "etcd-0":
        try:
            await call.registry.store.revision()
        except StoreUnavailable as error:
            condition = {"type": "Healthy", "status": "False", "error": str(error)}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}


async def get_component_status(call: Call) -> web.StreamResponse:
    if call.name not in NAMES:
        raise call.not_found()
    return call.object(await _status(call, call.name), call.output())


async def list_component_statuses(call: Call) -> web.StreamResponse:
    output = call.output()
    options = list_options(call.ctx.query, watch=False)
    found = computed(call.resource, options, [await _status(call, name) for name in NAMES])
    if output.as_kind:
        body = transform_list(call.resource.kind, found, {}, output, call.ctx.query, call.registry.clock())
    else:
        items = [{"metadata": obj["metadata"], "conditions": obj["conditions"]} for obj in found]
        body = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
    return answer_object(call.ctx, body, output)
