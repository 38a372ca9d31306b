"""Types of values that a structural schema describes: what the checker knows of them, and how their JSON is read.

Follows apiserver's SchemaDeclType and UnstructuredToVal. Where a schema changes nothing about its JSON (no formats, no numbers that
may come as integers, no sets or maps among lists, no names to escape) the JSON itself is the value, and reading costs nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import EvaluationError
from .moments import parse_date, parse_date_time, parse_loose_duration
from .names import escape, unescape
from .types import (
    STRING,
    Kind,
    Reader,
    Type,
    list_of,
    map_of,
    struct,
)
from .values import ABSENT, TypedList, TypedMap, equal, find, is_map, no_such_overload

Schema = Mapping[str, Any]
MAX_REQUEST = 3 * 1024 * 1024
_STRING: Schema = {"type": "string"}


def schema_type(schema: Schema, *, resource_root: bool, name: str = "selfType") -> Type | None:
    """The type of values of a structural schema; None for what expressions cannot see (unknown fields that are merely preserved).

    `resource_root` adds apiVersion, kind and metadata's name and generateName, as the root of a resource has them. `name` is how
    messages call an object's type; fields, items and values are named after it.
    """
    if schema.get("x-kubernetes-int-or-string"):
        most = 4 * max(schema["maxLength"], 0) if "maxLength" in schema else MAX_REQUEST - 2
        return Type(Kind.DYN, "dyn", max_elements=most, min_size=1, declared=True)
    if resource_root:
        schema = with_object_meta(schema)
    build = _BUILDERS.get(schema.get("type") or "")
    return None if build is None else build(schema, name)


def with_object_meta(schema: Schema) -> Schema:
    """The schema of a resource's root, with the fields that every resource has."""
    known = schema.get("properties") or {}
    meta = known.get("metadata") or {}
    names = meta.get("properties") or {}
    if (
        all((known.get(field) or {}).get("type") == "string" for field in ("kind", "apiVersion"))
        and meta.get("type") == "object"
        and all((names.get(field) or {}).get("type") == "string" for field in ("name", "generateName"))
    ):
        return schema
    own = {
        "kind": _STRING,
        "apiVersion": _STRING,
        "metadata": {"type": "object", "properties": {"name": _STRING, "generateName": _STRING}},
    }
    return {**schema, "properties": {**known, **own}}


def _embedded(schema: Schema) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


# types


def _array(schema: Schema, name: str) -> Type | None:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return None
    element = schema_type(items, resource_root=_embedded(items), name=f"{name}.@idx")
    if element is None:
        return None
    most = max(schema["maxItems"], 0) if "maxItems" in schema else (MAX_REQUEST - 2) // (element.min_size + 1)
    return list_of(element, max_elements=most, read=_list_reader(schema, items, element), declared=True)


def _object(schema: Schema, name: str) -> Type | None:
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        value = schema_type(additional, resource_root=_embedded(additional), name=f"{name}.@elem")
        if value is None:
            return None
        most = max(schema["maxProperties"], 0) if "maxProperties" in schema else (MAX_REQUEST - 2) // (value.min_size + 6)
        item = _nullable_reader(additional, value)
        return map_of(STRING, value, max_elements=most, read=None if item is None else _map_reader(item), declared=True)
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    required = frozenset(schema.get("required") or ())
    fields: dict[str, Type] = {}
    readers: dict[str, Reader | None] = {}
    size, plain = 2, not schema.get("x-kubernetes-preserve-unknown-fields") and "properties" in schema
    for field, property_schema in properties.items():
        escaped = escape(field)
        t = schema_type(property_schema, resource_root=_embedded(property_schema), name=f"{name}.{escaped or field}")
        readers[field] = None
        if t is None:
            continue
        if escaped is not None:
            fields[escaped] = t
        if field in required and property_schema.get("default") is None:
            size += len(field.encode()) + t.min_size + 4
        readers[field] = t.read
        plain = plain and t.read is None and escaped == field and not property_schema.get("nullable")
    if plain:
        return struct(name, fields, min_size=size, declared=True)
    return struct(name, fields, min_size=size, read=ObjectShape(readers).read, declared=True)


def _string(schema: Schema, _: str) -> Type:
    kind, name, min_size, most, read = _FORMATS.get(schema.get("format") or "", (Kind.STRING, "string", 2, 0, None))
    if not most:
        if "maxLength" in schema:
            most = max(schema["maxLength"], 0) * (4 if kind is Kind.STRING else 1)
        elif schema.get("enum") and kind is Kind.STRING:
            most = max((len(value.encode()) for value in schema["enum"] if isinstance(value, str)), default=0)
        else:
            most = MAX_REQUEST - 2
    return Type(kind, name, max_elements=most, min_size=min_size, read=read, declared=True)


