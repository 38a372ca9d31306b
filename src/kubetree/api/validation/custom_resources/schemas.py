"""Schemas of custom resources: the forms of OpenAPI that are not supported, and the extensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubetree.api.validation.custom_resources.structural import structural
from kubetree.api.validation.errors import Errors, Object, forbidden, invalid, not_supported, required

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_META = ("metadata", "kind", "apiVersion")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_AT_ROOT = {
    "description": "Description",
    "type": "Type",
    "format": "Format",
    "title": "Title",
    "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum",
    "minimum": "Minimum",
    "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength",
    "minLength": "MinLength",
    "pattern": "Pattern",
    "maxItems": "MaxItems",
    "minItems": "MinItems",
    "uniqueItems": "UniqueItems",
    "multipleOf": "MultipleOf",
    "required": "Required",
    "items": "Items",
    "properties": "Properties",
    "externalDocs": "ExternalDocs",
    "example": "Example",
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the tree: whether inside of an object's own metadata, and why defaults are not allowed, if so."""

    meta: bool = False
    no_defaults: str = ""


def schema(errs: Errors, root: Object, path: str, *, has_status: bool) -> None:
    """The schema of one version, or of all at once. `path` ends in openAPIV3Schema."""
    if has_status:
        _root(errs, root, path)
    if root.get("nullable"):
        errs.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    structural(errs, root, path)
    _walk(errs, root, path, _Place(), root=True)


def _root(errs: Errors, root: Object, path: str) -> None:
    for field, value in root.items():
        if value is None or value in ("", [], {}):
            continue
        if field == "type" and value != "object":
            detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            errs.append(invalid(f"{path}.type", value, detail))
            return
        if field not in _AT_ROOT and value is not False:
            names = " ".join(_AT_ROOT.values())
            detail = f"only [{names}] fields are allowed at the root of the schema if the status subresource is enabled"
            errs.append(invalid(path, root, detail))
            return


