"""Who owns the replicas of a Scale: managedFields of what is scaled in the terms of autoscaling/v1, and back.

Follows upstream's ScaleHandler, that times of those who come to own replicas by a Scale are unknown included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kubetree.api.apply import field_sets as fs
from kubetree.api.apply.field_sets import LEAF, Node, Path
from kubetree.api.apply.managers import Entry, Managed, decode, encode

SCALE = "autoscaling/v1"
REPLICAS: Path = ("f:spec", "f:replicas")
Entries = list[dict[str, Any]]
Paths = Mapping[str, Path | None]
"""Where replicas are in each version of the kind (`("f:spec", "f:replicas")`); None for a version that has no Scale."""


def scale_managers(entries: Iterable[dict[str, Any]] | None, paths: Paths) -> Entries:
    """managedFields of the Scale: all who own replicas. Raises ValueError for entries that cannot be read."""
    found: Managed = {}
    for key, entry in decode(entries).items():
        path = paths.get(entry.api_version)
        if path is not None and fs.has(entry.fields, path):
            found[key] = Entry(_only(REPLICAS), SCALE, entry.time)
    return encode(found)


def parent_managers(
    entries: Iterable[dict[str, Any]] | None, scale: Iterable[dict[str, Any]] | None, paths: Paths, version: str
) -> Entries:
    """managedFields of what is scaled, in `version`, after a write of its Scale left those of `scale`. Raises ValueError."""
    owners, found = decode(scale), dict[Any, Entry]()
    for key, entry in decode(entries).items():
        if entry.api_version not in paths:
            continue
        path = paths[entry.api_version]
        if path is None or not fs.has(entry.fields, path):
            found[key] = entry
        elif key in owners:
            found[key] = entry
            del owners[key]
        else:
            rest = fs.difference(entry.fields, _only(path))
            if rest:
                found[key] = replace(entry, fields=rest)
    own = paths[version]
    assert own is not None
    for key, entry in owners.items():
        if fs.has(entry.fields, REPLICAS):
            found[key] = Entry(_only(own), version)
    return encode(found)


def _only(path: Path) -> Node:
    node: Node = LEAF
    for key in reversed(path):
        node = {key: node}
    return node