def _fixed(t: Type) -> Callable[[Schema, str], Type]:
    return lambda _, __: t


# readers


def _float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _timestamp(parse: Callable[[str], Any], what: str) -> Reader:
    def read(value: Any) -> Any:
        found = parse(value) if isinstance(value, str) else None
        if found is None:
            raise EvaluationError(f"Invalid {what} {value}: unable to parse")
        return found

    return read


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise EvaluationError(f"Invalid byte formatted string {value}: {error}") from None


def _nullable_reader(schema: Schema, t: Type) -> Reader | None:
    read = t.read
    if read is None or not schema.get("nullable"):
        return read
    return lambda value: None if value is None else read(value)


def _list_reader(schema: Schema, items: Schema, element: Type) -> Reader | None:
    kind = schema.get("x-kubernetes-list-type")
    read = _nullable_reader(items, element)
    if kind == "map":
        keys = tuple(escape(key) or key for key in schema.get("x-kubernetes-list-map-keys") or ())
        return lambda value: value if value is None else TypedList(value, read, keys)
    if kind == "set":
        return lambda value: value if value is None else TypedList(value, read, ())
    return None if read is None else lambda value: value if value is None else TypedList(value, read)


def _map_reader(item: Reader) -> Reader:
    shape = MapOf(item)
    return lambda value: value if value is None else TypedMap(value, shape)


class ObjectShape:
    """An object of known properties. Null is as good as absent; what is not in the schema is not seen, but compared."""

    __slots__ = ("_names", "_properties")

    def __init__(self, properties: dict[str, Reader | None]) -> None:
        self._properties = properties
        self._names = {escaped: field for field in properties if (escaped := escape(field)) is not None}

    def read(self, value: Any) -> Any:
        return value if value is None else TypedMap(value, self)

    def get(self, raw: dict[str, Any], key: Any) -> Any:
        field = self._names.get(key)
        if field is None:
            field = unescape(key)
            if field is None or field not in self._properties:
                raise KeyError(key)
        value = raw[field]
        if value is None:
            raise KeyError(key)
        read = self._properties[field]
        return value if read is None else read(value)

    def keys(self, raw: dict[str, Any]) -> Iterator[str]:
        return (escape(field) or field for field in raw if field in self._properties)

    def equals(self, raw: dict[str, Any], other: Any) -> bool:
        if not is_map(other):
            raise no_such_overload()
        if len(raw) != len(other):
            return False
        mine = TypedMap(raw, self)
        for field, value in raw.items():
            if field in self._properties:
                found, theirs = find(mine, field), find(other, field)
                if (found is ABSENT) is not (theirs is ABSENT):
                    return False
                if found is not ABSENT and not equal(found, theirs):
                    return False
            elif type(other) is not TypedMap:
                raise no_such_overload()
            elif field in other.raw and not equal(value, other.raw[field]):
                return False
        return True


class MapOf:
    """An object of any keys, its values all read alike."""

    __slots__ = ("_item",)

    def __init__(self, item: Reader) -> None:
        self._item = item

    def get(self, raw: dict[str, Any], key: Any) -> Any:
        return self._item(raw[key])

    def keys(self, raw: dict[str, Any]) -> Iterator[str]:
        return iter(raw)

    def equals(self, raw: dict[str, Any], other: Any) -> bool:
        if not is_map(other):
            raise no_such_overload()
        if len(raw) != len(other):
            return False
        for key, value in raw.items():
            theirs = find(other, key)
            if theirs is ABSENT or not equal(self._item(value), theirs):
                return False
        return True


_FORMATS: dict[str, tuple[Kind, str, int, int, Reader | None]] = {
    "byte": (Kind.BYTES, "bytes", 2, 0, _bytes),
    "duration": (Kind.DURATION, "google.protobuf.Duration", 3, 32, _timestamp(parse_loose_duration, "duration")),
    "date": (Kind.TIMESTAMP, "google.protobuf.Timestamp", 12, 12, _timestamp(parse_date, "date formatted string")),
    "date-time": (Kind.TIMESTAMP, "google.protobuf.Timestamp", 21, 32, _timestamp(parse_date_time, "date-time formatted string")),
}
_BUILDERS: dict[str, Callable[[Schema, str], Type | None]] = {
    "array": _array,
    "object": _object,
    "string": _string,
    "boolean": _fixed(Type(Kind.BOOL, "bool", min_size=4, declared=True)),
    "number": _fixed(Type(Kind.DOUBLE, "double", read=_float, declared=True)),
    "integer": _fixed(Type(Kind.INT, "int", declared=True)),
}
