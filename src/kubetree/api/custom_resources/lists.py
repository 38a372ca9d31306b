"""Sets and maps that are written as lists: no item may come twice. Words of apiextensions' listtype validation."""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api.custom_resources.structure import Node
from kubetree.api.validation.errors import Errors, duplicate, invalid

_UNSPECIFIED = object()


def validate_lists(errs: Errors, value: Any, node: Node, path: str = "") -> None:
    """Every list below `value` that its schema calls a set or a map."""
    if not node.below_lists:
        return
    if isinstance(value, dict):
        more = node.additional
        if isinstance(more, Node):
            for name, item in value.items() if more.below_lists else ():
                validate_lists(errs, item, more, f"{path}[{name}]")
        for name, item in value.items():
            child = node.properties.get(name)
            if child is not None and child.below_lists:
                validate_lists(errs, item, child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        if node.list_type == "set":
            for i in repeated(value):
                errs.append(duplicate(f"{path}[{i}]", value[i]))
        elif node.list_type == "map":
            _map(errs, value, node, path)
        if node.items is not None and node.items.below_lists:
            for i, item in enumerate(value):
                validate_lists(errs, item, node.items, f"{path}[{i}]")


def identity(item: Any) -> Any:
    """What tells items of a set apart; true and 1 are two."""
    if isinstance(item, (dict, list)):
        return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    return type(item), item


def repeated(items: list[Any]) -> list[int]:
    """The index at which each repeated item is there for the second time."""
    if len(items) <= 1 or (set(map(type, items)) == {str} and len(set(items)) == len(items)):
        return []
    seen: dict[Any, int] = {}
    found = []
    for i, item in enumerate(items):
        key = identity(item)
        times = seen[key] = seen.get(key, 0) + 1
        if times == 2:
            found.append(i)
    return found


def _different(value: list[Any], keys: tuple[str, ...]) -> bool:
    """Whether that no key comes twice is easily seen: all are strings."""
    try:
        found = [tuple([item[name] for name in keys]) for item in value]
    except (KeyError, TypeError):
        return False
    return len(set(found)) == len(found) if all(part.__class__ is str for key in found for part in key) else False


def _map(errs: Errors, value: list[Any], node: Node, path: str) -> None:
    if _different(value, node.keys):
        return
    for i, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            errs.append(invalid(f"{path}[{i}]", item, "must be an object for an array of list-type map"))
            return
    keys = [{name: item[name] for name in node.keys if name in item} if item else {} for item in value]
    errs.extend(duplicate(f"{path}[{i}]", keys[i]) for i in repeated(keys))
