"""AdmissionReview, v1 and v1beta1: what is asked and what an answer must be. Pure. Follows admission/plugin/webhook/request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubetree.apiserver.admission.matching.targets import Target, target
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authentication.identity_reviews import user_info

Object = dict[str, Any]
GROUP = "admission.k8s.io"
JSON_PATCH = "JSONPatch"


@dataclass(frozen=True, slots=True)
class Response:
    """What a webhook answered. `result` is its metav1.Status."""

    allowed: bool
    patch: bytes = b""
    patch_type: str = ""
    result: Object | None = None
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)


class InvalidResponse(Exception):
    """An answer that can be read but must not be given."""


def admission_request(request: AdmissionRequest, found: Target) -> Object:
    """AdmissionRequest without uid and objects: also what CEL expressions see as `request`."""
    asked = target(request.kind, request.subresource)
    told: Object = {"kind": found.kind.to_dict(), "resource": found.resource()}
    if found.subresource:
        told["subResource"] = found.subresource
    told["requestKind"], told["requestResource"] = asked.kind.to_dict(), asked.resource()
    if asked.subresource:
        told["requestSubResource"] = asked.subresource
    for name, value in (("name", request.name), ("namespace", request.namespace)):
        if value:
            told[name] = value
    told["operation"], told["userInfo"] = request.operation, user_info(request.user)
    told["dryRun"], told["options"] = request.dry_run, request.options or None
    return told


def review(version: str, uid: str, request: AdmissionRequest, found: Target, obj: Object | None, old: Object | None) -> Object:
    """`obj` and `old` are at the version of `found`."""
    told = {"uid": uid, **admission_request(request, found), "object": obj, "oldObject": old}
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": told}


class _Response(msgspec.Struct):
    uid: str | None = None
    allowed: bool | None = None
    status: dict[str, Any] | None = None
    patch: bytes | None = None
    patchType: str | None = None
    auditAnnotations: dict[str, str] | None = None
    warnings: list[str] | None = None


class _Review(msgspec.Struct):
    kind: str | None = None
    apiVersion: str | None = None
    response: _Response | None = None


def response(answer: Object, version: str, uid: str, *, mutating: bool) -> Response:
    """Raises ValueError for what is no AdmissionReview at all, InvalidResponse for one that breaks a rule."""
    try:
        found = msgspec.convert(answer, _Review)
    except msgspec.ValidationError as error:
        raise ValueError(_worded(str(error))) from None
    _check_type(found, version)
    given = found.response
    if given is None:
        raise InvalidResponse("webhook response was absent")
    patch, patch_type = given.patch or b"", given.patchType
    if version == "v1":
        _check_v1(given, uid, mutating)
    elif patch:
        patch_type = JSON_PATCH
    if not mutating:
        patch = b""
    return Response(bool(given.allowed), patch, patch_type or "", given.status, tuple(given.warnings or ()), given.auditAnnotations or {})


_SCHEME = "k8s.io/apiserver/pkg/util/webhook/client.go:71"
_GO_TYPES = {
    "allowed": "bool",
    "auditAnnotations": "map[string]string",
    "patch": "[]uint8",
    "patchType": "v1.PatchType",
    "response": "v1.AdmissionResponse",
    "status": "v1.Status",
    "uid": "types.UID",
    "warnings": "[]string",
}
_GIVEN = {"str": "string", "bool": "bool", "int": "number", "float": "number", "object": "object", "array": "array"}
_mismatch = re.compile(r"got `(\w+)` - at `\$\.(\w+)(?:\.(\w+))?").search


def _worded(error: str) -> str:
    """What msgspec finds wrong, as Go's decoder would say it."""
    found = _mismatch(error)
    if found is None:
        return f"json: cannot unmarshal: {error}"
    given, outer, inner = found.groups()
    field, struct = (f"{outer}.{inner}", "AdmissionResponse") if inner else (outer, "AdmissionReview")
    kind = _GO_TYPES.get(inner or outer, "string")
    return f"json: cannot unmarshal {_GIVEN.get(given, given)} into Go struct field {struct}.{field} of type {kind}"


def _check_type(found: _Review, version: str) -> None:
    """Raises ValueError for another type than was asked in; one that is not named at all is that."""
    kind, api_version = found.kind or "AdmissionReview", found.apiVersion or f"{GROUP}/{version}"
    if (kind, api_version) == ("AdmissionReview", f"{GROUP}/{version}"):
        return
    if kind == "AdmissionReview" and api_version in (f"{GROUP}/v1", f"{GROUP}/v1beta1"):
        given = api_version.rpartition("/")[2]
        raise ValueError(f"converting ({given}.AdmissionReview) to ({version}.AdmissionReview): unknown conversion")
    raise ValueError(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"')


def _check_v1(given: _Response, uid: str, mutating: bool) -> None:
    if (given.uid or "") != uid:
        raise InvalidResponse(f'expected response.uid="{uid}", got "{given.uid or ""}"')
    if not mutating:
        if given.patch:
            raise InvalidResponse("validating webhook may not return response.patch")
        if given.patchType is not None:
            raise InvalidResponse("validating webhook may not return response.patchType")
        return
    if given.patch and given.patchType is None:
        raise InvalidResponse("webhook returned response.patch but not response.patchType")
    if not given.patch and given.patchType is not None:
        raise InvalidResponse("webhook returned response.patchType but not response.patch")
    if given.patchType == "":
        raise InvalidResponse('webhook returned invalid response.patchType of ""')
