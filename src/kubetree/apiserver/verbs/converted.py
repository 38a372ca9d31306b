"""Entries of the cache in the version asked for: only there are the fields that a custom resource may be selected by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kubetree.api import protobuf
from kubetree.api.kinds import Kind
from kubetree.api.objects import labels
from kubetree.api.strategies import selectable_fields
from kubetree.apiserver.operations.managers import all_shown
from kubetree.apiserver.registry import Resource
from kubetree.apiserver.watch_cache import Cached

Object = dict[str, Any]


class Converted:
    """`watch_cache.Cached` of an object that was converted."""

    __slots__ = ("_kind", "key", "obj", "revision")

    def __init__(self, kind: Kind, key: str, revision: int, obj: Object) -> None:
        self._kind, self.key, self.revision, self.obj = kind, key, revision, obj

    @property
    def data(self) -> bytes:
        return orjson.dumps(self.obj)

    @property
    def message(self) -> bytes:
        return protobuf.message(self.obj)

    @property
    def labels(self) -> Mapping[str, str]:
        return labels(self.obj)

    @property
    def fields(self) -> dict[str, str]:
        return selectable_fields(self._kind, self.obj)


async def converted(resource: Resource, entries: Sequence[Cached]) -> list[Converted]:
    """All in one go. Raises what a conversion webhook makes of it."""
    objs = await all_shown(resource, [entry.obj for entry in entries])
    return [Converted(resource.kind, entry.key, entry.revision, obj) for entry, obj in zip(entries, objs, strict=True)]