def _walk(errs: Errors, node: Any, path: str, place: _Place, *, root: bool = False) -> None:
    if not isinstance(node, Mapping):
        return
    _forms(errs, node, path, place)
    more = node.get("additionalProperties")
    properties = node.get("properties") or {}
    if node.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errs.append(forbidden(f"{path}.uniqueItems", detail))
    if more is not None:
        if properties and more is not True:
            errs.append(forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"))
        inner = replace(place, no_defaults="inside additionalProperties applying to object metadata") if place.meta else place
        _walk(errs, more, f"{path}.additionalProperties", inner)
    for name, child in properties.items():
        inner = place
        if name in _META and (root or node.get("x-kubernetes-embedded-resource")):
            inner = _Place(True, f"in top-level {name}" if root else place.no_defaults)
        _walk(errs, child, f"{path}.properties[{name}]", inner)
    _walk(errs, node.get("not"), f"{path}.not", place)
    for word in ("allOf", "oneOf", "anyOf"):
        for i, child in enumerate(node.get(word) or ()):
            _walk(errs, child, f"{path}.{word}[{i}]", place)
    _walk(errs, node.get("items"), f"{path}.items", place)
    _extensions(errs, node, path)
    for i, rule in enumerate(node.get("x-kubernetes-validations") or ()):
        _rule(errs, rule, f"{path}.x-kubernetes-validations[{i}]")


def _forms(errs: Errors, node: Object, path: str, place: _Place) -> None:
    sort = node.get("type") or ""
    if sort and sort not in _TYPES:
        errs.append(not_supported(f"{path}.type", sort, _TYPES))
    if node.get("default") is not None and place.no_defaults:
        errs.append(forbidden(f"{path}.default", f"must not be set {place.no_defaults}"))
    for field in _UNSUPPORTED:
        value = node.get(field)
        if value is not None and value not in ("", {}):
            errs.append(forbidden(f"{path}.{field}", f"{field} is not supported"))
    if sort == "null":
        errs.append(forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    if isinstance(node.get("items"), list) and node["items"]:
        errs.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if place.meta and node.get("x-kubernetes-embedded-resource"):
        errs.append(forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta"))


def _needs(errs: Errors, sort: str, wanted: str, extension: str, path: str) -> bool:
    """An extension holds for one type only."""
    if sort == wanted:
        return True
    detail = f"must be {wanted} if {extension} is specified"
    errs.append(invalid(f"{path}.type", sort, detail) if sort else required(f"{path}.type", detail))
    return False


def _extensions(errs: Errors, node: Object, path: str) -> None:
    sort, map_type, list_type = node.get("type") or "", node.get("x-kubernetes-map-type"), node.get("x-kubernetes-list-type")
    keys: list[str] = node.get("x-kubernetes-list-map-keys") or []
    if node.get("x-kubernetes-preserve-unknown-fields") is False:
        errs.append(invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"))
    if map_type is not None:
        _needs(errs, sort, "object", "x-kubernetes-map-type", path)
        if map_type not in ("atomic", "granular"):
            errs.append(not_supported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular")))
    items = node.get("items")
    if list_type is not None:
        if _needs(errs, sort, "array", "x-kubernetes-list-type", path) and list_type == "set" and isinstance(items, dict):
            _set_items(errs, items, f"{path}.items")
        if list_type not in ("atomic", "set", "map"):
            errs.append(not_supported(f"{path}.x-kubernetes-list-type", list_type, ("atomic", "set", "map")))
    if keys and list_type != "map":
        detail, at = "must be map if x-kubernetes-list-map-keys is non-empty", f"{path}.x-kubernetes-list-type"
        errs.append(required(at, detail) if list_type is None else invalid(at, list_type, detail))
    if list_type == "map":
        _map_list(errs, items, keys, path)
    if isinstance(items, dict) and list_type in ("set", "map"):
        _keyed_items(errs, items, keys if list_type == "map" else [], list_type, f"{path}.items")


def _set_items(errs: Errors, items: Object, path: str) -> None:
    detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
    list_type = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and list_type not in (None, "atomic"):
        errs.append(invalid(f"{path}.x-kubernetes-list-type", list_type, detail))
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        errs.append(invalid(f"{path}.x-kubernetes-map-type", list_type, detail))


def _map_list(errs: Errors, items: Any, keys: list[str], path: str) -> None:
    at = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        errs.append(required(at, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        errs.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
    elif not isinstance(items, dict):
        errs.append(invalid(f"{path}.items", items, "must only have a single schema if x-kubernetes-list-type is map"))
    elif items.get("type") != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        errs.append(invalid(f"{path}.items.type", items.get("type") or "", detail))
    else:
        properties = items.get("properties") or {}
        for i, key in enumerate(keys):
            found = properties.get(key)
            if found is None:
                errs.append(invalid(at, keys, "entries must all be names of item properties"))
            elif found.get("type") in ("array", "object"):
                detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
                errs.append(invalid(f"{path}.items.properties[{key}].type", items.get("type"), detail))
            if key in keys[:i]:
                errs.append(invalid(at, keys, "must not contain duplicate entries"))


def _keyed_items(errs: Errors, items: Object, keys: list[str], list_type: str, path: str) -> None:
    if items.get("nullable"):
        errs.append(forbidden(f"{path}.nullable", f"cannot be nullable when x-kubernetes-list-type is {list_type}"))
    properties, needed = items.get("properties") or {}, items.get("required") or ()
    for key in keys:
        found, at = properties.get(key), f"{path}.properties[{key}]"
        if found is None:
            continue
        if key not in needed and found.get("default") is None:
            detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            errs.append(required(f"{at}.default", detail))
        if found.get("nullable"):
            errs.append(forbidden(f"{at}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))


def _lines(text: str) -> bool:
    return "\n" in text or "\r" in text


def _rule(errs: Errors, rule: Object, path: str) -> None:
    """The form of a rule; whether its expression compiles is for who evaluates it."""
    text, message, expression = rule.get("rule") or "", rule.get("message") or "", rule.get("messageExpression") or ""
    field = rule.get("fieldPath") or ""
    if not text.strip():
        errs.append(required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        errs.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif _lines(message.strip()):
        errs.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    elif _lines(text.strip()) and not message.strip():
        errs.append(required(f"{path}.message", "message must be specified if rule contains line breaks"))
    if expression and not expression.strip():
        errs.append(required(f"{path}.messageExpression", "messageExpression must be non-empty if specified"))
    if rule.get("reason") is not None and rule["reason"] not in _REASONS:
        errs.append(not_supported(f"{path}.reason", rule["reason"], _REASONS))
    if field and not field.strip():
        errs.append(invalid(f"{path}.fieldPath", field, "must be non-empty if specified"))
    if _lines(field):
        errs.append(invalid(f"{path}.fieldPath", field, "must not contain line breaks"))
