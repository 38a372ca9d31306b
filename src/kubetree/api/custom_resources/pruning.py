"""Takes out what a structural schema does not name, and nulls that mean absent. In place, in one walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.custom_resources.structure import TYPE_META, Node

Report = Callable[[str], None]
"""Called with the path of every unknown field that is taken out: `spec.list[0].foo`."""


def prune(obj: dict[str, Any], root: Node | None, report: Report) -> None:
    """A whole object: its apiVersion, kind and metadata stay. Without a schema nothing is known, so nothing else is left."""
    if root is None:
        for name in [n for n in obj if n not in TYPE_META]:
            report(name)
            del obj[name]
    else:
        _members(obj, root, "", report, root.preserve, True)


def prune_value(value: Any, node: Node | None, report: Report, path: str = "") -> None:
    """One value somewhere below."""
    if value.__class__ is dict:
        if node is None:
            for name in value:
                report(f"{path}.{name}" if path else name)
            value.clear()
        else:
            _members(value, node, path, report, node.preserve, node.embedded)
    elif value.__class__ is list:
        if node is None:
            items = None
        elif node.preserve:
            _kept_items(value, node, path, report)
            return
        else:
            items = node.items
        for i, item in enumerate(value):
            if item.__class__ is dict or item.__class__ is list:
                prune_value(item, items, report, f"{path}[{i}]")


def _kept_items(value: list[Any], node: Node, path: str, report: Report) -> None:
    """Inside of what keeps unknown fields, items are only looked at for fields that the schema names."""
    items = node.items
    if items is None:
        return
    for i, item in enumerate(value):
        at = f"{path}[{i}]"
        if item.__class__ is dict:
            _members(item, items, at, report, True, items.embedded)
        elif item.__class__ is list:
            _kept_items(item, items, at, report)


def _members(value: dict[str, Any], node: Node, path: str, report: Report, keep: bool, embedded: bool) -> None:
    """Nulls go of members that the schema knows, that may not be null and have no default."""
    properties, additional = node.properties, node.additional
    unknown: list[str] | None = None
    nulls: list[str] | None = None
    for name, item in value.items():
        child = properties.get(name)
        if child is None:
            if embedded and name in TYPE_META:
                continue
            if additional is None:
                if not keep:
                    unknown = [*unknown, name] if unknown else [name]
                continue
            if isinstance(additional, Node):
                child = additional
        elif embedded and name in TYPE_META:
            continue
        sort = item.__class__
        if sort is dict or sort is list:
            prune_value(item, child, report, f"{path}.{name}" if path else name)
        elif item is None and child is not None and not child.nullable and not child.has_default:
            nulls = [*nulls, name] if nulls else [name]
    for name in unknown or ():
        report(f"{path}.{name}" if path else name)
        del value[name]
    for name in nulls or ():
        del value[name]
