"""Objects between any two versions of their kind: what admission needs, which asks for versions of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kubetree.api.conversion import convert
from kubetree.api.kinds import Kinds
from kubetree.apiserver.registry import CodecOf

Object = dict[str, Any]


def converter(kinds: Kinds, codec_of: CodecOf) -> Callable[[Object, str], Awaitable[Object]]:
    """From an object and an apiVersion to the object at it, which may be the same one: nothing given is changed. Raises what a conversion
    webhook makes of it."""

    async def converted(obj: Object, api_version: str) -> Object:
        current, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
        if current == api_version:
            return obj
        row = kinds.by_kind(api_version, kind)
        if row is None or row.behaviour is None:
            return convert(obj, api_version)
        codec = codec_of(row)
        if codec is not None:
            return (await codec.shown((obj,)))[0]
        source = kinds.by_kind(current, kind)
        from_source = codec_of(source) if source is not None else None
        return await from_source.stored(obj) if from_source is not None else convert(obj, api_version)

    return converted
