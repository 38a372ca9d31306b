"""Schemas of custom resources: the forms of OpenAPI that are not supported, and the extensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubetree.api.custom_resources.field_paths import field_path
from kubetree.api.validation.custom_resources.default_values import default_values
from kubetree.api.validation.custom_resources.expressions import Costs, rules, times
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
    """Where in the tree: whether inside of an object's own metadata, and why defaults are not allowed, if so.

    `rules`: what is found wrong with rules, and None where they are not tried; `cardinality`: how many such values there can be (None: no
    bound), `uncorrelated`: the path of what is around without old values.
    """

    meta: bool = False
    no_defaults: str = ""
    rules: Errors | None = None
    costs: Costs = field(default_factory=Costs)
    cardinality: int | None = 1
    uncorrelated: str = ""

    def below(self, node: Object, path: str, *, correlated: bool = True) -> _Place:
        """The place of members or items of `node`."""
        most = times(node)
        cardinality = None if self.cardinality is None or most is None else self.cardinality * most
        return replace(self, cardinality=cardinality, uncorrelated=self.uncorrelated or ("" if correlated else path))


def schema(errs: Errors, root: Object, path: str, *, has_status: bool, unchanged: bool = False) -> None:
    """The schema of one version, or of all at once. `path` ends in openAPIV3Schema. `unchanged`: it stood there before."""
    if has_status:
        _root(errs, root, path)
    if root.get("nullable"):
        errs.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    sound: Errors = []
    whole = supported(root)
    if whole and structural(sound, root, path):
        default_values(sound, root, path)
    errs.extend(sound)
    costs = Costs(suppressed=unchanged)
    found: Errors = []
    _walk(errs, root, path, _Place(rules=found if whole and not sound else None, costs=costs), root=True)
    errs.extend(found)
    costs.check(errs, path)


def supported(node: Any) -> bool:
    """Whether a schema keeps to what can be structural at all; what does not is told elsewhere."""
    if isinstance(node, list):
        return all(map(supported, node))
    if not isinstance(node, Mapping):
        return True
    if (
        any(node.get(word) not in (None, "", {}) for word in _UNSUPPORTED)
        or isinstance(node.get("items"), list)
        or node.get("type") == "null"
    ):
        return False
    below = [node.get(word) for word in ("items", "additionalProperties", "not", "allOf", "anyOf", "oneOf")]
    return supported(below) and supported(list((node.get("properties") or {}).values()))


def _root(errs: Errors, root: Object, path: str) -> None:
    for name, value in root.items():
        if value is None or value in ("", [], {}):
            continue
        if name == "type" and value != "object":
            detail = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            errs.append(invalid(f"{path}.type", value, detail))
            return
        if name not in _AT_ROOT and value is not False:
            names = " ".join(_AT_ROOT.values())
            detail = f"only [{names}] fields are allowed at the root of the schema if the status subresource is enabled"
            errs.append(invalid(path, root, detail))
            return


def _walk(errs: Errors, node: Any, path: str, place: _Place, *, root: bool = False) -> None:
    if not isinstance(node, Mapping):
        return
    faults = len(errs)
    _forms(errs, node, path, place)
    more = node.get("additionalProperties")
    properties = node.get("properties") or {}
    if node.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errs.append(forbidden(f"{path}.uniqueItems", detail))
    if more is not None:
        if properties and more is not True:
            errs.append(forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"))
        inner = place.below(node, path)
        if place.meta:
            inner = replace(inner, no_defaults="inside additionalProperties applying to object metadata")
        _walk(errs, more, f"{path}.additionalProperties", inner)
    for name, child in properties.items():
        inner = place.below(node, path)
        if name in _META and (root or node.get("x-kubernetes-embedded-resource")):
            inner = replace(inner, meta=True, no_defaults=f"in top-level {name}" if root else place.no_defaults)
        _walk(errs, child, f"{path}.properties[{name}]", inner)
    logic = replace(place, rules=None)
    _walk(errs, node.get("not"), f"{path}.not", logic)
    for word in ("allOf", "oneOf", "anyOf"):
        for i, child in enumerate(node.get(word) or ()):
            _walk(errs, child, f"{path}.{word}[{i}]", logic)
    _walk(errs, node.get("items"), f"{path}.items", place.below(node, path, correlated=node.get("x-kubernetes-list-type") == "map"))
    _extensions(errs, node, path)
    if not node.get("x-kubernetes-validations"):
        return
    for i, rule in enumerate(node["x-kubernetes-validations"]):
        _rule(errs, node, rule, f"{path}.x-kubernetes-validations[{i}]")
    if place.rules is not None and len(errs) == faults:
        rules(place.rules, node, path, root=root, cardinality=place.cardinality, uncorrelated=place.uncorrelated, costs=place.costs)


def _forms(errs: Errors, node: Object, path: str, place: _Place) -> None:
    sort = node.get("type") or ""
    if sort and sort not in _TYPES:
        errs.append(not_supported(f"{path}.type", sort, _TYPES))
    if node.get("default") is not None and place.no_defaults:
        errs.append(forbidden(f"{path}.default", f"must not be set {place.no_defaults}"))
    for word in _UNSUPPORTED:
        value = node.get(word)
        if value is not None and value not in ("", {}):
            errs.append(forbidden(f"{path}.{word}", f"{word} is not supported"))
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


def _rule(errs: Errors, node: Object, rule: Object, path: str) -> None:
    """The form of a rule."""
    text, message, expression = rule.get("rule") or "", rule.get("message") or "", rule.get("messageExpression") or ""
    where = rule.get("fieldPath") or ""
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
    if where and not where.strip():
        errs.append(invalid(f"{path}.fieldPath", where, "must be non-empty if specified"))
    if _lines(where):
        errs.append(invalid(f"{path}.fieldPath", where, "must not contain line breaks"))
    if where:
        try:
            field_path(where, dict(node))
        except ValueError:
            errs.append(invalid(f"{path}.fieldPath", where, "must be a valid path"))
