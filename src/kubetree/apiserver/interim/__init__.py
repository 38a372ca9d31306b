"""Stands where `kubetree.api` will have server-side apply and the OpenAPI documents; goes when they come."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kind, Kinds
from kubetree.api.patches import merge_patch

Object = dict[str, Any]


def track_update(
    kind: Kind, live: Object | None, new: Object, *, manager: str, now: str, subresource: str = "", operation: str = "Update"
) -> None:
    entry = {"manager": manager, "operation": operation, "apiVersion": kind.api_version, "time": now, "fieldsType": "FieldsV1"}
    new["metadata"]["managedFields"] = [{**entry, "fieldsV1": {}}]


def apply(kind: Kind, live: Object | None, applied: Object, *, manager: str, force: bool, now: str, subresource: str = "") -> Object:
    return merge_patch(live or {}, applied)


def openapi_v2(kinds: Kinds) -> Object:
    return {"swagger": "2.0"}


def openapi_v3_index(kinds: Kinds) -> Object:
    return {"paths": {}}


def openapi_v3(kinds: Kinds, group: str, version: str) -> Object:
    return {}
