"""managedFields on the way of a write: kept in the version of the request, while the object goes on in the storage version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubetree.api.apply import track_update
from kubetree.api.conversion import convert
from kubetree.api.times import format_time
from kubetree.apiserver.operations.scope import WriteScope
from kubetree.apiserver.registry import Resource
from kubetree.apiserver.wire.encoding import decode, encode_custom

Object = dict[str, Any]


def track_create(resource: Resource, obj: Object, scope: WriteScope, now: datetime) -> Object:
    """Sets managedFields of a new object and gives it in the storage version."""
    track_update(resource.kind, None, obj, manager=scope.manager, now=format_time(now), subresource=scope.subresource, spec=scope.spec)
    return stored_version(resource, obj)


def track_change(resource: Resource, new: Object, old: Object, scope: WriteScope, now: datetime) -> Object:
    """The same for an update: `old` is in the storage version, `new` in the request's."""
    live = requested_version(resource, old)
    # upstream loses the time of what was written through the scale subresource
    time = format_time(now) if scope.subresource != "scale" else ""
    track_update(resource.kind, live, new, manager=scope.manager, now=time, subresource=scope.subresource)
    return stored_version(resource, new)


def stored_version(resource: Resource, obj: Object) -> Object:
    return obj if resource.kind is resource.storage else convert(obj, resource.storage.api_version)


def requested_version(resource: Resource, obj: Object) -> Object:
    """An object in the version of `resource.storage` as the request's version has it; the same dict when they are one."""
    return obj if resource.kind is resource.storage else convert(obj, resource.kind.api_version)


async def shown(resource: Resource, obj: Object) -> Object:
    """An object of the cache or the store as the request's version has it. Raises what a conversion webhook makes of it."""
    if resource.codec is not None:
        return (await resource.codec.shown((obj,)))[0]
    return requested_version(resource, obj)


async def all_shown(resource: Resource, objs: Sequence[Object]) -> list[Object]:
    """The same for many, in one go."""
    if resource.codec is not None:
        return await resource.codec.shown(objs)
    return [requested_version(resource, obj) for obj in objs]


def loaded(resource: Resource, value: bytes, revision: int) -> Object:
    """A value of the store as an object of its own, as the cache would have it."""
    obj = decode(value, revision)
    behaviour = resource.kind.behaviour
    return obj if behaviour is None else behaviour.canonical(obj)


async def standing(resource: Resource, obj: Object) -> Object:
    """An object of the cache or the store as operations work on it: in the version of `resource.storage`."""
    return obj if resource.codec is None else (await resource.codec.shown((obj,)))[0]


def lightened(obj: Object) -> bool:
    """Takes from an object that is too large for the store what it can do without: managedFields. False: it had none."""
    return bool(obj["metadata"].pop("managedFields", None))


async def written(resource: Resource, obj: Object) -> bytes:
    """What is stored of a custom resource that an operation is done with."""
    behaviour = resource.kind.behaviour
    if behaviour is not None:
        behaviour.complete(obj)
    if resource.codec is not None:
        return encode_custom(await resource.codec.stored(obj))
    value = encode_custom(obj)
    if behaviour is not None:
        behaviour.wrote(value)
    return value


async def told(resource: Resource, obj: Object, value: bytes) -> Object:
    """What a client is told of an object that was written as `value`: what is read back of it, so that defaults of the version in which it
    is stored show in another."""
    behaviour = resource.kind.behaviour
    if resource.codec is None or behaviour is None or (found := behaviour.reread(value)) is None:
        return obj
    return (await resource.codec.shown((found,)))[0]


def without_manager_times(obj: Object) -> Object:
    """The object without the times of its managedFields and without empty metadata: two writes that differ in nothing else are the
    same."""
    metadata = obj["metadata"]
    managers = [{k: v for k, v in entry.items() if k != "time"} for entry in metadata.get("managedFields") or ()]
    kept = {k: v for k, v in metadata.items() if v and k not in ("managedFields", "resourceVersion")}
    return {**obj, "metadata": {**kept, "managedFields": managers}}
