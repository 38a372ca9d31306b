"""Fills in the defaults of a structural schema, as apiextensions' defaulting does: members that are absent, or null where they may not be."""

from __future__ import annotations

from typing import Any

from kubetree.api.custom_resources.embedded import coerce_embedded
from kubetree.api.custom_resources.pruning import prune_value
from kubetree.api.custom_resources.structure import Node
from kubetree.api.schema.decode import stored_object_meta


def apply_defaults(value: Any, node: Node) -> None:
    """In place. Only what has defaults below is walked."""
    if not node.below_defaults:
        return
    if isinstance(value, dict):
        for name, child in node.properties.items():
            if child.has_default and (name not in value or (value[name] is None and not child.nullable)):
                value[name] = child.make_default()
            if child.below_defaults and name in value:
                apply_defaults(value[name], child)
        more = node.additional
        if isinstance(more, Node) and (more.has_default or more.below_defaults):
            for name, item in value.items():
                if name not in node.properties:
                    if item is None and not more.nullable:
                        value[name] = item = more.make_default() if more.has_default else None
                    apply_defaults(item, more)
    elif isinstance(value, list) and node.items is not None:
        items = node.items
        for i, item in enumerate(value):
            if item is None and not items.nullable:
                value[i] = items.make_default() if items.has_default else None
            apply_defaults(value[i], items)


def prune_defaults(node: Node) -> None:
    """Default values lose what the schema itself would prune, and what is no ObjectMeta inside of embedded objects, once, before they are
    handed out."""
    if node.has_default:
        value = node.make_default()
        coerce_embedded(value, node, _unheard, drop=True)
        prune_value(value, node, _unheard)
        node.set_default(value)
    for name, child in node.properties.items():
        if node.embedded and name == "metadata":
            _keep_to_metadata(child, ())
        elif child.has_default or child.below_defaults:
            prune_defaults(child)
    for below in (node.items, node.additional):
        if isinstance(below, Node) and (below.has_default or below.below_defaults):
            prune_defaults(below)


def _keep_to_metadata(node: Node, path: tuple[str, ...]) -> None:
    """The same for the metadata of an embedded object, whatever the schema says of it; `path` leads to the node from there."""
    if node.has_default:
        value = node.make_default()
        for name in reversed(path):
            value = {name: value}
        found: Any = stored_object_meta(value)
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        node.set_default(found)
    for name, child in node.properties.items():
        if child.has_default or child.below_defaults:
            _keep_to_metadata(child, (*path, name))


def _unheard(path: str) -> None:
    """Nobody is told what goes."""
