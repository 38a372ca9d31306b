"""Messages to JSON objects. What the table does not know is passed over, as protobuf has it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from kubetree.api.protobuf.scalars import DECODERS, EMPTY, NUMBERS
from kubetree.api.protobuf.table import Field, fields_of
from kubetree.api.protobuf.wire import BYTES, FIXED32, FIXED64, VARINT, WireError, fields, read_varint, signed

Object = dict[str, Any]
Value = Callable[[bytes, int, int], Any]
"""From the payload at data[start:stop] to JSON; None for what says nothing."""
Take = Callable[[Object, bytes, int, int], None]
"""Puts what is at data[start:stop] into the object."""
Put = Callable[[Object, int], None]
"""The same for a varint."""

_SCHEMA = "apiextensions/JSONSchemaProps"


class Decoder:
    """Decodes one message."""

    __slots__ = ("_names", "_puts", "_takes")

    def __init__(self) -> None:
        self._takes: dict[int, Take] = {}
        self._puts: dict[int, Put] = {}
        self._names: dict[int, str] = {}

    def compile(self, fields: tuple[Field, ...]) -> None:
        """Handlers by tag: field number and wire type."""
        for field in fields:
            number = field.number << 3
            self._names[field.number] = field.name
            if field.type in NUMBERS and field.shape != "{}":
                self._puts[number | VARINT] = _put(field)
                if field.shape == "[]":
                    self._takes[number | BYTES] = _take_packed(field)
            else:
                self._takes[number | (FIXED64 if field.type == "double" and not field.shape else BYTES)] = _take(field)

    def decode(self, data: bytes, at: int, end: int) -> Object:
        """Raises WireError, and IndexError for bytes that end too soon."""
        out: Object = {}
        takes, puts = self._takes, self._puts
        while at < end:
            tag = data[at]
            at += 1
            if tag >= 0x80:
                tag, at = read_varint(data, at - 1)
            wire = tag & 7
            if wire == BYTES:
                size = data[at]
                at += 1
                if size >= 0x80:
                    size, at = read_varint(data, at - 1)
            elif wire == VARINT:
                value = data[at]
                at += 1
                if value >= 0x80:
                    value, at = read_varint(data, at - 1)
                put = puts.get(tag)
                if put is not None:
                    put(out, value)
                else:
                    self._pass_over(tag)
                continue
            elif wire in (FIXED64, FIXED32):
                size = 8 if wire == FIXED64 else 4
            else:
                raise WireError(f"illegal wireType {wire}")
            stop = at + size
            if stop > end:
                raise WireError("unexpected EOF")
            take = takes.get(tag)
            if take is not None:
                take(out, data, at, stop)
            else:
                self._pass_over(tag)
            at = stop
        if at > end:
            raise WireError("unexpected EOF")
        return out

    def _pass_over(self, tag: int) -> None:
        """A field that is not known is nothing; a known one must have come in its own form."""
        number = tag >> 3
        if number == 0:
            raise WireError(f"illegal tag {number} (wire type {tag})")
        if number in self._names:
            raise WireError(f"wrong wireType = {tag & 7} for field {self._names[number]}")


_compiled: dict[str, Decoder] = {}


def decoder(message: str) -> Decoder:
    """Raises KeyError for a message that is not in the table."""
    found = _compiled.get(message)
    if found is None:
        fields = fields_of(message)
        found = _compiled[message] = Decoder()  # before its fields, which may be of its own kind
        found.compile(fields)
    return found


def _put(field: Field) -> Put:
    name, number = field.name, bool if field.type == "bool" else signed
    if field.shape:
        return lambda out, value: out.setdefault(name, []).append(number(value))

    def put(out: Object, value: int) -> None:
        out[name] = number(value)

    def put_unless_zero(out: Object, value: int) -> None:
        if value:
            out[name] = number(value)

    return put if field.pointer else put_unless_zero


def _take(field: Field) -> Take:
    name = field.name
    if field.shape == "{}":
        return _take_entry(name, _entry(field.type))
    value = _value(field.type)

    def append(out: Object, data: bytes, at: int, stop: int) -> None:
        found = value(data, at, stop)
        items = out.get(name)
        if items is None:
            out[name] = [found]
        else:
            items.append(found)

    def put(out: Object, data: bytes, at: int, stop: int) -> None:
        found = value(data, at, stop)
        if found is not None:
            out[name] = found

    def put_unless_zero(out: Object, data: bytes, at: int, stop: int) -> None:
        if stop > at:
            found = value(data, at, stop)
            if found:
                out[name] = found

    if field.shape:
        return append
    if not name:
        return lambda out, data, at, stop: out.update(value(data, at, stop))
    return put_unless_zero if field.type in _DROPPED and not field.pointer else put


_DROPPED = frozenset({"string", "double", "bytes"})
"""Types whose zero value says nothing, since Go sends it for every field that is no pointer."""


def _take_entry(name: str, entry: Callable[[bytes, int, int], tuple[str, Any]]) -> Take:
    def take(out: Object, data: bytes, at: int, stop: int) -> None:
        key, item = entry(data, at, stop)
        items = out.get(name)
        if items is None:
            out[name] = {key: item}
        else:
            items[key] = item

    return take


def _take_packed(field: Field) -> Take:
    number = bool if field.type == "bool" else signed

    def take(out: Object, data: bytes, at: int, stop: int) -> None:
        items = out.setdefault(field.name, [])
        while at < stop:
            value, at = read_varint(data, at)
            items.append(number(value))

    return take


def _entry(type_: str) -> Callable[[bytes, int, int], tuple[str, Any]]:
    value = None if type_ in NUMBERS else _value(type_)

    def decode(data: bytes, at: int, stop: int) -> tuple[str, Any]:
        key: str = ""
        item: Any = None
        for number, given in fields(data[at:stop]):
            if number == 1 and isinstance(given, bytes):
                key = text(given, 0, len(given))
            elif number == 2 and isinstance(given, bytes) and value is not None:
                item = value(given, 0, len(given))
            elif number == 2 and isinstance(given, int) and value is None:
                item = bool(given) if type_ == "bool" else signed(given)
            elif number <= 2:
                raise WireError("wrong wireType for an entry of a map")
        return key, EMPTY.get(type_, {}) if item is None else item

    return decode


@cache
def _value(type_: str) -> Value:
    if type_ == "string":
        return text
    if type_ == "double":
        return lambda data, at, stop: struct.unpack("<d", data[at:stop])[0]
    special = DECODERS.get(type_) or _UNIONS.get(type_)
    if special is not None:
        return lambda data, at, stop: special(data[at:stop])
    return decoder(type_).decode


def text(data: bytes, at: int, stop: int) -> str:
    """A string; invalid UTF-8 is an error, as in Go's decoder of Kubernetes."""
    try:
        return data[at:stop].decode()
    except UnicodeDecodeError as error:
        raise WireError(f"invalid UTF-8: {error.reason}") from None


# -- the three unions of apiextensions: a schema, or something simpler


def _schema(data: bytes) -> Object:
    return decoder(_SCHEMA).decode(data, 0, len(data))


def _schema_or_array(data: bytes) -> Any:
    parts = [(number, _schema(value)) for number, value in fields(data) if isinstance(value, bytes)]
    single = next((part for number, part in parts if number == 1), None)
    return [part for number, part in parts if number == 2] if single is None else single


def _schema_or_bool(data: bytes) -> Any:
    allows = False
    for number, value in fields(data):
        if number == 2 and isinstance(value, bytes):
            return _schema(value)
        if number == 1 and isinstance(value, int):
            allows = bool(value)
    return allows


def _schema_or_strings(data: bytes) -> Any:
    strings = []
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            return _schema(value)
        if number == 2 and isinstance(value, bytes):
            strings.append(text(value, 0, len(value)))
    return strings


_UNIONS: dict[str, Callable[[bytes], Any]] = {
    "schemaOrArray": _schema_or_array,
    "schemaOrBool": _schema_or_bool,
    "schemaOrStrings": _schema_or_strings,
}
