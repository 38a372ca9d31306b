"""From OpenAPI schemas to the types of ownership: built-in definitions by name, custom resources by their own schema.

List and map types come from `x-kubernetes-list-type`, `-list-map-keys` and `-map-type`; lists that say nothing are atomic unless their
patch strategy merges them. Follows kube-openapi's schemaconv.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubetree.api.apply.types import DEDUCED, SCALAR, Atomic, List, Map, Type
from kubetree.api.kinds import Kind
from kubetree.api.schema import definitions as d
from kubetree.api.schema.go_values import always

_LEAVES = frozenset({d.QUANTITY, d.INT_OR_STRING, d.JSON_SCHEMA_OR_ARRAY, d.JSON_SCHEMA_OR_BOOL, d.JSON_SCHEMA_OR_STRINGS}) | d.ANYTHING
_SCALARS = {"string": Type("string"), "integer": Type("numeric"), "number": Type("numeric"), "boolean": Type("boolean")}
_KEY_DEFAULTS: dict[str, dict[str, Any]] = {
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}
"""Defaults of key fields, which only OpenAPI v3 tells."""

_named: dict[str, Type] = {}


def named_type(name: str) -> Type:
    """The type of a definition. A definition that holds itself gets one type that holds itself."""
    found = _named.get(name)
    if found is not None:
        return found
    if name in _LEAVES:
        found = SCALAR
    else:
        schema = d.definitions()[name]
        if d.type_of(schema) != "object":
            found = _SCALARS.get(d.type_of(schema), SCALAR)
        else:
            struct = Map()
            found = _named[name] = Atomic("map", struct) if schema.get("x-kubernetes-map-type") == "atomic" else struct
            _fill(struct, schema, name)
    _named[name] = found
    return found


def _fill(struct: Map, schema: d.Schema, name: str = "") -> None:
    for field, value in (schema.get("properties") or {}).items():
        struct.fields[field] = ("f:" + field, type_of_schema(value))
    if name:
        struct.always = always(name)


def type_of_schema(schema: d.Schema) -> Type:
    """The type of an inline schema or a reference."""
    name = d.reference(schema)
    if name is not None:
        found = named_type(name)
        said = schema.get("x-kubernetes-map-type")
        if said == "granular" and isinstance(found, Atomic) and found.inner is not None:
            return found.inner
        atomic = said == "atomic" and not isinstance(found, Atomic)
        return Atomic("map", found) if atomic else found
    if schema.get("x-kubernetes-int-or-string"):
        return SCALAR
    kind = d.type_of(schema)
    if kind == "array":
        return _list(schema)
    if kind == "object" or schema.get("properties"):
        return _map(schema)
    if not kind and schema.get("x-kubernetes-preserve-unknown-fields"):
        return DEDUCED
    return _SCALARS.get(kind, SCALAR)


def _map(schema: d.Schema) -> Type:
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    values = schema.get("additionalProperties")
    properties = schema.get("properties")
    if not properties and not isinstance(values, dict):
        return DEDUCED if free or values is True else Atomic("map", None)
    struct = Map(type_of_schema(values) if isinstance(values, dict) else DEDUCED if free or values is True else None)
    _fill(struct, schema)
    if schema.get("x-kubernetes-embedded-resource"):
        _add_type_meta(struct)
    return Atomic("map", struct) if schema.get("x-kubernetes-map-type") == "atomic" else struct


def _list(schema: d.Schema) -> Type:
    items = schema.get("items") or {}
    element = type_of_schema(items)
    kind = schema.get("x-kubernetes-list-type")
    keys: list[str] = schema.get("x-kubernetes-list-map-keys") or []
    if kind is None and "merge" in schema.get("x-kubernetes-patch-strategy", "").split(","):
        merge_key = schema.get("x-kubernetes-patch-merge-key")
        kind, keys = ("map", [merge_key]) if merge_key else ("set", [])
    if kind == "map":
        inner = element.inner if isinstance(element, Atomic) else element
        name = d.reference(items)
        defaults = _named_defaults(name, keys) if name is not None else _schema_defaults(items, keys)
        return List(element, tuple(keys), defaults) if isinstance(inner, Map) else Atomic("list", element)
    return List(element) if kind == "set" else Atomic("list", element)


def _named_defaults(name: str, keys: list[str]) -> dict[str, Any]:
    """Of key fields of a definition: OpenAPI gives the zero value of Go to those that are always there."""
    zeros = {key: value for key, value in always(name).items() if key in keys and isinstance(value, (str, int))}
    return zeros | _KEY_DEFAULTS.get(name, {})


def _schema_defaults(items: d.Schema, keys: list[str]) -> dict[str, Any]:
    properties = items.get("properties") or {}
    return {key: properties[key]["default"] for key in keys if "default" in properties.get(key, {})}


def _add_type_meta(struct: Map) -> None:
    struct.fields |= {
        "apiVersion": ("f:apiVersion", _SCALARS["string"]),
        "kind": ("f:kind", _SCALARS["string"]),
        "metadata": ("f:metadata", named_type(d.OBJECT_META)),
    }


def custom_type(schema: d.Schema | None) -> Type:
    """The type of a custom resource with its `openAPIV3Schema`; without one, everything but its metadata is deduced."""
    found = type_of_schema(schema) if schema else None
    struct = Map(DEDUCED)
    if isinstance(found, Map) and not found.lenient:
        struct.fields, struct.element = dict(found.fields), found.element
    _add_type_meta(struct)
    struct.always["metadata"] = {}
    return struct


@lru_cache(maxsize=512)
def _builtin(group: str, version: str, kind: str) -> Type | None:
    name = d.definition_name(group, version, kind)
    return named_type(name) if name is not None else None


_UNTYPED = custom_type(None)


def type_of_kind(kind: Kind) -> Type:
    """The type of a built-in kind; the deduced one for others."""
    return _builtin(kind.group, kind.version, kind.kind) or _UNTYPED
