"""Takes out what a structural schema does not name, and nulls that mean absent. In place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.custom_resources.structure import TYPE_META, Node

Report = Callable[[str], None]
"""Called with the path of every field that is taken out: `spec.list[0].foo`."""


def prune(obj: dict[str, Any], root: Node | None, report: Report) -> None:
    """A whole object: its apiVersion, kind and metadata stay. Without a schema nothing is known, so nothing else is left."""
    if root is None:
        for name in [n for n in obj if n not in TYPE_META]:
            report(name)
            del obj[name]
    elif root.preserve:
        _members(obj, root, "", report, keep=True, embedded=True)
    else:
        _members(obj, root, "", report, keep=False, embedded=True)


def prune_value(value: Any, node: Node | None, report: Report, path: str = "") -> None:
    """One value somewhere below."""
    if isinstance(value, dict):
        if node is None:
            for name in list(value):
                report(f"{path}.{name}" if path else name)
            value.clear()
        else:
            _members(value, node, path, report, keep=node.preserve, embedded=node.embedded)
    elif isinstance(value, list):
        if node is None:
            items = None
        elif node.preserve:
            _kept_items(value, node, path, report)
            return
        else:
            items = node.items
        for i, item in enumerate(value):
            if isinstance(item, (dict, list)):
                prune_value(item, items, report, f"{path}[{i}]")


def _kept_items(value: list[Any], node: Node, path: str, report: Report) -> None:
    """Inside of what keeps unknown fields, items are only looked at for fields that the schema names."""
    items = node.items
    if items is None:
        return
    for i, item in enumerate(value):
        at = f"{path}[{i}]"
        if isinstance(item, dict):
            _members(item, items, at, report, keep=True, embedded=items.embedded)
        elif isinstance(item, list):
            _kept_items(item, items, at, report)


def _members(value: dict[str, Any], node: Node, path: str, report: Report, *, keep: bool, embedded: bool) -> None:
    properties, additional = node.properties, node.additional
    gone = []
    for name, item in value.items():
        if embedded and name in TYPE_META:
            continue
        child = properties.get(name)
        if child is None:
            if additional is None:
                if not keep:
                    gone.append(name)
                continue
            child = additional if isinstance(additional, Node) else None
        if isinstance(item, (dict, list)):
            prune_value(item, child, report, f"{path}.{name}" if path else name)
    for name in gone:
        report(f"{path}.{name}" if path else name)
        del value[name]


def prune_nulls(value: Any, node: Node | None) -> None:
    """Nulls of members that the schema knows, that may not be null and have no default: they stand for absent."""
    if isinstance(value, dict):
        gone = []
        for name, item in value.items():
            child = node.child(name) if node is not None else None
            if item is None:
                if child is not None and not child.nullable and not child.has_default:
                    gone.append(name)
            elif child is not None and isinstance(item, (dict, list)):
                prune_nulls(item, child)
        for name in gone:
            del value[name]
    elif isinstance(value, list) and node is not None and node.items is not None:
        for item in value:
            prune_nulls(item, node.items)
