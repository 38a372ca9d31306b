"""PATCH: JSON, merge and strategic merge patches and server-side apply, each a row of one table.

Follows endpoints/handlers/patch.go. A patch is applied again to the newer object when another write came between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from kubetree.api import errors, schema
from kubetree.api.apply import apply, go_kind
from kubetree.api.defaults import apply_defaults
from kubetree.api.errors import Cause, quoted
from kubetree.api.kinds import Kind
from kubetree.api.patches import go_value, json_patch, merge_patch, restored, strategic_merge
from kubetree.api.schema.go_json import go_name, parse
from kubetree.api.times import format_time
from kubetree.apiserver.operations import change, rules
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.operations.managers import requested_version
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.update import check_name
from kubetree.apiserver.wire.bodies import check_type, unconvertible
from kubetree.apiserver.wire.negotiation import unsupported
from kubetree.apiserver.wire.options import WriteOptions, write_options
from kubetree.apiserver.wire.yaml_format import duplicate_keys, warning_lines, yaml_to_json

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

    stored = await change.update(
        call.registry, call.resource, call.name, transform, scope, allow_create=applying, tracked=applying, replacing=False
    )
    return call.stored(stored, output, 201 if stored.created else 200)


async def read_patch(call: Call) -> PatchRequest:
    """Raises UnsupportedMediaType, BadRequest, Invalid options."""
    ctx = call.ctx
    content_type = ctx.headers.get("Content-Type", "").partition(";")[0]
    accepted = patch_types(call)
    if content_type not in accepted:
        if rules.is_custom(call.resource.kind):
            raise unsupported(", ".join(accepted))
        raise errors.UnsupportedMediaType("415: Unsupported Media Type", empty_details=True)  # what upstream's router says
    body = await call.body()
    options = write_options(ctx.query, ctx.user_agent, "PatchOptions", apply=content_type == APPLY)
    try:
        data = _parse(content_type, body)
    except errors.BadRequest:
        if content_type != APPLY:
            await _check_exists(call)
        raise
    if ctx.audit is not None:
        ctx.audit.patched(data)
    faults = _faults(content_type, body) if options.validation != "Ignore" else []
    return PatchRequest(content_type, data, options, ctx.warnings, faults)


async def _check_exists(call: Call) -> None:
    """That there is nothing to patch is said before what is wrong with the patch. Raises NotFound."""
    cache = call.resource.cache
    await cache.fresh()
    if cache.get(call.resource.key(call.namespace, call.name)) is None:
        raise call.not_found()


def _faults(content_type: str, body: bytes) -> list[str]:
    """The strict errors of a patch as such, before anything is known of its type. `body` is known to parse."""
    if content_type == APPLY:
        found = duplicate_keys(body)
        return [f"error converting YAML to JSON: {found}"] if found else []
    return schema.json_patch_faults(body) if content_type == JSON_PATCH else schema.duplicate_fields(body)


def _parse(content_type: str, body: bytes) -> Any:
    if content_type == APPLY:
        return _parse_applied(body)
    prefix = "" if content_type == STRATEGIC else "error decoding patch: "
    try:
        data = orjson.loads(body)
    except ValueError:
        raise errors.BadRequest(f"{prefix}{_syntax_error(body)}") from None
    if content_type == JSON_PATCH:
        data = [] if data is None else data
        wrong = data if not isinstance(data, list) else next((op for op in data if not isinstance(op, dict)), None)
        if wrong is not None:
            of = "handlers.jsonPatchOp" if isinstance(data, list) else "[]handlers.jsonPatchOp"
            raise errors.BadRequest(f"error decoding patch: json: cannot unmarshal {go_name(wrong)} into Go value of type {of}")
        if len(data) > MAX_OPERATIONS:
            raise errors.RequestEntityTooLarge(
                f"Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(data)}"
            )
    elif data is None and content_type == MERGE_PATCH:
        raise errors.BadRequest("Invalid JSON Patch")
    elif data is None:
        data = {}
    elif not isinstance(data, dict):
        found = go_name(data)
        raise errors.BadRequest(f"{prefix}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}")
    return data


def _syntax_error(body: bytes) -> str:
    """What Go says of a body that is no JSON."""
    try:
        parse(body)
    except ValueError as error:
        return str(error)
    return "invalid JSON"


def _parse_applied(body: bytes) -> Any:
    try:
        data = orjson.loads(yaml_to_json(body))
        if data is None:
            return {}
        if not isinstance(data, dict):
            why = f"json: cannot unmarshal {go_name(data)} into Go value of type map[string]interface {{}}"
            raise errors.BadRequest(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    except ValueError as error:
        raise errors.BadRequest(f"error decoding YAML: error converting YAML to JSON: {error}") from None
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
        new = merged(kind, request, live)
    metadata = new.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise errors.BadRequest("metadata must be an object")
    check_type(new, kind.api_version, kind.kind if kind.behaviour is None else new.get("kind") or kind.kind)
    check_namespace(call.namespace, metadata)
    check_name(metadata, call.name)
    apply_defaults(kind, new, live if call.resource.same_version else None)
    return new


def _applied(call: Call, request: PatchRequest, live: Object | None) -> Object:
    kind, info, options = call.resource.kind, call.ctx.info, request.options
    applied: Object = request.data
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
    """What was applied fits the type's fields, but a value need not be one (a time that is none)."""
    try:
        schema.check(kind, new, "Ignore")
    except errors.BadRequest as error:
        of = go_kind(applied)
        metadata = applied.get("metadata") or {}
        named = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {of}"
        message = error.message or ""
        text = f"error decoding from json: {message}" if message.startswith("illegal base64") else message
        why = f"unable to convert unstructured object to {of}: {text}"
        message = f"failed to convert new object ({named}) to proper version: {why}"
        raise errors.BadRequest(message) from None


