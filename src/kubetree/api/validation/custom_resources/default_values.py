"""Defaults of a structural schema must be values that the schema itself would take. Follows apiextensions' defaulting validation."""

from __future__ import annotations

from typing import Any

from kubetree.api.custom_resources.embedded import coerce_embedded, validate_embedded
from kubetree.api.custom_resources.pruning import prune_value
from kubetree.api.custom_resources.rules import rule_tree
from kubetree.api.custom_resources.structure import TYPE_META, Node
from kubetree.api.custom_resources.values import Values
from kubetree.api.objects import copy
from kubetree.api.validation.errors import Errors, FieldError, Object, invalid

_BUDGET = 10_000_000


def default_values(errs: Errors, root: Object, path: str) -> None:
    """Every default below `root`, which is structural."""
    _below(errs, dict(root), path, root=True, meta=False, budget=[_BUDGET])


def _below(errs: Errors, schema: dict[str, Any], path: str, *, root: bool, meta: bool, budget: list[int]) -> None:
    embedded = root or bool(schema.get("x-kubernetes-embedded-resource"))
    meta = meta and not embedded
    if schema.get("default") is not None and budget[0] >= 0:
        _default(errs, schema, f"{path}.default", meta=meta, budget=budget)
    items = schema.get("items")
    if isinstance(items, dict):
        _below(errs, items, f"{path}.items", root=False, meta=meta, budget=budget)
    for name, inner in (schema.get("properties") or {}).items():
        _below(errs, inner, f"{path}.properties[{name}]", root=False, meta=meta or (embedded and name in TYPE_META), budget=budget)


def _default(errs: Errors, schema: dict[str, Any], path: str, *, meta: bool, budget: list[int]) -> None:
    value, node = copy_any(schema["default"]), Node(schema)
    if not meta:
        unknown: list[str] = []
        prune_value(copy_any(value), node, unknown.append)
        if unknown:
            errs.append(invalid(path, value, "must not have unknown fields"))
        found: Errors = []
        try:
            coerce_embedded(value, node, lambda _: None)
        except ValueError as error:
            errs.append(invalid(path, value, str(error)))
            return
        validate_embedded(found, value, node, path)
        if found:
            errs.extend(found)
            return
    values = Values(schema)
    if not values.fits(value):
        errs.extend(_placed(e, path) for e in values.faults(value))
        return
    tree = rule_tree(schema, root=False)
    if tree is None:
        return
    verdict = tree.judge(value, value, path, budget=budget[0])
    left = verdict.budget
    errs.extend(verdict.errors)
    if not verdict.errors:
        again = tree.judge(value, None, path, budget=budget[0])
        errs.extend(again.errors)
        left = min(left, again.budget)
    budget[0] = left


def _placed(error: FieldError, path: str) -> FieldError:
    at = path if error.field == "<nil>" else f"{path}.{error.field}"
    return FieldError(error.type, at, error.value, error.detail)


def copy_any(value: Any) -> Any:
    return copy(value) if isinstance(value, dict) else copy({"v": value})["v"]
