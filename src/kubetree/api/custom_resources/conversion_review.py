"""ConversionReviews: what a conversion webhook is asked, and whether its answer may be believed. Follows apiextensions' webhook converter.

A webhook may change everything but the identity of an object: of its metadata only labels and annotations are taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.objects import copy
from kubetree.api.validation.errors import Errors, quote
from kubetree.api.validation.metadata import annotation_map, labels

Object = dict[str, Any]
_V1 = "apiextensions.k8s.io/v1"


class ConversionError(Exception):
    """Why no object came of it; the text is for the client."""


def review(versions: Sequence[str], objs: Sequence[Object], api_version: str, uid: str) -> Object:
    """The request, in the first of the versions (`conversionReviewVersions`) that is known."""
    version = next((v for v in versions if v in ("v1", "v1beta1")), None)
    if version is None:
        raise ConversionError("no supported conversion review versions")
    request = {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objs)}
    return {"kind": "ConversionReview", "apiVersion": f"apiextensions.k8s.io/{version}", "request": request}


def converted(asked: Object, answer: Object) -> list[Object]:
    """The objects of an answer to `asked`, each checked against its original. Raises ConversionError."""
    objs: list[Object] = asked["request"]["objects"]
    what = _shown(objs[0])
    try:
        found = _objects(asked, answer)
    except ConversionError as error:
        raise ConversionError(f"conversion webhook for {what} failed: {error}") from None
    if len(found) != len(objs):
        raise ConversionError(f"conversion webhook for {what} returned {len(found)} objects, expected {len(objs)}")
    wanted = asked["request"]["desiredAPIVersion"]
    out = []
    for i, (original, new) in enumerate(zip(objs, found, strict=True)):
        where = f"conversion webhook for {what} returned invalid"
        at = "object" if len(objs) == 1 else "converted object"
        if not isinstance(new, dict) or not new.get("kind"):
            raise ConversionError(f"{where} {at} at index {i}: Object 'Kind' is missing")
        if new.get("apiVersion") != wanted:
            told = f"invalid groupVersion (expected {wanted}, received {new.get('apiVersion') or ''})"
            raise ConversionError(f"{where} {at} at index {i}: {told}")
        if new["kind"] != original["kind"]:
            raise ConversionError(f"{where} {at} at index {i}: invalid kind (expected {original['kind']}, received {new['kind']})")
        beside = "" if len(objs) == 1 else f" at index {i}"
        _check_identity(original, new, f"{where} {at}{beside}")
        _restore_metadata(original, new, f"{where} metadata{f' in object at index {i}' if beside else ''}")
        out.append(new)
    return out


def _shown(obj: Object) -> str:
    return f"{obj.get('apiVersion')}, Kind={obj.get('kind')}"


def failed(obj: Object, why: str) -> ConversionError:
    """The webhook could not be asked at all."""
    return ConversionError(f"conversion webhook for {_shown(obj)} failed: {why}")


def _objects(asked: Object, answer: Object) -> list[Any]:
    response = answer.get("response")
    strict = asked["apiVersion"] == _V1
    if strict and (answer.get("apiVersion"), answer.get("kind")) != (_V1, "ConversionReview"):
        told = f"{answer.get('apiVersion') or ''}, Kind={answer.get('kind') or ''}"
        raise ConversionError(f"expected webhook response of {_V1}, Kind=ConversionReview, got {told}")
    if not isinstance(response, dict):
        raise ConversionError("no response provided")
    uid = asked["request"]["uid"]
    if strict and response.get("uid") != uid:
        raise ConversionError(f"expected response.uid={quote(uid)}, got {quote(str(response.get('uid') or ''))}")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise ConversionError(result.get("message") or f"response.result.status was '{result.get('status') or ''}', not 'Success'")
    found: list[Any] = response.get("convertedObjects") or []
    return found


def _check_identity(original: Object, new: Object, where: str) -> None:
    before, after = original.get("metadata") or {}, new.get("metadata")
    after = after if isinstance(after, dict) else {}
    for field, name in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if (before.get(field) or "") != (after.get(field) or ""):
            raise ConversionError(f"{where}: must have the same {name}: {before.get(field) or ''} != {after.get(field) or ''}")


_GO_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}", dict: "map[string]interface {}"}


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(type(value), "<nil>")


def _restore_metadata(original: Object, new: Object, where: str) -> None:
    if "metadata" not in new:
        raise ConversionError(f"{where}: missing metadata in converted object")
    answered = new["metadata"]
    if not isinstance(answered, dict):
        raise ConversionError(f"{where}: invalid metadata of type {_go_type(answered)} in converted object")
    metadata = new["metadata"] = copy(original.get("metadata") or {})
    for field in ("labels", "annotations"):
        value = answered.get(field)
        if value is None:
            metadata.pop(field, None)
            continue
        if not isinstance(value, dict):
            raise ConversionError(f"{where}: invalid metadata.{field} of type {_go_type(value)} in converted object")
        for key, text in value.items():
            if not isinstance(text, str):
                found = _go_type(text)
                raise ConversionError(f"{where}: metadata.{field}[{key}] must be a string, but is {found} in converted object")
        if value != metadata.get(field):
            errs: Errors = []
            (labels if field == "labels" else annotation_map)(
                errs, value, "metadata.labels" if field == "labels" else "metadata.annotation"
            )
            if errs:
                raise ConversionError(f"{where}: {errs[0] if len(errs) == 1 else '[' + ', '.join(map(str, errs)) + ']'}")
        metadata[field] = value
