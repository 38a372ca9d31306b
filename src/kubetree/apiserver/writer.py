"""The registry's Writer: the operations without HTTP, authorization and admission, for the server's own parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api import errors
from kubetree.api.apply import apply
from kubetree.api.defaults import apply_defaults
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy
from kubetree.api.times import format_time
from kubetree.apiserver.operations import change, creation, deletion
from kubetree.apiserver.operations.managers import all_shown, requested_version, shown
from kubetree.apiserver.operations.scope import APISERVER_MANAGER, Stored, WriteScope
from kubetree.apiserver.registry import Registry, Resource
from kubetree.apiserver.wire.options import DeleteOptions

Object = dict[str, Any]


class _Unchanged(Exception):
    """The change function wants nothing written."""


class RegistryWriter:
    """Writes as the server itself: no admission, no authorization."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        resource = self._registry.resource(kind)
        await resource.cache.fresh()
        entry = resource.cache.get(resource.key(namespace, name))
        if entry is None:
            raise errors.not_found(kind.plural, kind.group, name)
        return await shown(resource, entry.obj)

    async def list(self, kind: Kind, namespace: str = "") -> list[Object]:
        resource = self._registry.resource(kind)
        await resource.cache.fresh()
        return await all_shown(resource, [e.obj for e in resource.cache.items(resource.scope_prefix(namespace))])

    async def create(self, kind: Kind, obj: Object, *, manager: str = APISERVER_MANAGER) -> Object:
        resource = self._registry.resource(kind)
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **copy(obj)}
        scope = WriteScope(obj.get("metadata", {}).get("namespace", ""), manager=manager, admit=False)
        return _answer(resource, await creation.create(self._registry, resource, obj, scope))

    async def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change_: Callable[[Object], Object | None],
        *,
        subresource: str = "",
        manager: str = APISERVER_MANAGER,
    ) -> Object:
        resource = self._registry.resource(kind)
        scope = WriteScope(namespace, manager=manager, subresource=subresource, admit=False)
        standing: Object = {}

        async def transform(old: Object | None) -> Object:
            nonlocal standing
            if old is None:
                raise errors.not_found(kind.plural, kind.group, name)
            standing = requested_version(resource, old)
            new = change_(copy(standing))
            if new is None:
                raise _Unchanged
            return new

        try:
            return _answer(resource, await change.update(self._registry, resource, name, transform, scope))
        except _Unchanged:
            return standing

    async def apply(self, kind: Kind, namespace: str, name: str, fields: Object, manager: str, *, subresource: str = "") -> Object:
        registry, resource = self._registry, self._registry.resource(kind)
        scope = WriteScope(namespace, manager=manager, subresource=subresource, admit=False)
        applied = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, **fields}

        async def transform(old: Object | None) -> Object:
            if old is None:
                raise errors.not_found(kind.plural, kind.group, name)
            standing, now = requested_version(resource, old), format_time(registry.clock())
            new = apply(kind, standing, applied, manager=manager, force=True, now=now, subresource=subresource)
            apply_defaults(kind, new)
            return new

        return _answer(resource, await change.update(registry, resource, name, transform, scope, tracked=True, replacing=False))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str = "", resource_version: str = "") -> None:
        resource = self._registry.resource(kind)
        options = DeleteOptions(uid=uid or None, resource_version=resource_version or None)
        await deletion.delete(self._registry, resource, name, options, WriteScope(namespace, admit=False))


def _answer(resource: Resource, stored: Stored) -> Object:
    obj = {**stored.obj, "metadata": {**stored.obj["metadata"], "resourceVersion": str(stored.revision)}}
    return requested_version(resource, obj)
