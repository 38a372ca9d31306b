"""componentstatuses: deprecated, never stored and found out when asked for, as `kubectl get cs` still does.

Follows registry/core/componentstatus: the controller manager and the scheduler are those on this machine, at upstream's ports.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
from aiohttp import web

from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.webhooks import failures
from kubetree.apiserver.wire.options import list_options
from kubetree.apiserver.wire.responses import answer_object
from kubetree.apiserver.wire.selection import computed
from kubetree.apiserver.wire.transforms import transform_list
from kubetree.store.protocol import Store, StoreUnavailable

Object = dict[str, Any]
PORTS = {"controller-manager": 10257, "scheduler": 10259}
STORE = "etcd-0"
_TIMEOUT, _MOST = 20.0, 10 * 1024
"""Seconds, and bytes of an answer."""


async def get_component_status(call: Call) -> web.StreamResponse:
    if call.name not in (*PORTS, STORE):
        raise call.not_found()
    return call.object(await _looked_at(_named(call.name), call.registry.store), call.output())


async def list_component_statuses(call: Call) -> web.StreamResponse:
    output = call.output()
    options = list_options(call.ctx.query, watch=False)
    chosen = computed(call.resource, options, [_named(name) for name in (*PORTS, STORE)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_looked_at(obj, call.registry.store)) for obj in chosen]
    found = [task.result() for task in tasks]
    if output.as_kind:
        body = transform_list(call.resource.kind, found, {}, output, call.ctx.query, call.registry.clock())
    else:
        items = [{"metadata": obj["metadata"], "conditions": obj["conditions"]} for obj in found]
        body = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
    return answer_object(call.ctx, body, output)


def _named(name: str) -> Object:
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}}


async def _looked_at(obj: Object, store: Store) -> Object:
    name = obj["metadata"]["name"]
    condition = await (_of_store(store) if name == STORE else _of_component(PORTS[name]))
    return {**obj, "conditions": [{"type": "Healthy", **condition}]}


async def _of_store(store: Store) -> Object:
    try:
        await store.revision()
    except StoreUnavailable as error:
        return {"status": "False", "error": str(error)}
    return {"status": "True", "message": "ok"}


async def _of_component(port: int) -> Object:
    """What /healthz on this machine says, to whoever it is that answers there."""
    url = f"https://127.0.0.1:{port}/healthz"
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as session, session.get(url, ssl=anyone) as answer:
            said = (await answer.content.read(_MOST)).decode(errors="replace")
            healthy = 200 <= answer.status < 400
            return {"status": str(healthy), "message": said if healthy else f"HTTP probe failed with statuscode: {answer.status}"}
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    except (aiohttp.ClientError, OSError) as error:
        why = failures.worded(error)
    return {"status": "False", "message": f'Get "{url}": {why}'}
