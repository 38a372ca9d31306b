"""Types of built-in kinds, from the OpenAPI definitions: what ValidatingAdmissionPolicy's type checking goes by."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.schema import definitions

from .schemas import schema_type
from .types import Type

_KEPT = (
    "format",
    "required",
    "default",
    "enum",
    "maxLength",
    "maxItems",
    "maxProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-embedded-resource",
)


@lru_cache(maxsize=64)
def kind_type(kind: Kind) -> Type | None:
    """The type of a kind's objects, named after the kind; None for a kind that has no definition."""
    name = definitions.name_of(kind)
    if name is None:
        return None
    return schema_type(_resolved({"$ref": name}, frozenset()), resource_root=True, name=kind.kind)


def _resolved(schema: dict[str, Any], seen: frozenset[str]) -> dict[str, Any]:
    """The schema with references replaced by what they refer to; an empty object where a type contains itself."""
    name = definitions.reference(schema)
    if name is not None:
        if name in seen:
            return {"type": "object"}
        if name in _SPECIAL:
            return _SPECIAL[name]
        return _resolved(definitions.definitions()[name], seen | {name})
    out: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    out["type"] = definitions.type_of(schema)
    if isinstance(schema.get("properties"), dict):
        out["properties"] = {field: _resolved(value, seen) for field, value in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = _resolved(schema[key], seen)
    return out


# What upstream's own definitions say of types that are written in more than one way. A quantity is a oneOf without a type.
_SPECIAL: dict[str, dict[str, Any]] = {
    definitions.INT_OR_STRING: {"x-kubernetes-int-or-string": True},
    definitions.QUANTITY: {},
    definitions.TIME: {"type": "string", "format": "date-time"},
    definitions.MICRO_TIME: {"type": "string", "format": "date-time"},
    definitions.DURATION: {"type": "string"},
    definitions.FIELDS_V1: {"type": "object"},
    definitions.RAW_EXTENSION: {"type": "object"},
}
