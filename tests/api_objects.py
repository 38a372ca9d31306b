"""Objects on their way into the store, and what they are refused for."""

from __future__ import annotations

import copy
from typing import Any

from kubetree.api.defaults import apply_defaults
from kubetree.api.feature_gates import DEFAULT_FEATURES, Features, resolve
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.strategies import prepare_for_create, prepare_for_update
from kubetree.api.validation import validate_create, validate_update

Object = dict[str, Any]
EVERYTHING = resolve({"AllAlpha": True, "AllBeta": True})


def features(row: Kind) -> Features:
    """A kind that is off by default comes with all fields that it may have."""
    return EVERYTHING if row.optional else DEFAULT_FEATURES


def made(api_version: str, name: str, obj: Object) -> Object:
    """The object as it comes to validation."""
    row = kind(api_version, name)
    obj = {"apiVersion": api_version, "kind": name, **copy.deepcopy(obj)}
    metadata = obj.setdefault("metadata", {})
    metadata.setdefault("name", "x")
    metadata.setdefault("uid", "u")
    if row.namespaced:
        metadata.setdefault("namespace", "default")
    apply_defaults(row, obj)
    prepare_for_create(row, obj, features(row))
    return obj


def refusals(api_version: str, name: str, obj: Object) -> list[str]:
    return [str(e) for e in validate_create(kind(api_version, name), made(api_version, name, obj))]


def changes(api_version: str, name: str, old: Object, change: Object, subresource: str = "") -> list[str]:
    """What an update by `change` (path to value) is refused for."""
    row, before = kind(api_version, name), made(api_version, name, old)
    before["metadata"]["resourceVersion"] = "1"
    after = copy.deepcopy(before)
    for path, value in change.items():
        *parents, last = path.split(".")
        at: Any = after
        for part in parents:
            at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    apply_defaults(row, after)
    prepare_for_update(row, after, before, subresource, features=features(row))
    return [str(e) for e in validate_update(row, after, before, subresource)]
