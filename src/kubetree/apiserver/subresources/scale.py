"""The scale subresource: replicas of whatever is scaled, as one autoscaling/v1 Scale, so that scalers need not know the kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from kubetree.api import schema
from kubetree.api.custom_resources.scale import ScalePaths
from kubetree.api.errors import ApiError, Cause, invalid
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy
from kubetree.api.patches import json_patch, merge_patch, strategic_merge
from kubetree.api.selectors import label_selector
from kubetree.apiserver.admission.request import UPDATE
from kubetree.apiserver.bodies import decode_as
from kubetree.apiserver.operations import change
from kubetree.apiserver.operations.managers import shown
from kubetree.apiserver.options import WriteOptions, first, revision_of, write_options
from kubetree.apiserver.responses import answer_object
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.patch import APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC, read_patch
from kubetree.apiserver.verbs.update import check_name

Object = dict[str, Any]
_DEFINITION, _API_VERSION = "io.k8s.api.autoscaling.v1.Scale", "autoscaling/v1"
_SCALE = Kind("autoscaling", "v1", "Scale", "scales")
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(kind: Kind, obj: Object) -> Object:
    """The Scale of an object: of a custom resource by its definition's paths, else of spec.replicas, spec.selector and status.replicas."""
    paths = _paths(kind)
    if paths is not None:
        try:
            return paths.scale_of(obj)
        except ValueError as error:
            raise ApiError(f"Internal error occurred: {error}", status_code=500, status_reason="InternalError") from None
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    if obj["kind"] == "ReplicationController":
        text = ",".join(f"{k}={v}" for k, v in sorted((selector or {}).items()))
    else:
        text = str(label_selector(selector))
    scaled: Object = {"replicas": status.get("replicas", 0)}
    if text:
        scaled["selector"] = text
    metadata = {k: obj["metadata"][k] for k in _KEPT if k in obj["metadata"]}
    wanted = {"replicas": spec["replicas"]} if spec.get("replicas") else {}
    return {"kind": "Scale", "apiVersion": _API_VERSION, "metadata": metadata, "spec": wanted, "status": scaled}


def _paths(kind: Kind) -> ScalePaths | None:
    return kind.behaviour.scale if kind.behaviour is not None else None


async def get_scale(call: Call) -> web.StreamResponse:
    output, resource = call.output(), call.resource
    wanted = first(call.ctx.query, "resourceVersion")
    if wanted != "0":
        await resource.cache.fresh(revision_of(wanted))
    entry = resource.cache.get(resource.key(call.namespace, call.name))
    if entry is None:
        raise call.not_found()
    return answer_object(call.ctx, scale_of(resource.kind, await shown(resource, entry.obj)), output)


async def update_scale(call: Call) -> web.StreamResponse:
    ctx = call.ctx
    body = await call.body()
    options = write_options(ctx.query, ctx.user_agent, "UpdateOptions")
    return await _write(
        call, options, "UpdateOptions", lambda old: decode_as(ctx, body, _DEFINITION, _API_VERSION, "Scale", options.validation)
    )


async def patch_scale(call: Call) -> web.StreamResponse:
    request = await read_patch(call)

    def patched(old: Object) -> Object:
        data = request.data
        match request.type:
            case _ if request.type == JSON_PATCH:
                new = json_patch(old, data)
            case _ if request.type == STRATEGIC:
                new = strategic_merge(_SCALE, old, data)
            case _ if request.type in (MERGE_PATCH, APPLY):
                new = merge_patch(old, data)
        schema.check(_SCALE, new, request.options.validation)
        return new

    return await _write(call, request.options, "PatchOptions", patched)


async def _write(call: Call, options: WriteOptions, options_kind: str, make: Callable[[Object], Object]) -> web.StreamResponse:
    """Admission sees the Scale, not what is scaled."""
    output, kind = call.output(), call.resource.kind
    scope = call.scope(options, options_kind)

    async def transform(old: Object | None) -> Object:
        if old is None:
            raise call.not_found()
        scale = make(scale_of(kind, old))
        check_name(scale.setdefault("metadata", {}), call.name)
        scale.setdefault("status", {"replicas": 0})
        await call.registry.admission.admit(scope.admission(UPDATE, kind, call.name, scale, scale_of(kind, old)))
        metadata = scale["metadata"]
        replicas = (scale.get("spec") or {}).get("replicas") or 0
        if replicas < 0:
            detail = f"Invalid value: {replicas}: must be greater than or equal to 0"
            raise invalid("Scale", "autoscaling", call.name, [Cause("FieldValueInvalid", detail, "spec.replicas")])
        new: Object = copy(old)
        paths = _paths(kind)
        if paths is None:
            new.setdefault("spec", {})["replicas"] = replicas
        else:
            paths.set_replicas(new, replicas)
        given = metadata.get("resourceVersion")
        if given:
            new["metadata"]["resourceVersion"] = given
        if metadata.get("uid"):
            new["metadata"]["uid"] = metadata["uid"]
        await call.registry.admission.validate(scope.admission(UPDATE, kind, call.name, scale_of(kind, new), scale_of(kind, old)))
        return new

    stored = await change.update(call.registry, call.resource, call.name, transform, replace(scope, admit=False))
    obj = {**stored.obj, "metadata": {**stored.obj["metadata"], "resourceVersion": str(stored.revision)}}
    return answer_object(call.ctx, scale_of(kind, obj), output)
