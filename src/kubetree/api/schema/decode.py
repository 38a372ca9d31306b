"""Decoding of request bodies: the compiled check says yes in microseconds; the slow walk says no, and why.

Follows apimachinery's JSON serializer and sigs.k8s.io/json: fieldValidation Strict refuses unknown and duplicate fields, Warn gives
warnings and drops them, Ignore drops them; null is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson

from kubetree.api import errors
from kubetree.api.kinds import Kind
from kubetree.api.schema import definitions as d
from kubetree.api.schema import types
from kubetree.api.schema.go_json import Members, parse
from kubetree.api.schema.go_values import drop_zeros
from kubetree.api.schema.walk import Fault, Walk

_NULL = re.compile(rb'[^\\]"[ \t\r\n]*:[ \t\r\n]*null|[\[,][ \t\r\n]*null')
_SHOWN = 30
_encode = msgspec.json.Encoder().encode


def decode(kind: Kind, data: bytes, validation: str = "Strict", faults: Sequence[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """An object of `kind` from JSON, and the warnings that `validation` (Strict, Warn, Ignore) asks for.

    A kind that is not built in is free JSON below its ObjectMeta. `faults` are strict errors that the caller has found, such as keys that
    YAML has twice: they come first. Raises BadRequest with upstream's wording.
    """
    if kind.behaviour is not None:
        return kind.behaviour.decode(data, validation, faults)
    return _decode(d.name_of(kind), data, validation, kind.kind, kind.version, faults)


def decode_as(name: str, data: bytes, validation: str = "Strict") -> tuple[dict[str, Any], list[str]]:
    """The same for a definition by its full name, such as io.k8s.api.autoscaling.v1.Scale."""
    version, kind = name.split(".")[-2:]
    return _decode(name, data, validation, kind, version)


def check(kind: Kind | str, obj: dict[str, Any], validation: str = "Strict", faults: Sequence[str] = ()) -> list[str]:
    """Checks what has been parsed already, such as the result of a patch, and brings it to canonical form in place.

    `faults` are strict errors that the caller has found, such as members that the patch has twice: they come first. Gives warnings as `decode` does. Raises BadRequest with the bare message (`strict decoding error: ...`, `json: ...`).
    """
    if isinstance(kind, Kind) and kind.behaviour is not None:
        return kind.behaviour.check(obj, validation, faults)
    name = kind if isinstance(kind, str) else d.name_of(kind)
    if name is not None and not faults:
        try:
            checked = msgspec.convert(obj, types.object_type(name))
        except msgspec.ValidationError:
            pass
        else:
            data, written = orjson.dumps(obj), _encode(checked)
            if data.count(b":") == written.count(b":") and not _has_null(data):
                return []
            canonical = _canonical(name, written)
            if canonical is not None:
                obj.clear()
                obj.update(canonical)
                return []
    walk = Walk(faults)
    try:
        found = walk.run(name, obj)
        _raise_first(walk, validation)
    except Fault as fault:
        raise errors.BadRequest(str(fault)) from None
    if name is not None:
        drop_zeros(name, found)
    obj.clear()
    obj.update(found)
    return walk.strict_errors if validation == "Warn" else []


Coerce = Callable[[dict[str, Any]], list[str]]
"""Brings a custom resource in the shape of its schema, in place, and gives the paths of fields that it took out. Raises ValueError."""


def decode_custom(
    kind: str, version: str, data: bytes, validation: str, faults: Sequence[str], coerce: Coerce
) -> tuple[dict[str, Any], list[str]]:
    """A custom resource from JSON: any fields below its ObjectMeta, as far as `coerce` leaves them. Otherwise like `decode`."""
    try:
        obj = orjson.loads(data)
    except (ValueError, RecursionError):
        obj = None
    whole = isinstance(obj, dict) and not faults and data.count(b":") == orjson.dumps(obj).count(b":")
    if whole and obj.get("kind") and _plain_meta(obj, data):
        drop_zeros(d.OBJECT_META, obj.get("metadata") or {})
        refused = f'{kind} in version "{version}" cannot be handled as a {kind}'
        unknown = _coerced(coerce, obj, refused)
        return obj, _judged(unknown, validation, refused) if unknown else []
    try:
        document = parse(data)
    except ValueError as error:
        raise _unrecognized(kind, str(error), data) from None
    given_kind, given_version = _type_meta(document, data, kind)
    if not given_kind:
        raise _kindless(kind, data)
    shown = given_version.rpartition("/")[2] or version
    walk = Walk(faults)
    try:
        free = walk.free(document)
    except RecursionError:
        raise _unrecognized(kind, "exceeded max depth", data) from None
    if not isinstance(free, dict):
        free = {}
    if "metadata" in free:
        free["metadata"] = _decoded_meta(walk, free["metadata"], given_kind or kind, shown, kind)
        drop_zeros(d.OBJECT_META, free["metadata"])
    refused = f'{given_kind or kind} in version "{shown}" cannot be handled as a {kind}'
    strict = walk.strict_errors + _coerced(coerce, free, refused)
    return free, _judged(strict, validation, refused)


def check_custom(obj: dict[str, Any], validation: str, faults: Sequence[str], coerce: Coerce) -> list[str]:
    """What `check` is for built-in kinds, of a custom resource that a patch has made. Raises BadRequest with the bare message."""
    walk = Walk(faults)
    if "metadata" in obj and not _plain_meta(obj, b"null"):
        try:
            obj["metadata"] = walk.metadata(obj["metadata"], "metadata") or {}
            if walk.error:
                raise Fault(walk.error)
        except Fault as fault:
            raise errors.BadRequest(str(fault)) from None
    drop_zeros(d.OBJECT_META, obj.get("metadata") or {})
    return _judged(walk.strict_errors + _coerced(coerce, obj, ""), validation, "")


def object_meta(value: Any, path: str) -> tuple[dict[str, Any], list[str], str]:
    """(metadata in canonical form, paths of unknown fields, Go's error for a field of a wrong type or ''). Fields that are wrong are left
    out."""
    walk = Walk()
    try:
        found = walk.metadata(value, path)
    except Fault as fault:
        return {}, [], str(fault)
    if found:
        drop_zeros(d.OBJECT_META, found)
    unknown = [error.split('"')[1] for error in walk.strict_errors if error.startswith("unknown field")]
    return found or {}, unknown, walk.error


def stored_object_meta(value: Any) -> dict[str, Any]:
    """Metadata that was stored by whoever could write to the store: unknown fields go, and those of a wrong type, each as a whole."""
    try:
        msgspec.convert(value, types.object_type(d.OBJECT_META))
    except msgspec.ValidationError:
        kept: dict[str, Any] = {}
        for name, field in value.items() if isinstance(value, dict) else ():
            found, _, wrong = object_meta({name: field}, "metadata")
            if not wrong:
                kept.update(found)
        return kept
    canonical: dict[str, Any] = value
    return canonical


def _plain_meta(obj: dict[str, Any], data: bytes) -> bool:
    """Whether apiVersion, kind and metadata need no second look."""
    if not isinstance(obj.get("apiVersion", ""), str) or not isinstance(obj.get("kind", ""), str):
        return False
    metadata = obj.get("metadata")
    if metadata is None:
        return "metadata" not in obj
    try:
        msgspec.convert(metadata, types.object_type(d.OBJECT_META))
    except msgspec.ValidationError:
        return False
    return b"null" not in data or not _has_null(orjson.dumps(metadata))


def _decoded_meta(walk: Walk, value: Any, given: str, version: str, kind: str) -> dict[str, Any]:
    try:
        found = walk.metadata(value, "metadata")
        if walk.error:
            raise Fault(walk.error)
    except Fault as fault:
        raise errors.BadRequest(f'{given} in version "{version}" cannot be handled as a {kind}: {fault}') from None
    return found or {}


def _coerced(coerce: Coerce, obj: dict[str, Any], refused: str) -> list[str]:
    """Strict errors for the fields that `coerce` took out. Raises BadRequest, which begins with `refused`, for what it cannot take."""
    try:
        return [f'unknown field "{path}"' for path in coerce(obj)]
    except ValueError as error:
        raise errors.BadRequest(f"{refused}: {error}" if refused else str(error)) from None


def _judged(strict: list[str], validation: str, refused: str) -> list[str]:
    """Warnings for strict errors. Raises BadRequest where they are not allowed; `refused` is what it begins with."""
    if strict and validation == "Strict":
        told = f"strict decoding error: {', '.join(strict)}"
        raise errors.BadRequest(f"{refused}: {told}" if refused else told)
    return strict if validation == "Warn" else []


def duplicate_fields(data: bytes) -> list[str]:
    """`duplicate field "spec.a"` for every member that free JSON, such as a merge patch, has twice. Raises ValueError as Go's parser."""
    if _all_members(data):
        return []
    walk = Walk()
    walk.free(parse(data))
    return walk.strict_errors


def json_patch_faults(data: bytes) -> list[str]:
    """What strict decoding says of a JSON patch: `json patch unknown field "[0].foo"`. Raises ValueError as Go's parser."""
    walk = Walk()
    document = parse(data)
    if isinstance(document, list) and not isinstance(document, Members):
        walk.operations(document)
    return [f"json patch {fault}" for fault in walk.strict_errors]


def _all_members(data: bytes) -> bool:
    """Whether everything that the document says is there once it is read; what is no JSON is left to the slow parser."""
    try:
        return data.count(b":") == orjson.dumps(orjson.loads(data)).count(b":")
    except ValueError:
        return False


def _decode(
    name: str | None, data: bytes, validation: str, kind: str, version: str, faults: Sequence[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    if name is not None and not faults:
        try:
            checked = types.decoder(name).decode(data)
            obj = orjson.loads(data)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _slowly(name, data, validation, kind, version, faults)
        # Duplicate members, which neither parser sees, and zero values that Go drops: writing what was read shows that some are gone.
        members, written = data.count(b":"), _encode(checked)
        if members == written.count(b":") and not _has_null(data):
            return obj, []
        if members == orjson.dumps(obj).count(b":"):
            canonical = _canonical(name, written)
            if canonical is not None:
                return canonical, []
            obj = Walk().run(name, obj)
            drop_zeros(name, obj)
            return obj, []
    return _slowly(name, data, validation, kind, version, faults)


def _has_null(data: bytes) -> bool:
    return b"null" in data and _NULL.search(data) is not None


def _canonical(name: str, written: bytes) -> dict[str, Any] | None:
    """What the compiled type has written again, which leaves out nulls and zero values: a hundredth of a walk's time, and every scheduled pod
    has a null in its conditions. None when there are nulls that may say something."""
    obj: dict[str, Any] = orjson.loads(written)
    if _has_null(written):  # of a field whose zero value goes
        drop_zeros(name, obj)
        if _has_null(orjson.dumps(obj)):
            return None
    return obj


def _slowly(
    name: str | None, data: bytes, validation: str, kind: str, version: str, faults: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    try:
        document = parse(data)
    except ValueError as error:
        raise _unrecognized(kind, str(error), data) from None
    given_kind, given_version = _type_meta(document, data, kind)
    walk = Walk(faults)
    try:
        obj = walk.run(name, document)
        _raise_first(walk, validation)
    except Fault as fault:
        shown = (given_kind or kind), (given_version.rpartition("/")[2] or version)
        raise errors.BadRequest(f'{shown[0]} in version "{shown[1]}" cannot be handled as a {kind}: {fault}') from None
    except RecursionError:
        raise _unrecognized(kind, "exceeded max depth", data) from None
    if name is not None:
        drop_zeros(name, obj)
    return obj, walk.strict_errors if validation == "Warn" else []


def _raise_first(walk: Walk, validation: str) -> None:
    if walk.error:
        raise Fault(walk.error)
    if walk.strict_errors and validation == "Strict":
        raise Fault(f"strict decoding error: {', '.join(walk.strict_errors)}")


_FIND_KIND = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


def _type_meta(document: Any, data: bytes, kind: str) -> tuple[str, str]:
    """(kind, apiVersion) of the document, '' where it has none. Raises BadRequest where they are not strings."""
    if not isinstance(document, Members):
        if document is None:
            return "", ""
        what = {bool: "bool", str: "string", list: "array"}.get(type(document), "number")
        raise _unrecognized(kind, f"json: cannot unmarshal {what} into Go value of type {_FIND_KIND}", data)
    found = {"kind": "", "apiVersion": ""}
    for key, value in document:
        if key in found and value is not None:
            if not isinstance(value, str):
                what = {bool: "bool", Members: "object", list: "array"}.get(type(value), "number")
                raise _unrecognized(kind, f"json: cannot unmarshal {what} into Go struct field .{key} of type string", data)
            found[key] = value
    if found["apiVersion"].count("/") > 1:
        raise _unrecognized(kind, "", data, f"unexpected GroupVersion string: {found['apiVersion']}")
    return found["kind"], found["apiVersion"]


def _kindless(kind: str, data: bytes) -> errors.BadRequest:
    shown = data.decode(errors="replace")
    return _unrecognized(kind, "", data, f"Object 'Kind' is missing in '{shown}'")


def _unrecognized(kind: str, why: str, data: bytes, reason: str = "") -> errors.BadRequest:
    reason = reason or f"couldn't get version/kind; json parse error: {why}"
    start = data[:_SHOWN]
    summary = (start.decode(errors="replace") if start[:1] == b"{" else start.hex()) + (" ..." if len(data) > _SHOWN else "")
    return errors.BadRequest(f"the object provided is unrecognized (must be of type {kind}): {reason} ({summary or '<empty>'})")
