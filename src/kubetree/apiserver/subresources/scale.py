"""The scale subresource: replicas of whatever is scaled, as one autoscaling/v1 Scale, so that scalers need not know the kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from kubetree.api.apply import apply, track_update
from kubetree.api.apply.field_sets import Path
from kubetree.api.apply.scale_fields import REPLICAS, parent_managers, scale_managers
from kubetree.api.custom_resources.scale import ScalePaths, quoted, scale_columns
from kubetree.api.errors import ApiError, BadRequest, Cause, Invalid, conflict, invalid
from kubetree.api.kinds import Kind, Kinds
from kubetree.api.objects import copy
from kubetree.api.selectors import label_selector
from kubetree.api.times import format_time
from kubetree.apiserver.admission.request import UPDATE
from kubetree.apiserver.operations import change
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.operations.managers import requested_version, shown
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.patch import APPLY, merged, read_patch
from kubetree.apiserver.verbs.update import check_name
from kubetree.apiserver.wire.bodies import decode_as
from kubetree.apiserver.wire.negotiation import Output
from kubetree.apiserver.wire.options import WriteOptions, revision_of, write_options
from kubetree.apiserver.wire.request_info import first
from kubetree.apiserver.wire.responses import answer_object
from kubetree.apiserver.wire.transforms import transform_one

Object = dict[str, Any]
_DEFINITION, _API_VERSION = "io.k8s.api.autoscaling.v1.Scale", "autoscaling/v1"
_SCALE = Kind("autoscaling", "v1", "Scale", "scales")
_UNSAID = -(2**31)
"""The replicas of a custom resource that has none yet, for whoever changes its Scale: a change must say how many there are to be."""
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(kind: Kind, obj: Object, absent: int | None = None) -> Object:
    """The Scale of an object: of a custom resource by its definition's paths, else of spec.replicas, spec.selector and status.replicas.

    `absent` is what a custom resource without replicas has; None refuses it.
    """
    paths = _paths(kind)
    if paths is not None:
        try:
            return paths.scale_of(obj, absent)
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
    return _answer(call, scale_of(resource.kind, await shown(resource, entry.obj)), output)


async def update_scale(call: Call) -> web.StreamResponse:
    ctx = call.ctx
    body = await call.body()
    options = write_options(ctx.query, ctx.user_agent, "UpdateOptions")

    def replaced(old: Object) -> Object:
        new = decode_as(ctx, body, _DEFINITION, _API_VERSION, "Scale", options.validation)
        wanted, found = (new.get("metadata") or {}).get("uid"), old["metadata"].get("uid", "")
        if wanted and wanted != found:
            key = call.resource.key(call.namespace, call.name)
            raise change.precondition_failed(call.resource, key, call.name, "UID", wanted, found)
        return _tracked(call, old, new, options)

    return await _write(call, options, "UpdateOptions", replaced)


async def patch_scale(call: Call) -> web.StreamResponse:
    request = await read_patch(call)
    options = request.options

    def patched(old: Object) -> Object:
        if request.type == APPLY:
            manager, now = options.manager, format_time(call.registry.clock())
            return apply(_SCALE, old, request.data, manager=manager, force=bool(options.force), now=now, subresource="scale")
        new = merged(_SCALE, request, old)
        return _tracked(call, old, new, options)

    return await _write(call, options, "PatchOptions", patched)


def _tracked(call: Call, old: Object, new: Object, options: WriteOptions) -> Object:
    track_update(_SCALE, old, new, manager=options.manager, now=format_time(call.registry.clock()), subresource="scale")
    return new


async def _write(call: Call, options: WriteOptions, options_kind: str, make: Callable[[Object], Object]) -> web.StreamResponse:
    """`make` gives the Scale that is wanted of the one that is, both with managedFields. Admission sees the Scale, not what is scaled."""
    output, resource = call.output(), call.resource
    kind, scope = resource.kind, call.scope(options, options_kind)
    where = replicas_paths(call.registry.kinds, kind)

    async def transform(old: Object | None) -> Object:
        if old is None:
            raise call.not_found()
        live = requested_version(resource, old)
        before = live["metadata"].get("managedFields")
        standing = scale_of(kind, live, _UNSAID)
        standing["metadata"]["managedFields"] = scale_managers(before, where)
        scale = make(standing)
        check_namespace(call.namespace, scale.setdefault("metadata", {}))
        check_name(scale["metadata"], call.name)
        scale.setdefault("status", {"replicas": 0})
        await call.registry.admission.admit(scope.admission(UPDATE, kind, call.name, scale, scale_of(kind, live, _UNSAID)))
        metadata = scale["metadata"]
        _check_uid(kind, metadata, live["metadata"])
        replicas = (scale.get("spec") or {}).get("replicas") or 0
        paths = _paths(kind)
        if paths is not None and replicas == _UNSAID:
            raise BadRequest(f"the spec replicas field {quoted(paths.spec)} cannot be empty")
        if replicas < 0:
            raise _negative(kind, call.name, paths, replicas)
        new: Object = copy(live)
        if paths is None:
            new.setdefault("spec", {})["replicas"] = replicas
        else:
            paths.set_replicas(new, replicas)
        given = metadata.get("resourceVersion")
        if given:
            new["metadata"]["resourceVersion"] = given
        new["metadata"]["managedFields"] = parent_managers(before, metadata.get("managedFields"), where, kind.api_version)
        await call.registry.admission.validate(scope.admission(UPDATE, kind, call.name, scale_of(kind, new), scale_of(kind, live, 0)))
        return new

    stored = await change.update(call.registry, resource, call.name, transform, replace(scope, admit=False), tracked=True)
    obj = {**stored.obj, "metadata": {**stored.obj["metadata"], "resourceVersion": str(stored.revision)}}
    return _answer(call, scale_of(kind, requested_version(resource, obj)), output)


def _answer(call: Call, scale: Object, output: Output) -> web.StreamResponse:
    """The Scale, as a Table or as its metadata where that was asked for."""
    now = call.registry.clock()
    found = transform_one(_SCALE, scale, output, call.ctx.query, now) if output.as_kind else scale
    if output.as_kind == "Table" and _paths(call.resource.kind) is not None:
        found["columnDefinitions"], found["rows"][0]["cells"] = scale_columns().definitions, scale_columns().cells(scale, now)
    return answer_object(call.ctx, found, output)


def _negative(kind: Kind, name: str, paths: ScalePaths | None, replicas: int) -> Invalid:
    """Of a custom resource its own check of the field says it."""
    shown = f"Invalid value: {replicas}: "
    if paths is not None:
        return invalid(kind.kind, kind.group, name, [Cause("FieldValueInvalid", f"{shown}should be a non-negative integer", paths.spec)])
    return invalid(
        "Scale", "autoscaling", name, [Cause("FieldValueInvalid", f"{shown}must be greater than or equal to 0", "spec.replicas")]
    )


def _check_uid(kind: Kind, metadata: Object, live: Object) -> None:
    """Raises Conflict."""
    wanted, found = metadata.get("uid"), live.get("uid", "")
    if wanted and wanted != found:
        why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        raise conflict(f"{kind.plural}/scale", kind.group, live["name"], why)


def replicas_paths(kinds: Kinds, kind: Kind) -> dict[str, Path | None]:
    """Where replicas are in each version of a kind."""
    found: dict[str, Path | None] = {}
    for row in kinds:
        if row.group == kind.group and row.plural == kind.plural:
            paths = _paths(row)
            if row.behaviour is None:
                found[row.api_version] = REPLICAS
            else:
                found[row.api_version] = tuple(f"f:{part}" for part in paths.spec.removeprefix(".").split(".")) if paths else None
    return found
