"""The objects that a mutation builds: `Object{spec: Object.spec{...}}` and `JSONPatch{op: ...}`.

Follows apiserver/pkg/cel/mutation: any field may be named, and only afterwards are the names of the types looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from kubetree.api.cel import DYN, STRING, EvaluationError, Type
from kubetree.api.cel.moments import duration_text, timestamp_text
from kubetree.api.cel.types import opaque, struct
from kubetree.api.cel.values import NONE, Duration, Optional, Timestamp, equal, native

OBJECT_NAME, PATCH_NAME = "Object", "JSONPatch"


class _AnyField(Mapping[str, Type]):
    def __getitem__(self, name: str) -> Type:
        return DYN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _PatchFields(dict[str, Type]):
    """Upstream knows every field of a patch operation by name, and of those that there are not no type."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, _NO_TYPE)


_ANY, _NO_TYPE = _AnyField(), opaque("")
OBJECT = struct(OBJECT_NAME, _ANY)
JSON_PATCH = struct(PATCH_NAME, _PatchFields({"op": STRING, "from": STRING, "path": STRING, "value": DYN}))


def struct_type(name: str) -> Type | None:
    """The type of an object that a mutation's expression may make."""
    if name == PATCH_NAME:
        return JSON_PATCH
    if name == OBJECT_NAME:
        return OBJECT
    return struct(name, _ANY) if name.startswith(f"{OBJECT_NAME}.") else None


class Built(Mapping[str, Any]):
    """An object that an expression has made; its fields can be read like a map's."""

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.name, self.fields = name, fields
        self.cel_type = struct(name, _ANY) if name != PATCH_NAME else JSON_PATCH

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def equals(self, other: Any) -> bool:
        if not isinstance(other, Built) or other.name != self.name or self.fields.keys() != other.fields.keys():
            return False
        return all(equal(value, other.fields[name]) for name, value in self.fields.items())


def make(name: str, fields: dict[str, Any]) -> Built:
    """Raises EvaluationError for a field of a patch operation that is no text."""
    if name == PATCH_NAME:
        for field in ("op", "path", "from"):
            if field in fields and not isinstance(fields[field], str):
                raise EvaluationError(f"unexpected type {type(fields[field]).__name__} for JSONPatchType '{field}' field")
    return Built(name, fields)


def misnamed(value: Any, path: str = OBJECT_NAME) -> list[str]:
    """What is wrong with the types' names: each must be the path to where it stands."""
    found: list[str] = []
    if isinstance(value, Built):
        if value.name != path:
            found.append(f'unexpected type name "{value.name}", expected "{path}", which matches field name path from root Object type')
        for name, field in value.fields.items():
            found += misnamed(field, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            found += misnamed(item, path)
    elif isinstance(value, dict):
        for item in value.values():
            found += misnamed(item, path)
    return found


def holds_null(value: Any, *, built: bool = False) -> bool:
    """Whether an object that the expression has built has a null in it, however deep: upstream finds no JSON for one."""
    value = native(value)
    if isinstance(value, Optional):
        return value is not NONE and holds_null(value.value, built=built)
    if isinstance(value, Built):
        return any(holds_null(field, built=True) for field in value.fields.values())
    if isinstance(value, Mapping):
        return any(holds_null(item, built=built) for item in value.values())
    if isinstance(value, list):
        return any(holds_null(item, built=built) for item in value)
    return built and value is None


def to_json(value: Any, null: Any = None) -> Any:
    """`null` stands for null. Raises EvaluationError for what has no JSON."""
    value = native(value)
    if isinstance(value, Built):
        return {name: to_json(field, null) for name, field in value.fields.items()}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise EvaluationError(f'map key "{key}" is of type {type(key).__name__}, not string')
        return {key: to_json(item, null) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item, null) for item in value]
    if value is None:
        return null
    if isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Duration):
        return duration_text(value.nanos)
    if isinstance(value, Optional):
        return None if value is NONE else to_json(value.value, null)
    raise EvaluationError(f"unsupported conversion to JSON: {type(value).__name__}")
