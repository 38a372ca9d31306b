"""Stands where `kubetree.api` will have schema, patches, apply, conversion, validation, printers and openapi; goes when they come."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

import jsonpatch

from kubetree.api import errors
from kubetree.api.kinds import Kind, Kinds

Object = dict[str, Any]


def merge_patch(doc: Object, patch: Object) -> Object:
    out = dict(doc)
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            standing = out.get(key)
            out[key] = merge_patch(standing if isinstance(standing, dict) else {}, value)
        else:
            out[key] = value
    return copy.deepcopy(out)


_KEYS = {
    "conditions": "type",
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "addresses": "type",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
    "taints": "key",
}


def strategic_merge(kind: Kind, doc: Object, patch: Object) -> Object:
    out = dict(doc)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        standing = out.get(key)
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = strategic_merge(kind, standing if isinstance(standing, dict) else {}, value)
        elif isinstance(value, list) and key in _KEYS and isinstance(standing, list):
            out[key] = _merge_lists(kind, standing, value, _KEYS[key])
        elif isinstance(value, list) and key == "finalizers":
            out[key] = [*(standing or []), *(v for v in value if v not in (standing or []))]
        else:
            out[key] = value
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            out[name] = [v for v in out.get(name, []) if v not in value]
    return copy.deepcopy(out)


def _merge_lists(kind: Kind, standing: list[Any], value: list[Any], by: str) -> list[Any]:
    out = list(standing)
    for item in value:
        at = next((i for i, s in enumerate(out) if s.get(by) == item.get(by)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del out[at]
        elif at is None:
            out.append(item)
        else:
            out[at] = strategic_merge(kind, out[at], item)
    return out


def json_patch(doc: Object, patch: list[Object]) -> Object:
    try:
        found: Object = jsonpatch.apply_patch(doc, patch)
    except jsonpatch.JsonPatchException as error:
        raise errors.ApiError(str(error), status_code=422, status_reason="Invalid") from None
    return found


def track_update(
    kind: Kind, live: Object | None, new: Object, *, manager: str, now: str, subresource: str = "", operation: str = "Update"
) -> None:
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": kind.api_version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    }
    new["metadata"]["managedFields"] = [entry]


def apply(kind: Kind, live: Object | None, applied: Object, *, manager: str, force: bool, now: str, subresource: str = "") -> Object:
    return strategic_merge(kind, live or {}, applied)


def convert(obj: Object, api_version: str) -> Object:
    return {**obj, "apiVersion": api_version}


def columns(kind: Kind) -> list[Object]:
    return [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]


def cells(kind: Kind, obj: Object, now: datetime) -> list[Any]:
    return [obj["metadata"]["name"]]


def openapi_v2(kinds: Kinds) -> Object:
    return {"swagger": "2.0"}


def openapi_v3_index(kinds: Kinds) -> Object:
    return {"paths": {}}


def openapi_v3(kinds: Kinds, group: str, version: str) -> Object:
    return {}
