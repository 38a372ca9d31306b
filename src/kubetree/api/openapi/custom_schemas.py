"""The definitions of custom resources, from the `openAPIV3Schema` of their CustomResourceDefinition.

OpenAPI v2 knows less than v3, and kubectl trips over some of the rest: junctors go, and what is nullable or keeps unknown fields loses its
type and its properties. Follows apiextensions' openapi builder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubetree.api.openapi.schemas import V2, V3
from kubetree.api.schema import definitions as d

Schema = dict[str, Any]

_JUNCTORS = ("allOf", "anyOf", "oneOf", "not")
_FREE = "x-kubernetes-preserve-unknown-fields"
_EITHER = [{"type": "integer"}, {"type": "string"}]
_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_EMBEDDED = {
    "apiVersion": f"apiVersion defines the versioned schema of this representation of an object. More info: {_CONVENTIONS}#resources",
    "kind": f"kind is a string value representing the type of this object. In CamelCase. More info: {_CONVENTIONS}#types-kinds",
}
_POD, _POD_LIST = "io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.PodList"
"""Where the texts for apiVersion, kind and metadata come from: they are the same for every kind."""


def custom_name(group: str, version: str, kind: str) -> str:
    """`com.example.v1.Thing`: how the definition of a custom resource is named."""
    return ".".join((*reversed(group.split(".")), version, kind))


def custom(
    schema: Schema | None,
    group: str,
    version: str,
    kind: str,
    plural: str,
    prefix: str,
    *,
    list_kind: str = "",
    selectable: Sequence[str] = (),
) -> dict[str, Schema]:
    """The definitions of a custom resource and its list, by name. `prefix` is that of references: V2 or V3. `selectable` are the fields
    that selectors may name.

    Without a schema, or in v2 with one that keeps unknown fields, the object is free: kubectl would refuse fields that are not listed.
    """
    name, list_kind = custom_name(group, version, kind), list_kind or f"{kind}List"
    fields = {"x-kubernetes-selectable-fields": [{"fieldPath": field} for field in selectable]} if selectable else {}
    if schema is None or (prefix == V2 and schema.get(_FREE)):
        body: Schema = {"type": "object"}
    else:
        body = _published(_downgraded(schema) if prefix == V2 else _unfolded(schema), prefix)
        body["properties"] = {**(body.get("properties") or {}), **_type_meta(_POD, prefix)}
    body["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": kind}]
    body |= fields
    items = {"type": "array", "items": {"$ref": prefix + name}, "description": f"List of {plural}. More info: {_CONVENTIONS}"}
    whole: Schema = {
        "description": f"{list_kind} is a list of {kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**_type_meta(_POD_LIST, prefix), "items": items},
        "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": list_kind}],
        **fields,
    }
    return {name: body, custom_name(group, version, list_kind): whole}


def _type_meta(like: str, prefix: str) -> dict[str, Schema]:
    properties = d.definitions()[like]["properties"]
    out: dict[str, Schema] = {key: {"type": "string", "description": properties[key]["description"]} for key in ("apiVersion", "kind")}
    reference = {"$ref": prefix + (d.reference(properties["metadata"]) or "")}
    out["metadata"] = {"allOf": [reference]} if prefix == V3 else reference
    out["metadata"]["description"] = properties["metadata"]["description"]
    return out


def _published(schema: Schema, prefix: str) -> Schema:
    """The schema with the fields of embedded objects filled in."""
    out = dict(schema)
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    if properties:
        out["properties"] = {name: _published(value, prefix) for name, value in properties.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = _published(schema[key], prefix)
    if schema.get("x-kubernetes-embedded-resource") and not (prefix == V2 and schema.get(_FREE)):
        meta = _type_meta(_POD, prefix)
        for field, text in _EMBEDDED.items():
            meta[field]["description"] = text
        out["properties"] = {**(out.get("properties") or {}), **meta}
        required = list(schema.get("required") or ())
        out["required"] = required + [name for name in ("kind", "apiVersion") if name not in required]
    return out


def _unfolded(schema: Schema) -> Schema:
    """The schema with what `x-kubernetes-int-or-string` means written out."""
    out = dict(schema)
    if schema.get("x-kubernetes-int-or-string"):
        every = schema.get("allOf") or []
        if not schema.get("anyOf"):
            out["anyOf"] = _EITHER
        elif schema["anyOf"] != _EITHER and not (every and every[0].get("anyOf") == _EITHER):
            out["allOf"] = [{"anyOf": _EITHER}, *every]
    if schema.get("properties"):
        out["properties"] = {name: _unfolded(value) for name, value in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            out[key] = _unfolded(schema[key])
    return out


def _downgraded(schema: Schema) -> Schema:
    """The schema as far as OpenAPI v2, and kubectl's reading of it, can take it."""
    out = {key: value for key, value in schema.items() if key not in _JUNCTORS and key not in ("nullable", "default")}
    untyped = bool(schema.get("nullable"))
    if untyped or schema.get(_FREE):
        out.pop("items", None)
        out.pop("properties", None)
    if untyped or (schema.get(_FREE) and schema.get("type") == "object") or (schema.get("type") == "array" and "items" not in out):
        out.pop("type", None)
    properties: Mapping[str, Schema] = out.get("properties") or {}
    if properties:
        out["properties"] = {name: _downgraded(value) for name, value in properties.items()}
    required = [name for name in schema.get("required") or () if not properties.get(name, {}).get("nullable")]
    values = out.get("additionalProperties")
    if isinstance(values, dict):
        out["additionalProperties"] = _downgraded(values)
        if values.get("nullable"):
            required = []
    if isinstance(out.get("items"), dict):
        out["items"] = _downgraded(out["items"])
    out.pop("required", None)
    return out | ({"required": required} if required else {})