_MECHANISMS: dict[str, Callable[[Kind, Object, Any], Object]] = {
    JSON_PATCH: lambda kind, live, data: json_patch(live, data),
    MERGE_PATCH: lambda kind, live, data: merge_patch(live, data),
    STRATEGIC: strategic_merge,
}


def merged(kind: Kind, request: PatchRequest, live: Object) -> Object:
    """What a patch that is no apply makes of an object of `kind`. The result must still be of its type: unknown fields are refused, warned
    of or dropped as fieldValidation says. Raises Invalid."""
    new = _MECHANISMS[request.type](kind, live, request.data)
    given = new.get("apiVersion") or kind.api_version, new.get("kind") or kind.kind
    if request.type == STRATEGIC:
        new["apiVersion"], new["kind"] = kind.api_version, kind.kind  # it went straight into the type of the object that was there
    elif given != (kind.api_version, kind.kind) and kind.behaviour is None:
        why = unconvertible(str(given[0]), str(given[1]), kind.api_version, kind.kind)
        if why:
            raise _misfit(request, new, why)
    if kind.behaviour is not None:
        _check_custom_type(kind, request, new, live)
    try:
        request.warnings.extend(_check(kind, request, new))
    except errors.BadRequest as error:
        raise _misfit(request, new, restored(error.message) if request.type == STRATEGIC else error.message) from None
    return new


def _check(kind: Kind, request: PatchRequest, new: Object) -> list[str]:
    """`schema.check` of the sections that a patch names: what it does not name is as it was, and was checked when it was stored. That is most of an object when only its labels or its status are patched."""
    touched = _sections(request) if kind.behaviour is None and not request.faults else None
    if touched is None:
        return schema.check(kind, new, request.options.validation, request.faults)
    part = {name: new[name] for name in touched if name in new}
    found = schema.check(kind, part, request.options.validation)
    for name in touched:
        if name in part:
            new[name] = part[name]
        else:
            new.pop(name, None)
    return found


def _sections(request: PatchRequest) -> Collection[str] | None:
    """The members of the object that a patch may change; None when only its result tells."""
    if request.type != JSON_PATCH:
        names: Collection[str] = request.data
        return None if any(name.startswith("$") for name in names) else names
    found = set()
    for operation in request.data:
        for pointer in (path := operation.get("path"), operation.get("from", path)):
            if not isinstance(pointer, str) or pointer[:1] != "/" or "~" in pointer:
                return None
            found.add(pointer[1:].partition("/")[0])
    return found


def _check_custom_type(kind: Kind, request: PatchRequest, new: Object, live: Object) -> None:
    """A custom resource says itself what it is; of another kind its validation speaks. Raises Invalid and BadRequest."""
    given, name = new.get("apiVersion", ""), new.get("kind")
    for field, value in (("apiVersion", given), ("kind", name)):
        if value is not None and not isinstance(value, str):
            why = f"json: cannot unmarshal {go_name(value)} into Go struct field .{field} of type string"
            raise _misfit(request, new, f"couldn't get version/kind; json parse error: {why}")
    if not name:
        raise _misfit(request, new, f"Object 'Kind' is missing in '{orjson.dumps(new).decode()}'")
    if given is None:
        raise _misfit(request, new, ".apiVersion accessor error: <nil> is of the type <nil>, expected string")
    if not given:
        raise errors.BadRequest("Object 'apiVersion' is missing in 'object has no apiVersion field'")
    if given != kind.api_version:
        cause = Cause("FieldValueInvalid", f"Invalid value: {quoted(given)}: must be {kind.api_version}", "apiVersion")
        raise errors.invalid(name, given.rpartition("/")[0], live["metadata"]["name"], [cause])


def _misfit(request: PatchRequest, new: Object, why: str) -> errors.Invalid:
    shown = go_value(request.data) if request.type == STRATEGIC else orjson.dumps(new).decode()
    return errors.invalid("", "", "", [Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(shown).decode()}: {why}", "patch")])
