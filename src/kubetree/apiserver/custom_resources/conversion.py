"""Custom resources between the version that is stored and the one that is asked for, where they differ: `registry.Codec`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.custom_resources.definition import Version
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy
from kubetree.apiserver.registry import Codec

Object = dict[str, Any]


def codec_of(kind: Kind) -> Codec | None:
    """None where objects are stored as they are asked for."""
    version = kind.behaviour
    if not isinstance(version, Version):
        return None
    definition = version.definition
    if definition.webhook is None:
        return None if version.name == definition.storage_version else PlainCodec(version)
    raise NotImplementedError


class PlainCodec:
    """Strategy None: the same object under another apiVersion, as far as that version's schema knows its fields."""

    def __init__(self, version: Version) -> None:
        self._name, self._definition = version.name, version.definition

    async def shown(self, objs: Sequence[Object]) -> list[Object]:
        return [self._converted(obj, self._name) for obj in objs]

    async def stored(self, obj: Object) -> Object:
        return self._converted(obj, self._definition.storage_version)

    def _converted(self, obj: Object, version: str) -> Object:
        if obj.get("apiVersion") == f"{self._definition.group}/{version}":
            return obj
        return self._definition.convert_plainly(copy(obj), version)
