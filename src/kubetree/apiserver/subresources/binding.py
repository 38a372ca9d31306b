"""Binding a pod to a node: the scheduler's one write. Follows pkg/registry/core/pod/storage BindingREST."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kubetree.api import errors
from kubetree.api.objects import copy
from kubetree.api.times import format_time
from kubetree.apiserver.admission.request import CREATE
from kubetree.apiserver.operations import change
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.operations.scope import WriteScope
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.bodies import decode_as
from kubetree.apiserver.wire.options import write_options
from kubetree.apiserver.wire.responses import answer_object

Object = dict[str, Any]
_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def bind(call: Call) -> web.StreamResponse:
    """POST pods/NAME/binding, or the older POST bindings."""
    ctx, output = call.ctx, call.output()
    body = await call.body()
    options = write_options(ctx.query, ctx.user_agent, "CreateOptions")
    binding = decode_as(ctx, body, "io.k8s.api.core.v1.Binding", "v1", "Binding", options.validation)
    metadata = binding.setdefault("metadata", {})
    check_namespace(call.namespace, metadata)
    name = call.name or metadata.get("name", "")
    if not name:
        raise errors.BadRequest("Name parameter required.")
    if metadata.get("name", "") != name:
        raise errors.BadRequest("name in URL does not match name in Binding object")
    scope = call.scope(options, "CreateOptions")
    request = scope.admission(CREATE, call.resource.kind, name, binding, None)
    await call.registry.admission.admit(request)
    metadata, target = binding["metadata"], binding.get("target") or {}
    _check_target(target)
    await call.registry.admission.validate(request)
    pods = call.registry.kinds.by_resource("", "v1", "pods")
    assert pods is not None
    now = format_time(call.registry.clock())

    async def transform(old: Object | None) -> Object:
        if old is None:
            raise errors.not_found("pods", "", name)
        return assigned(old, binding, now)

    inner = WriteScope(call.namespace, ctx.user, options.manager, "binding", options.dry_run, admit=False)
    await change.update(
        call.registry, call.registry.resource(pods), name, transform, inner, uid=metadata.get("uid", ""), tracked=True, trusted=True
    )
    return answer_object(ctx, _SUCCESS, output, 201)


def _check_target(target: Object) -> None:
    if target.get("kind", "Node") not in ("", "Node"):
        raise errors.ApiError(f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"', status_reason="")
    if not target.get("name"):
        raise errors.ApiError("target.name: Required value", status_reason="")


def assigned(old: Object, binding: Object, now: str) -> Object:
    """The pod on its node. Raises Conflict when it cannot be bound (any more). Pure."""
    name, spec = old["metadata"]["name"], old.get("spec") or {}
    if old["metadata"].get("deletionTimestamp"):
        raise _refuse(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refuse(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refuse(name, f"pod {name} has non-empty .spec.schedulingGates")
    pod: Object = copy(old)
    given = binding["metadata"]
    if given.get("resourceVersion"):
        pod["metadata"]["resourceVersion"] = given["resourceVersion"]
    pod["spec"]["nodeName"] = binding["target"]["name"]
    for field in ("annotations", "labels"):
        if given.get(field):
            pod["metadata"].setdefault(field, {}).update(given[field])
    status = pod.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    _set_scheduled(status.setdefault("conditions", []), now)
    return pod


def _set_scheduled(conditions: list[Object], now: str) -> None:
    condition: Object = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    for i, standing in enumerate(conditions):
        if standing.get("type") == "PodScheduled":
            if standing.get("status") == "True":
                condition["lastTransitionTime"] = standing.get("lastTransitionTime")
            if "observedGeneration" in standing:
                condition["observedGeneration"] = standing["observedGeneration"]
            conditions[i] = condition
            return
    conditions.append(condition)


def _refuse(name: str, why: str) -> errors.Conflict:
    return errors.conflict("pods/binding", "", name, why)
