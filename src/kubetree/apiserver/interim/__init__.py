"""Stands where `kubetree.api` will have the OpenAPI documents; goes when they come."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kinds

Object = dict[str, Any]


def openapi_v2(kinds: Kinds) -> Object:
    return {"swagger": "2.0"}


def openapi_v3_index(kinds: Kinds) -> Object:
    return {"paths": {}}


def openapi_v3(kinds: Kinds, group: str, version: str) -> Object:
    return {}
