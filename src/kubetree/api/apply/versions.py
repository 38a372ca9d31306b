"""The same object in the terms of another version: managers own fields of the version that they wrote in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubetree.api.apply.compile_types import type_of_kind
from kubetree.api.apply.managers import Managed
from kubetree.api.apply.types import Type
from kubetree.api.conversion import convert
from kubetree.api.kinds import Kind
from kubetree.api.schema.definitions import definition_name, name_of

Object = dict[str, Any]


class Versions:
    """Types and conversions of one kind, seen from `kind`'s version."""

    def __init__(self, kind: Kind, custom: Type | None = None) -> None:
        if custom is None and kind.behaviour is not None:
            custom = kind.behaviour.type
        self.builtin = custom is None and name_of(kind) is not None
        self.own = kind.api_version
        self._kind, self._type = kind, custom or type_of_kind(kind)

    @property
    def type(self) -> Type:
        return self._type

    def type_at(self, api_version: str) -> Type | None:
        """The type at a version; None for a version that is not served any more. Custom resources look the same at all versions."""
        if api_version == self.own or not self.builtin:
            return self._type
        group, _, version = api_version.rpartition("/")
        if definition_name(group, version, self._kind.kind) is None:
            return None
        return type_of_kind(Kind(group, version, self._kind.kind, self._kind.plural))

    def reconciled(self, managed: Managed) -> Managed:
        """Managers of a custom resource whose schema may have changed since they wrote; built-in types stay as they are."""
        if self.builtin:
            return managed
        return {key: replace(entry, fields=self._type.reconciled(entry.fields)) for key, entry in managed.items()}

    def convert(self, obj: Object, api_version: str) -> Object:
        """`obj` at another version. Empty objects stay empty."""
        if not obj or not self.builtin or obj.get("apiVersion") == api_version:
            return obj
        return convert(obj, api_version)
