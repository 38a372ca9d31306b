"""Request bodies: bounded reading, format, strict decoding, and the checks that the object is of the kind that the URL names."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from kubetree.api import errors, schema
from kubetree.api.defaults import apply_defaults
from kubetree.api.kinds import Kind, go_type
from kubetree.api.known_specs import KINDS, KnownSpecs
from kubetree.api.objects import copy
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.http.request import OrdinaryRequest
from kubetree.apiserver.wire.negotiation import JSON, YAML, negotiate_input
from kubetree.apiserver.wire.yaml_format import duplicate_keys, warning_lines

Object = dict[str, Any]


async def read_body(ctx: RequestContext, limit: int) -> bytes:
    """Raises RequestEntityTooLarge past `limit` bytes, without reading the rest."""
    length = ctx.http.content_length
    if length is not None and length > limit:
        raise too_large(limit)
    if ctx.headers.get("Expect", "").lower() == "100-continue" and ctx.http.transport is not None:
        ctx.http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if isinstance(ctx.http, OrdinaryRequest):
        return ctx.http.received
    content = ctx.http.content
    first = await content.readany()
    if content.at_eof():
        if len(first) > limit:
            raise too_large(limit)
        return first
    parts, size = [first], len(first)
    while not content.at_eof():
        if size > limit:
            raise too_large(limit)
        part = await content.readany()
        parts.append(part)
        size += len(part)
    if size > limit:
        raise too_large(limit)
    return b"".join(parts)


def too_large(limit: int) -> errors.RequestEntityTooLarge:
    return errors.RequestEntityTooLarge(f"Request entity too large: limit is {limit}")


def to_json(ctx: RequestContext, body: bytes, kind: str) -> bytes:
    """The body as JSON. Raises UnsupportedMediaType, and BadRequest for what cannot be parsed."""
    serializer = negotiate_input(ctx.headers.get("Content-Type", ""))
    try:
        return serializer.to_json(body)
    except ValueError as error:
        raise unrecognized(kind, str(error), body) from None


def unrecognized(kind: str, why: str, body: bytes) -> errors.BadRequest:
    return errors.BadRequest(f"the object provided is unrecognized (must be of type {kind}): {why} ({_summary(body)})")


def _summary(body: bytes, length: int = 30) -> str:
    """The start of a body, as upstream shows it."""
    if not body:
        return "<empty>"
    shown = body[:length]
    text = shown.decode(errors="replace") if shown[:1] == b"{" else shown.hex()
    return text + (" ..." if len(body) > length else "")


def decode_object(ctx: RequestContext, body: bytes, kind: Kind, validation: str) -> Object:
    """An object of `kind`, its kind and apiVersion filled in where they are missing. Warnings go to the request.

    Raises BadRequest, worded as upstream's, for malformed bodies, other kinds and, when Strict, unknown or duplicate fields.
    """
    data = to_json(ctx, body, kind.kind)
    faults = _yaml_faults(ctx, body) if data is not body and validation != "Ignore" else ()
    try:
        obj, warnings = schema.decode(kind, data, validation, faults)
    except errors.BadRequest:
        _check_kind(data, kind)
        raise
    given = (obj.get("apiVersion"), obj.get("kind"))
    if given != (kind.api_version, kind.kind):
        if kind.behaviour is None:
            check_type(obj, kind.api_version, kind.kind)
        else:
            _check_version(obj, kind.api_version)
    for warning in warnings:
        ctx.warnings.extend(warning_lines(warning))
    if ctx.audit is not None:
        ctx.audit.requested(_defaulted(kind, obj))
    return obj


class Decoded(NamedTuple):
    """`defaulted`: has its defaults already; `spec` is then the JSON of its spec, where that is known."""

    obj: Object
    defaulted: bool
    spec: bytes | None = None


def decode_new(ctx: RequestContext, body: bytes, kind: Kind, validation: str, specs: KnownSpecs) -> Decoded:
    """`decode_object` of an object to be created; what came before with the same spec is not looked at again."""
    if (kind.api_version, kind.kind) not in KINDS or negotiate_input(ctx.headers.get("Content-Type", "")) is not JSON:
        return Decoded(decode_object(ctx, body, kind, validation), False)
    known = specs.read(kind, body)
    if known is not None:
        if ctx.audit is not None:
            ctx.audit.requested(copy(known.obj))
        return Decoded(known.obj, True, known.spec)
    warned = len(ctx.warnings)
    obj = decode_object(ctx, body, kind, validation)
    apply_defaults(kind, obj)
    if len(ctx.warnings) == warned:
        specs.learn(kind, body, obj)
    return Decoded(obj, True)


def _defaulted(kind: Kind, obj: Object) -> Object:
    """What upstream records of a request: the object as it was decoded, which fills in defaults."""
    complete: Object = copy(obj)
    apply_defaults(kind, complete)
    return complete


def _yaml_faults(ctx: RequestContext, body: bytes) -> tuple[str, ...]:
    """Repeated keys of YAML, which are gone once it is JSON."""
    if negotiate_input(ctx.headers.get("Content-Type", "")) is not YAML:
        return ()
    found = duplicate_keys(body)
    return (found,) if found else ()


def _check_kind(data: bytes, kind: Kind) -> None:
    """Whether the body is of another kind, which says more than the fields that do not fit."""
    try:
        obj = orjson.loads(data)
    except ValueError:
        return
    named = isinstance(obj, dict) and all(isinstance(obj.get(field, ""), str) for field in ("apiVersion", "kind"))
    if named and kind.behaviour is None and obj.get("apiVersion", "").count("/") < 2:
        check_type(obj, kind.api_version, kind.kind)


def check_type(obj: Object, api_version: str, kind: str) -> None:
    """Fills in a missing kind or apiVersion; raises BadRequest for another one."""
    given_version, given_kind = (obj.get("apiVersion") or "").removeprefix("/") or api_version, obj.get("kind") or kind
    if (given_version, given_kind) != (api_version, kind):
        why = unconvertible(given_version, given_kind, api_version, kind)
        if not why:
            raise _other_version(given_version, api_version)
        version = given_version.rpartition("/")[2]
        raise errors.BadRequest(f'{given_kind} in version "{version}" cannot be handled as a {kind}: {why}')
    obj["apiVersion"], obj["kind"] = api_version, kind


def unconvertible(given_version: str, given_kind: str, api_version: str, kind: str) -> str:
    """Why an object of one type cannot become one of another; '' when it is another version of the same kind."""
    group, _, version = given_version.rpartition("/")
    if schema.definition_name(group, version, given_kind) is None and (given_version, given_kind) != ("v1", "List"):
        scheme = "pkg/api/legacyscheme/scheme.go:30"
        return f'no kind "{given_kind}" is registered for version "{given_version}" in scheme "{scheme}"'
    if given_kind != kind:
        return f"converting ({version}.{given_kind}) to ({go_type(api_version.rpartition('/')[0], kind)}): unknown conversion"
    return ""


def _check_version(obj: Object, api_version: str) -> None:
    """`check_type` of a custom resource, which must say its version; what kind it says it is, is for its validation."""
    given = obj.get("apiVersion", "")
    if given is None:
        why = ".apiVersion accessor error: <nil> is of the type <nil>, expected string"
        raise errors.BadRequest(f'{obj["kind"]} in version "" cannot be handled as a {obj["kind"]}: {why}')
    if given != api_version:
        raise _other_version(given, api_version)


def _other_version(given: str, wanted: str) -> errors.BadRequest:
    return errors.BadRequest(f"the API version in the data ({given}) does not match the expected API version ({wanted})")


def decode_as(
    ctx: RequestContext, body: bytes, definition: str, api_version: str, kind: str, validation: str, *, also: tuple[str, ...] = ()
) -> Object:
    """The same for what is no row of the table of kinds: Scale, Eviction, Binding, TokenRequest, DeleteOptions. `also`: versions that have
    the same fields and are read as `api_version`."""
    data = to_json(ctx, body, kind)
    obj, warnings = schema.decode_as(definition, data, validation)
    if obj.get("apiVersion") in also:
        obj["apiVersion"] = api_version
    check_type(obj, api_version, kind)
    ctx.warnings.extend(warnings)
    if ctx.audit is not None:
        ctx.audit.requested({"kind": kind, "apiVersion": api_version, "metadata": {}} | obj)
    return obj


def delete_options_body(ctx: RequestContext, body: bytes) -> Object | None:
    """metav1.DeleteOptions from a body, None for an empty one. Any group's DeleteOptions is accepted, as upstream does."""
    if not body:
        return None
    try:
        data = to_json(ctx, body, "DeleteOptions")
        obj, _ = schema.decode_as("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", data, "Ignore")
    except errors.BadRequest as error:
        raise errors.BadRequest(_bare(error.message)) from None
    given = obj.get("kind") or "DeleteOptions"
    if given != "DeleteOptions":
        scheme = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
        raise errors.BadRequest(f'no kind "{given}" is registered for version "{obj.get("apiVersion", "")}" in scheme "{scheme}"')
    if ctx.audit is not None:
        ctx.audit.requested({"kind": "DeleteOptions", **obj, "apiVersion": "meta.k8s.io/__internal"})
    return obj


def _bare(message: str) -> str:
    """The decoder's own words, without those of which object it was."""
    _, found, bare = message.partition(" cannot be handled as a DeleteOptions: ")
    if found:
        return bare
    _, found, bare = message.partition("(must be of type DeleteOptions): ")
    return bare.rpartition(" (")[0] if found else message
