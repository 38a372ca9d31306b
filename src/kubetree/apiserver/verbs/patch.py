"""PATCH: JSON, merge and strategic merge patches and server-side apply, each a row of one table.

Follows endpoints/handlers/patch.go. A patch is applied again to the newer object when another write came between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from kubetree.api import errors, schema
from kubetree.api.apply import apply
from kubetree.api.defaults import apply_defaults
from kubetree.api.errors import Cause
from kubetree.api.kinds import Kind
from kubetree.api.patches import json_patch, merge_patch, strategic_merge
from kubetree.api.times import format_time
from kubetree.apiserver.bodies import check_type
from kubetree.apiserver.negotiation import unsupported
from kubetree.apiserver.operations import change, rules
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.operations.managers import requested_version
from kubetree.apiserver.options import WriteOptions, write_options
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.update import check_name
from kubetree.apiserver.yaml_format import duplicate_keys, warning_lines, yaml_to_json

Object = dict[str, Any]
MAX_OPERATIONS = 10000
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """A patch as it was sent, parsed once. `data` is its JSON value; `faults` are its strict errors: duplicate fields, repeated keys."""

    type: str
    data: Any
    options: WriteOptions
    warnings: list[str]
    faults: list[str]


def patch_types(call: Call) -> tuple[str, ...]:
    """What a kind accepts, in upstream's order. Custom resources have no merge keys and take no strategic patch."""
    if rules.is_custom(call.resource.kind):
        return (JSON_PATCH, MERGE_PATCH, APPLY)
    return (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY)


async def patch(call: Call) -> web.StreamResponse:
    output = call.output()
    request = await read_patch(call)
    scope = call.scope(request.options, "PatchOptions")
    applying = request.type == APPLY

    async def transform(old: Object | None) -> Object:
        return patched(call, request, old)

    stored = await change.update(call.registry, call.resource, call.name, transform, scope, allow_create=applying, tracked=applying)
    return call.stored(stored, output, 201 if stored.created else 200)


async def read_patch(call: Call) -> PatchRequest:
    """Raises UnsupportedMediaType, BadRequest, Invalid options."""
    ctx = call.ctx
    content_type = ctx.headers.get("Content-Type", "").partition(";")[0]
    accepted = patch_types(call)
    if content_type not in accepted:
        raise unsupported(", ".join(accepted))
    body = await call.body()
    options = write_options(ctx.query, ctx.user_agent, "PatchOptions", apply=content_type == APPLY)
    data = _parse(content_type, body)
    if ctx.audit is not None:
        ctx.audit.patched(data)
    faults = _faults(content_type, body) if options.validation != "Ignore" else []
    return PatchRequest(content_type, data, options, ctx.warnings, faults)


def _faults(content_type: str, body: bytes) -> list[str]:
    """The strict errors of a patch as such, before anything is known of its type. `body` is known to parse."""
    if content_type == APPLY:
        found = duplicate_keys(body)
        return [f"error converting YAML to JSON: {found}"] if found else []
    return schema.json_patch_faults(body) if content_type == JSON_PATCH else schema.duplicate_fields(body)


def _parse(content_type: str, body: bytes) -> Any:
    try:
        if content_type == APPLY:
            data = orjson.loads(yaml_to_json(body))
        else:
            data = orjson.loads(body)
    except ValueError as error:
        words = "error decoding YAML" if content_type == APPLY else "error decoding patch"
        raise errors.BadRequest(f"{words}: {error}") from None
    if content_type == JSON_PATCH:
        if not isinstance(data, list):
            raise errors.BadRequest("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
        if len(data) > MAX_OPERATIONS:
            raise errors.RequestEntityTooLarge(
                f"Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(data)}"
            )
    elif not isinstance(data, dict):
        found = "array" if isinstance(data, list) else type(data).__name__
        raise errors.BadRequest(f"error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}")
    return data


def patched(call: Call, request: PatchRequest, old: Object | None) -> Object:
    """The new object in the request's version, an object of its own. Raises NotFound when there is nothing to patch."""
    kind, resource = call.resource.kind, call.resource
    live = requested_version(resource, old) if old is not None else None
    if request.type == APPLY:
        new = _applied(call, request, live)
    elif live is None:
        raise call.not_found()
    else:
        new = _MECHANISMS[request.type](call, live, request.data)
        _check(call, request, new)
    metadata = new.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise errors.BadRequest("metadata must be an object")
    check_type(new, kind.api_version, kind.kind)
    check_namespace(call.namespace, metadata)
    check_name(metadata, call.name)
    apply_defaults(kind, new)
    return new


def _applied(call: Call, request: PatchRequest, live: Object | None) -> Object:
    kind, info, options = call.resource.kind, call.ctx.info, request.options
    applied: Object = request.data
    check_applied(applied, kind.api_version, kind.kind)
    new = apply(
        kind,
        live,
        applied,
        manager=options.manager,
        force=bool(options.force),
        now=format_time(call.registry.clock()),
        subresource=info.subresource,
    )
    for fault in request.faults:
        if options.validation == "Strict":
            raise errors.BadRequest(f"error strict decoding YAML: {fault}")
        request.warnings.extend(warning_lines(fault))
    _check_converts(kind, applied, new)
    return new


def _check_converts(kind: Kind, applied: Object, new: Object) -> None:
    """What was applied fits the type's fields, but a value need not be one (a time that is none). Upstream answers that with 500."""
    try:
        schema.check(kind, new, "Ignore")
    except errors.BadRequest as error:
        of = f"{kind.api_version}, Kind={kind.kind}"
        metadata = applied.get("metadata") or {}
        named = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {of}"
        why = f"unable to convert unstructured object to {of}: {error.message}"
        message = f"failed to convert new object ({named}) to proper version: {why}"
        raise errors.ApiError(message, status_code=500, status_reason="") from None


def check_applied(applied: Object, api_version: str, kind: str) -> None:
    """An applied object must name its type. Raises BadRequest."""
    given = applied.get("apiVersion"), applied.get("kind")
    if not given[0] or not given[1]:
        raise errors.BadRequest("error decoding YAML: apiVersion and kind must be set")
    check_type(applied, api_version, kind)


_MECHANISMS: dict[str, Callable[[Call, Object, Any], Object]] = {
    JSON_PATCH: lambda call, live, data: json_patch(live, data),
    MERGE_PATCH: lambda call, live, data: merge_patch(live, data),
    STRATEGIC: lambda call, live, data: strategic_merge(call.resource.kind, live, data),
}


def _check(call: Call, request: PatchRequest, new: Object) -> None:
    """The result must still be of its type; unknown fields are refused, warned of or dropped as fieldValidation says."""
    try:
        request.warnings.extend(schema.check(call.resource.kind, new, request.options.validation, request.faults))
    except errors.BadRequest as error:
        shown = go_value(request.data) if request.type == STRATEGIC else orjson.dumps(new, option=orjson.OPT_SORT_KEYS).decode()
        cause = Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(shown).decode()}: {error.message}", "patch")
        raise errors.invalid("", "", "", [cause]) from None


def go_value(value: Any) -> str:
    """A JSON value as Go prints it with %+v: how upstream shows a strategic patch that does not fit."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return f"map[{' '.join(f'{k}:{go_value(v)}' for k, v in sorted(value.items()))}]"
        case list():
            return f"[{' '.join(map(go_value, value))}]"
    return str(value)
