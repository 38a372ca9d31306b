"""Structural schemas: every field has a type, and what is nested in logic says nothing about the shape."""

from __future__ import annotations

from typing import Any

from kubetree.api.go_regex import compiled
from kubetree.api.validation.errors import Errors, Object, forbidden, invalid, required

_ROOT = "must not be empty at the root"
_ITEM = "must not be empty for specified array items"
_FIELD = "must not be empty for specified object fields"
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_ANNOTATING = frozenset({"type", "properties", "default", "example", "externalDocs"})
_IN_LOGIC = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)
_MAY_BE_FALSE = frozenset({"additionalProperties", "default"})


def structural(errs: Errors, schema: Object, path: str) -> bool:
    """Whether `schema` is structural; what is wrong is told in the order of its text."""
    found: Errors = []
    _shape(found, schema, _ROOT, path)
    _complete(found, schema, schema, path, path)
    errs.extend(sorted(found, key=str))
    return not found


def _set(value: Any) -> bool:
    return value is not None and value is not False and value != "" and value != [] and value != {}


def _shape(errs: Errors, schema: Object, level: str, path: str) -> None:
    sort, items, more = schema.get("type") or "", schema.get("items"), schema.get("additionalProperties")
    properties = schema.get("properties") or {}
    embedded, unknown = bool(schema.get("x-kubernetes-embedded-resource")), bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    either = bool(schema.get("x-kubernetes-int-or-string"))
    if sort == "array" and items is None:
        errs.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _shape(errs, items, _ITEM, f"{path}.items")
    for name, inner in properties.items():
        _shape(errs, inner, _FIELD, f"{path}.properties[{name}]")
    if more is not None:
        if level is _ROOT:
            errs.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(more, dict):
            _shape(errs, more, _FIELD, f"{path}.additionalProperties")
    for name, other in (("preserve-unknown-fields", unknown), ("embedded-resource", embedded)):
        if either and other:
            errs.append(invalid(f"{path}.x-kubernetes-{name}", True, "must be false if x-kubernetes-int-or-string is true"))
    _logic(errs, schema, path, skip_any=schema.get("anyOf") == _INT_OR_STRING, skip_first=_first_any(schema) == _INT_OR_STRING)
    if embedded and sort != "object":
        detail = "must be object if x-kubernetes-embedded-resource is true"
        errs.append(invalid(f"{path}.type", sort, detail) if sort else required(f"{path}.type", detail))
    elif not sort and not either and not unknown:
        errs.append(required(f"{path}.type", level))
    if embedded and more is not None:
        errs.append(forbidden(f"{path}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set"))
    if level is _ROOT and sort and sort != "object":
        errs.append(invalid(f"{path}.type", sort, "must be object at the root"))
    checked = level is _ROOT or embedded
    for name in ("kind", "apiVersion"):
        inner = properties.get(name)
        if checked and inner is not None and inner.get("type") != "string":
            errs.append(invalid(f"{path}.properties[{name}].type", inner.get("type") or "", "must be string"))
    if "metadata" in properties:
        _metadata(errs, properties["metadata"], checked, level is _ROOT, f"{path}.properties[metadata]")
    if embedded and not unknown and not properties:
        detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        errs.append(required(f"{path}.properties", detail))


def _metadata(errs: Errors, schema: Object, checked: bool, root: bool, path: str) -> None:
    if checked and schema.get("type") != "object":
        errs.append(invalid(f"{path}.type", schema.get("type") or "", "must be object"))
    names = set(schema.get("properties") or ())
    if root and (not names <= {"name", "generateName"} or any(_set(v) for k, v in schema.items() if k not in _ANNOTATING)):
        detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        errs.append(forbidden(path, detail))


def _first_any(schema: Object) -> Any:
    every = schema.get("allOf")
    return every[0].get("anyOf") if every else None


def _logic(errs: Errors, schema: Object, path: str, *, skip_any: bool = False, skip_first: bool = False) -> None:
    """What `schema` demands of values: anyOf, allOf, oneOf, not, pattern."""
    if not skip_any:
        for i, inner in enumerate(schema.get("anyOf") or ()):
            _nested(errs, inner, f"{path}.anyOf[{i}]")
    for i, inner in enumerate(schema.get("allOf") or ()):
        _nested(errs, inner, f"{path}.allOf[{i}]", skip_any=skip_first and i == 0)
    for i, inner in enumerate(schema.get("oneOf") or ()):
        _nested(errs, inner, f"{path}.oneOf[{i}]")
    if schema.get("not") is not None:
        _nested(errs, schema["not"], f"{path}.not")
    pattern = schema.get("pattern")
    problem = _regex_problem(pattern) if pattern else ""
    if problem:
        errs.append(invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {problem}"))


def _regex_problem(pattern: str) -> str:
    try:
        compiled(pattern)
    except ValueError as error:
        return str(error)
    return ""


def _nested(errs: Errors, schema: Object, path: str, *, skip_any: bool = False) -> None:
    _logic(errs, schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        _nested(errs, schema["items"], f"{path}.items")
    properties = schema.get("properties") or {}
    for name, inner in properties.items():
        _nested(errs, inner, f"{path}.properties[{name}]")
    for field, detail in _IN_LOGIC:
        value = schema.get(field)
        if (value is not None) if field in _MAY_BE_FALSE else _set(value):
            errs.append(forbidden(f"{path}.{field}", detail))
    if "metadata" in properties:
        errs.append(forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))


def _complete(errs: Errors, schema: Object | None, nested: Object, at: str, path: str) -> None:
    """What logic says of a field must be about a field that exists outside of it: `nested` at `at` speaks about `schema` at `path`."""
    if schema is None:
        errs.append(required(path, f"because it is defined in {at}"))
        return
    if nested.get("not") is not None:
        _complete(errs, schema, nested["not"], f"{at}.not", path)
    for word in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(nested.get(word) or ()):
            _complete(errs, schema, inner, f"{at}.{word}[{i}]", path)
    if nested is schema:
        return
    if isinstance(nested.get("items"), dict):
        items = schema.get("items")
        _complete(errs, items if isinstance(items, dict) else None, nested["items"], f"{at}.items", f"{path}.items")
    properties = schema.get("properties") or {}
    for name, inner in (nested.get("properties") or {}).items():
        _complete(errs, properties.get(name), inner, f"{at}.properties[{name}]", f"{path}.properties[{name}]")
