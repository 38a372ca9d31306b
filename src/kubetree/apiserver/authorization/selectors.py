"""Field and label selectors of authorization questions: from a review's requirements to text and back. Pure.

Follows pkg/registry/authorization/util and apimachinery's validation of selector requirements. What cannot be understood is dropped:
requirements only narrow, so what remains asks for more than was meant, never for less.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from kubetree.api.errors import Cause
from kubetree.api.label_syntax import label_key_errors, label_value_errors
from kubetree.api.selectors import FieldRequirement, parse_field_selector, parse_label_selector, requirement

Object = dict[str, Any]
_LABEL_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_FIELD_SIGNS = {"In": "=", "NotIn": "!="}
_METAV1 = {"=": "In", "==": "In", "in": "In", "!=": "NotIn", "notin": "NotIn", "exists": "Exists", "!": "DoesNotExist"}


def label_selector_text(stated: Object | None) -> tuple[str, str]:
    """A review's labelSelector as a URL would have it, and what is to be said of parts that were dropped."""
    if not stated:
        return "", ""
    kept, dropped = [], False
    if stated.get("rawSelector"):
        return _raw(str(stated["rawSelector"]), parse_label_selector, "labelSelector")
    for entry in stated.get("requirements") or ():
        try:
            operator = _LABEL_OPERATORS[entry.get("operator") or ""]
            kept.append(str(requirement(entry.get("key") or "", operator, entry.get("values") or ())))
        except (KeyError, ValueError):
            dropped = True
    return ",".join(kept), _complaint("labelSelector", bool(kept)) if dropped else ""


def field_selector_text(stated: Object | None) -> tuple[str, str]:
    """The same for a fieldSelector, which knows only In and NotIn with one value each."""
    if not stated:
        return "", ""
    kept, dropped = [], False
    if stated.get("rawSelector"):
        return _raw(str(stated["rawSelector"]), parse_field_selector, "fieldSelector")
    for entry in stated.get("requirements") or ():
        sign: str | None = _FIELD_SIGNS.get(entry.get("operator") or "")
        values: list[str] = entry.get("values") or []
        if sign is None or len(values) != 1:
            dropped = True
        else:
            kept.append(str(FieldRequirement(entry.get("key") or "", sign, values[0])))
    return ",".join(kept), _complaint("fieldSelector", bool(kept)) if dropped else ""


def field_requirements(text: str) -> list[Object]:
    """metav1.FieldSelectorRequirements; none for what cannot be read."""
    try:
        found = parse_field_selector(text).requirements if text else ()
    except ValueError:
        return []
    return [{"key": r.key, "operator": "In" if r.operator == "=" else "NotIn", "values": [r.value]} for r in found]


def label_requirements(text: str) -> list[Object]:
    """metav1.LabelSelectorRequirements; those that it has no operator for are left out."""
    try:
        found = parse_label_selector(text).requirements if text else ()
    except ValueError:
        return []
    listed = ({"key": r.key, "operator": _METAV1[r.operator], "values": list(r.values)} for r in found if r.operator in _METAV1)
    return [entry if entry["values"] else {key: entry[key] for key in ("key", "operator")} for entry in listed]


def selector_causes(resource: Object) -> Iterator[Cause]:
    """What is wrong with the selectors of a review's resourceAttributes."""
    for name in ("fieldSelector", "labelSelector"):
        selector, at = resource.get(name), f"spec.resourceAttributes.{name}"
        if selector is None:
            continue
        raw, requirements = selector.get("rawSelector"), selector.get("requirements") or ()
        if raw and requirements:
            yield invalid_field(f"{at}.rawSelector", raw, "may not specified at the same time as requirements")
        if not raw and not requirements:
            yield _required(f"{at}.requirements", f"when {at} is specified, requirements or rawSelector is required")
        for i, entry in enumerate(requirements):
            yield from _requirement_causes(entry, f"{at}.requirements[{i}]", labels=name == "labelSelector")


def _requirement_causes(entry: Object, at: str, *, labels: bool) -> Iterator[Cause]:
    key, operator, values = entry.get("key") or "", entry.get("operator"), entry.get("values") or ()
    if not labels and not key:
        yield _required(f"{at}.key", "must be specified")
    if operator in ("In", "NotIn") and not values:
        yield _required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        message = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield Cause("FieldValueForbidden", message, f"{at}.values")
    if labels:
        yield from (invalid_field(f"{at}.key", key, message) for message in label_key_errors(key))
        for i, value in enumerate(values):
            yield from (invalid_field(f"{at}.values[{i}]", value, message) for message in label_value_errors(value))


def _raw(text: str, parse: Any, name: str) -> tuple[str, str]:
    try:
        parse(text)
    except ValueError:
        return "", _complaint(name, False)
    return text, ""


def _complaint(name: str, partly: bool) -> str:
    return f"spec.resourceAttributes.{name} {'partially ' if partly else ''}ignored due to parse error"


def invalid_field(field: str, value: Any, detail: str) -> Cause:
    """As reviews word it, with the value as JSON."""
    return Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value, separators=(',', ':'))}: {detail}", field)


def _required(field: str, detail: str) -> Cause:
    return Cause("FieldValueRequired", f"Required value: {detail}", field)


def joined(texts: Sequence[str]) -> str:
    return "; ".join(text for text in texts if text)
