"""Definitions as the two versions of OpenAPI have them, and the definitions that others need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubetree.api.openapi.defaults import default_of
from kubetree.api.openapi.enums import enums_of
from kubetree.api.schema import definitions as d
from kubetree.api.schema.go_values import always

Schema = dict[str, Any]

V2, V3 = "#/definitions/", "#/components/schemas/"
_QUANTITY = "A decimal number with an optional unit, such as 500m, 1.5 or 2Gi. It is written back in canonical form."
_INT_OR_STRING = "A number or a string, such as 8080, 'http' or '25%'."


def v2(name: str) -> Schema:
    """A definition in OpenAPI v2, as upstream serves it."""
    if name == d.QUANTITY:
        return {"description": _QUANTITY, "type": "string"}
    if name == d.INT_OR_STRING:
        return {"description": _INT_OR_STRING, "type": "string", "format": "int-or-string"}
    return _with_enums(name, _rendered(d.definitions()[name], V2))


def v3(name: str) -> Schema:
    """A definition in OpenAPI v3: references with something beside them are wrapped, structs by value and required scalars have defaults."""
    if name == d.QUANTITY:
        return {"description": _QUANTITY, "oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == d.INT_OR_STRING:
        return {"description": _INT_OR_STRING, "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    schema = _with_enums(name, _rendered(d.definitions()[name], V3))
    required = schema.get("required") or ()
    for field, value in (schema.get("properties") or {}).items():
        default: Any
        if "$ref" in value:
            default = {} if always(name).get(field) == {} else None
        else:
            default = default_of(name, field, value.get("type", ""), required=field in required)
        if "$ref" in value and (len(value) > 1 or default is not None):
            value["allOf"] = [{"$ref": value.pop("$ref")}]
        if default is not None:
            value["default"] = default
    return schema


def of_group_version(schema: Schema, group: str, version: str) -> Schema:
    """A definition that every group and version has (DeleteOptions, WatchEvent), as the document of one of them names it."""
    rows = schema.get("x-kubernetes-group-version-kind") or ()
    if len(rows) < 2:
        return schema
    kept = [row for row in rows if (row["group"], row["version"]) in (("", "v1"), (group, version))]
    return {**schema, "x-kubernetes-group-version-kind": kept}


_ELSEWHERE = frozenset({"admission.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "imagepolicy.k8s.io"})


def of_custom_resources(schema: Schema) -> Schema:
    """The same in the document of custom resources: upstream's server for them knows all groups but these."""
    rows = schema.get("x-kubernetes-group-version-kind") or ()
    if len(rows) < 2:
        return schema
    return {**schema, "x-kubernetes-group-version-kind": [row for row in rows if row["group"] not in _ELSEWHERE]}


def _with_enums(name: str, schema: Schema) -> Schema:
    for field, values in enums_of(name).items():
        target = schema["properties"][field.rstrip("[]{}")]
        if field.endswith("[]"):
            target = target["items"]
        elif field.endswith("{}"):
            target = target["additionalProperties"]
        else:
            listed = "".join(f'\n - `"{value}"`' for value in values)
            target["description"] = f"{target.get('description', '')}\n\nPossible enum values:{listed}"
        target["enum"] = values
    return schema


def _rendered(schema: Schema, prefix: str) -> Schema:
    out: Schema = {}
    for key, value in schema.items():
        if key == "$ref":
            out[key] = prefix + value.rpartition("/")[2]
        elif key == "type":
            out[key] = d.type_of(schema)
        elif key == "properties":
            out[key] = {name: _rendered(field, prefix) for name, field in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = _rendered(value, prefix)
        elif key != "enum":
            out[key] = value
    return out


def needed(names: Iterable[str]) -> list[str]:
    """The definitions of `names` and all that they refer to, sorted."""
    found: set[str] = set()
    waiting = [name for name in names if name in d.definitions()]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(d.definitions()[name]))
    return sorted(found)


def _references(schema: Schema) -> Iterable[str]:
    name = d.reference(schema)
    if name is not None:
        yield name
    for value in (schema.get("properties") or {}).values():
        yield from _references(value)
    for key in ("items", "additionalProperties"):
        value = schema.get(key)
        if isinstance(value, dict):
            yield from _references(value)
