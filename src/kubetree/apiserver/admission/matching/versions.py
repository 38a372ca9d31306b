"""The objects of a request at the version that a webhook or policy asked for, and what it made of them back in the request's own.

A request's objects are in the storage version; conversion is the caller's, since custom resources convert by webhooks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kubetree.api import schema
from kubetree.api.conversion import convert as convert_builtin
from kubetree.api.defaults import apply_defaults
from kubetree.api.kinds import Kinds
from kubetree.api.schema.decode import object_meta
from kubetree.apiserver.admission.matching.targets import GroupVersionKind
from kubetree.apiserver.admission.request import AdmissionRequest

Object = dict[str, Any]
Convert = Callable[[Object, str], Awaitable[Object]]
"""From an object and an apiVersion to the object at it; never changes what it is given. Raises ApiError."""

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_DEFINITIONS = {
    ("autoscaling/v1", "Scale"): "io.k8s.api.autoscaling.v1.Scale",
    ("policy/v1", "Eviction"): "io.k8s.api.policy.v1.Eviction",
    ("v1", "Binding"): "io.k8s.api.core.v1.Binding",
    ("authentication.k8s.io/v1", "TokenRequest"): "io.k8s.api.authentication.v1.TokenRequest",
}
"""Kinds of subresources, which are no rows of the table of kinds."""


async def convert(obj: Object, api_version: str) -> Object:
    """Built-in kinds only."""
    return convert_builtin(obj, api_version)


class Versions:
    """One request's objects, each converted once a version. `changed` says that the new object is another one now."""

    def __init__(self, request: AdmissionRequest, convert: Convert) -> None:
        self._request, self._convert = request, convert
        self._new: dict[str, Object] = {}
        self._old: dict[str, Object] = {}

    async def obj(self, kind: GroupVersionKind) -> Object | None:
        return await self._at(self._request.obj, kind, self._new)

    async def old(self, kind: GroupVersionKind) -> Object | None:
        return await self._at(self._request.old, kind, self._old)

    async def _at(self, obj: Object | None, kind: GroupVersionKind, known: dict[str, Object]) -> Object | None:
        if obj is None or obj.get("kind") != kind.kind:
            return obj
        wanted = kind.api_version
        if obj.get("apiVersion") == wanted:
            return obj
        if wanted not in known:
            known[wanted] = await self._convert(obj, wanted)
        return known[wanted]

    async def replace(self, new: Object) -> None:
        """Puts `new`, at whatever version it is, in the request's object's place, which keeps its version."""
        standing = self._request.obj
        assert standing is not None
        if self._request.origin is not None and self._request.kind.behaviour is not None:
            self._request.origin.unsettled = True
        version = standing.get("apiVersion")
        if version and new.get("apiVersion") != version and new.get("kind") == standing.get("kind"):
            new = await self._convert(new, version)
        if new is not standing:
            standing.clear()
            standing.update(new)
        self._new.clear()


def settle(kinds: Kinds, kind: GroupVersionKind, obj: Object, *, strict: bool = False) -> None:
    """Brings a patched object back in its type's form, in place: unknown fields go (`strict`: they are refused), defaults come. Those of
    a custom resource stay until all have been asked: see request.Origin. Raises BadRequest for wrong types."""
    row = kinds.by_kind(kind.api_version, kind.kind)
    if row is not None and row.behaviour is not None:
        found, _, wrong = object_meta(obj.get("metadata") or {}, "metadata")
        if wrong or found is not obj.get("metadata"):
            obj["metadata"] = found
        apply_defaults(row, obj)
        return
    if row is not None:
        schema.check(row, obj, "Strict" if strict else "Ignore")
        apply_defaults(row, obj)
        return
    definition = _DEFINITIONS.get((kind.api_version, kind.kind))
    if definition is not None:
        schema.check(definition, obj, "Strict" if strict else "Ignore")
