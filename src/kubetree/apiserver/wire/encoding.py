"""How an object becomes bytes: stored without resourceVersion, answered with it spliced in, never encoded twice."""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api.objects import whole_numbers
from kubetree.api.schema.go_values import write_nulls
from kubetree.api.validation import Template

_METADATA = b'"metadata":{'
_DROPPED_EMPTY = frozenset({"annotations", "finalizers", "generateName", "labels", "managedFields", "namespace", "ownerReferences", "uid"})
"""Metadata that is not written when it is empty, as Go's omitempty has it."""


def encode(obj: dict[str, Any], template: Template | None = None) -> bytes:
    """The stored form: kind, apiVersion and metadata first, no resourceVersion and no selfLink, no empty metadata.

    The first `"metadata":{` of the bytes is therefore the object's own, which is what `with_revision` relies on. A new pod whose `template`
    is known has been written in part; empty lists are looked for once for all pods of a template (metadata and a new pod's status have none).
    """
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if v or k not in _DROPPED_EMPTY}
    metadata.pop("resourceVersion", None)
    metadata.pop("selfLink", None)
    ordered = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    for key, value in obj.items():
        if key not in ordered:
            ordered[key] = value
    if template is not None and not template.has_empty_lists:
        ordered["spec"] = orjson.Fragment(template.spec)
        return orjson.dumps(ordered)
    data = orjson.dumps(ordered)
    return orjson.dumps(ordered) if b":[]" in data and write_nulls(ordered) else data


def encode_custom(obj: dict[str, Any]) -> bytes:
    """The stored form of a custom resource: whole numbers are written as such, 1.0 as 1, in `obj` as well."""
    value = encode(obj)
    if b".0" not in value:
        return value
    for name, item in obj.items():
        if name != "metadata":
            obj[name] = whole_numbers(item)
    return encode(obj)


def with_revision(value: bytes, revision: int) -> bytes:
    """A stored value as clients see it: metadata.resourceVersion set to the revision that wrote it. Raises ValueError for bytes
    without metadata."""
    at = value.index(_METADATA) + len(_METADATA)
    comma = b"" if value[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], revision, comma, value[at:])


def decode(value: bytes, revision: int = 0) -> dict[str, Any]:
    """A stored value as an object of its own; `revision` becomes its resourceVersion, 0: none."""
    obj: dict[str, Any] = orjson.loads(value)
    if revision:
        obj["metadata"]["resourceVersion"] = str(revision)
    return obj
