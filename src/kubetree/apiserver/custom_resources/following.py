"""Keeps the table of kinds equal to the CustomResourceDefinitions that are there: rows, caches and resources come and go with them.

Every API server follows the definitions on its own through the watch cache, so several on one store serve the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubetree.api import errors
from kubetree.api.custom_resources.definition import Definition
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import has_condition
from kubetree.apiserver.cache.caches import Caches
from kubetree.apiserver.registry import Finish, Registry

Object = dict[str, Any]
CRD = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@dataclass(frozen=True, slots=True)
class _Known:
    """A definition as of a revision; `served` None: nothing is served of it."""

    revision: int
    served: Definition | None


class RefuseCreates:
    """registry.WriteHook of a custom resource whose definition is being deleted."""

    def __init__(self, definition: Definition) -> None:
        self.resource = definition.storage.group_resource
        self._row = definition.storage

    async def begin_create(self, obj: Object, *, dry_run: bool) -> Finish | None:
        name = obj["metadata"].get("name") or ""
        why = "create not allowed while custom resource definition is terminating"
        raise errors.forbidden(self._row.plural, self._row.group, name, why)

    async def begin_update(self, new: Object, old: Object, *, dry_run: bool) -> Finish | None:
        return None

    async def after_delete(self, obj: Object, *, dry_run: bool) -> None:
        return None


class Following:
    """`sync` does the work, without an await: after it the table is what the cache of definitions says."""

    def __init__(self, registry: Registry, caches: Caches) -> None:
        self._registry, self._caches = registry, caches
        self._known: dict[str, _Known] = {}
        self._cache = registry.resource(CRD).cache
        self._built_in = {(row.group, row.version) for row in registry.kinds if row.behaviour is None}

    async def catch_up(self) -> None:
        """As fresh as every acknowledged write."""
        await self._cache.fresh()
        self.sync()

    def sync(self) -> None:
        present = set()
        for entry in self._cache.items():
            present.add(entry.key)
            known = self._known.get(entry.key)
            if known is None or known.revision != entry.revision:
                self._replace(entry.key, entry.revision, entry.obj)
        for key in self._known.keys() - present:
            self._replace(key, 0, None)

    def definition(self, name: str) -> Definition | None:
        """The definition that is served under a CRD's name."""
        known = self._known.get(CRD.key("", name))
        return known.served if known is not None else None

    def _replace(self, key: str, revision: int, crd: Object | None) -> None:
        known = self._known.get(key)
        old = known.served if known is not None else None
        new = Definition(crd, self._registry.counters) if crd is not None and _servable(crd) else None
        if crd is None:
            self._known.pop(key, None)
        elif old is not None and new is not None and old.same_serving(new) and old.terminating == new.terminating:
            self._known[key] = _Known(revision, old)
            return
        else:
            self._known[key] = _Known(revision, new)
        registry = self._registry
        for row in old.rows.values() if old is not None else ():
            registry.forget(row)
        if old is not None and (new is None or not old.same_serving(new)):
            registry.hooks.pop(old.storage.group_resource, None)
            self._caches.forget(old.storage)
        if new is not None:
            if new.terminating:
                registry.hooks[new.storage.group_resource] = RefuseCreates(new)
            self._caches.cache_of(new.storage)
        if old is not None or new is not None:
            registry.kinds.replace(self._free(old), self._free(new))

    def _free(self, definition: Definition | None) -> list[Kind]:
        """The rows of a definition that stand in nobody's way: a version of a built-in group has its own resources and no others."""
        return [row for row in definition.served if (row.group, row.version) not in self._built_in] if definition is not None else []


OVERLAPPING = frozenset({("apiregistration.k8s.io", "apiservices"), ("apiextensions.k8s.io", "customresourcedefinitions")})
"""Built-in resources that are stored where custom ones of the same name would be: a definition of that name has no objects of its own."""


def overlaps(crd: Object) -> bool:
    return (crd["spec"]["group"], crd["spec"]["names"]["plural"]) in OVERLAPPING


def _servable(crd: Object) -> bool:
    return (
        not overlaps(crd)
        and (has_condition(crd, "NamesAccepted") or has_condition(crd, "Established"))
        and bool(((crd.get("status") or {}).get("acceptedNames") or {}).get("plural"))
    )
