"""Messages by the table: protobuf bytes to JSON objects and back.

A field's type in the table is a scalar, a message's name, `[]T` (repeated) or `{}T` (map with string keys). A field without a JSON
name is embedded: its message's fields stand in the object itself. `*` marks scalars that are pointers in Go: only of those is a zero
value something that was said.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from kubetree.api.protobuf.scalars import DECODERS, ENCODERS, NUMBERS, from_varint, number_field
from kubetree.api.protobuf.wire import BYTES, FIXED64, VARINT, WireError, fields, read_varint, tagged, varint

Object = dict[str, Any]
Decoder = Callable[[memoryview], Any]
Encoder = Callable[[Any], bytes]

_DROPPED = frozenset({"string", "bool", "int", "double", "bytes"})
"""Types whose zero value says nothing, since Go sends it for every field that is no pointer."""
_SCHEMA = "apiextensions/JSONSchemaProps"


@dataclass(frozen=True, slots=True)
class Field:
    """`shape` is '' for one value, '[]' for repeated, '{}' for a map; `type` a scalar or a message."""

    number: int
    name: str
    shape: str
    type: str
    pointer: bool


@cache
def table() -> dict[str, dict[str, list[str]]]:
    loaded: dict[str, dict[str, list[str]]] = orjson.loads(files("kubetree.api.protobuf").joinpath("messages.json").read_bytes())
    return loaded


@cache
def message(name: str) -> dict[int, Field]:
    """A message's fields by number. Raises KeyError for one that is not in the table."""
    result = {}
    for number, (json_name, type_) in table()[name].items():
        pointer = type_.startswith("*")
        bare = type_.removeprefix("*")
        shape = bare[:2] if bare[:2] in ("[]", "{}") else ""
        result[int(number)] = Field(int(number), json_name, shape, bare[len(shape) :], pointer)
    return result


def decode_message(name: str, data: memoryview) -> Object:
    """Raises WireError. Fields that the table does not know are passed over, as protobuf has it."""
    known = message(name)
    result: Object = {}
    for number, wire_type, value in fields(data):
        field = known.get(number)
        if field is not None:
            _take(result, field, wire_type, value)
    return result


def _take(result: Object, field: Field, wire_type: int, value: int | memoryview) -> None:
    if field.shape == "{}":
        key, item = _map_entry(field.type, _view(field, value))
        result.setdefault(field.name, {})[key] = item
        return
    if field.shape == "[]":
        items = result.setdefault(field.name, [])
        if field.type in NUMBERS and isinstance(value, memoryview):
            items.extend(_packed(field.type, value))
        else:
            items.append(_value(field.type, value))
        return
    decoded = _value(field.type, value)
    if not field.name:
        result.update(decoded)
    elif decoded is not None and (field.pointer or field.type not in _DROPPED or decoded):
        result[field.name] = decoded


def _view(field: Field, value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise WireError(f"wrong wireType for field {field.name}")
    return value


def _value(type_: str, value: int | memoryview) -> Any:
    if isinstance(value, int):
        if type_ not in NUMBERS:
            raise WireError(f"wrong wireType for a {type_}")
        return from_varint(type_, value)
    if type_ in NUMBERS:
        raise WireError(f"wrong wireType for a {type_}")
    decoder = DECODERS.get(type_)
    if decoder is not None:
        return decoder(value)
    special = _UNIONS.get(type_)
    return special[0](value) if special else decode_message(type_, value)


def _packed(type_: str, data: memoryview) -> list[Any]:
    items, position = [], 0
    while position < len(data):
        number, position = read_varint(data, position)
        items.append(from_varint(type_, number))
    return items


def _map_entry(type_: str, data: memoryview) -> tuple[str, Any]:
    key: str = ""
    item: Any = None
    for number, _, value in fields(data):
        if number == 1 and isinstance(value, memoryview):
            key = DECODERS["string"](value)
        elif number == 2:
            item = _value(type_, value)
    return key, _EMPTY.get(type_, {}) if item is None else item


_EMPTY: dict[str, Any] = {"string": "", "bytes": "", "int": 0, "bool": False, "quantity": "0", "extra": []}


def encode_message(name: str, obj: Object) -> bytes:
    """Fields in order of number; what the table does not know is left out."""
    out = bytearray()
    for field in message(name).values():
        if not field.name:
            embedded = encode_message(field.type, obj)
            if embedded or field.type in table():
                out += tagged(field.number, embedded)
            continue
        value = obj.get(field.name)
        if value is None:
            continue
        if field.shape == "[]":
            for item in value:
                out += _encoded(field, item)
        elif field.shape == "{}":
            inner = Field(2, "value", "", field.type, False)
            for key, item in value.items():
                out += tagged(field.number, tagged(1, key.encode()) + (_encoded(inner, item) if item is not None else b""))
        else:
            out += _encoded(field, value)
    return bytes(out)


def _encoded(field: Field, value: Any) -> bytes:
    if field.type in NUMBERS:
        return number_field(field.number, value)
    if field.type == "double":
        return varint(field.number << 3 | FIXED64) + struct.pack("<d", value)
    encoder = ENCODERS.get(field.type)
    if encoder is not None:
        return tagged(field.number, encoder(value))
    special = _UNIONS.get(field.type)
    return tagged(field.number, special[1](value) if special else encode_message(field.type, value))


# -- the three unions of apiextensions: a schema, or something simpler


def _decode_schema_or_array(data: memoryview) -> Any:
    parts = [
        (number, decode_message(_SCHEMA, value)) for number, wire, value in fields(data) if wire == BYTES and isinstance(value, memoryview)
    ]
    single = next((part for number, part in parts if number == 1), None)
    return [part for number, part in parts if number == 2] if single is None else single


def _encode_schema_or_array(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(tagged(2, encode_message(_SCHEMA, item)) for item in value)
    return tagged(1, encode_message(_SCHEMA, value))


def _decode_schema_or_bool(data: memoryview) -> Any:
    allows = False
    for number, wire, value in fields(data):
        if number == 2 and isinstance(value, memoryview):
            return decode_message(_SCHEMA, value)
        if number == 1 and wire == VARINT:
            allows = bool(value)
    return allows


def _encode_schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return number_field(1, value)
    return number_field(1, True) + tagged(2, encode_message(_SCHEMA, value))


def _decode_schema_or_strings(data: memoryview) -> Any:
    strings = []
    for number, _, value in fields(data):
        if number == 1 and isinstance(value, memoryview):
            return decode_message(_SCHEMA, value)
        if number == 2 and isinstance(value, memoryview):
            strings.append(DECODERS["string"](value))
    return strings


def _encode_schema_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(tagged(2, item.encode()) for item in value)
    return tagged(1, encode_message(_SCHEMA, value))


_UNIONS: dict[str, tuple[Decoder, Encoder]] = {
    "schemaOrArray": (_decode_schema_or_array, _encode_schema_or_array),
    "schemaOrBool": (_decode_schema_or_bool, _encode_schema_or_bool),
    "schemaOrStrings": (_decode_schema_or_strings, _encode_schema_or_strings),
}
