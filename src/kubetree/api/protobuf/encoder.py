"""JSON objects to messages, byte for byte what upstream's generated code makes of them.

Each message is compiled once to its zero form, a list of one piece a field, and a slot a field name. Encoding copies the zero form and
replaces the pieces of what the object has: the cost is that of what is there, though everything Go holds by value is sent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from kubetree.api.protobuf.scalars import ENCODERS, ZEROS
from kubetree.api.protobuf.table import Field, fields_of
from kubetree.api.protobuf.wire import BYTES, FIXED64, VARINT, tagged, varint

Object = dict[str, Any]
Piece = Callable[[Any], bytes]
"""From a field's value to its bytes, tag included."""

_SCHEMA = "apiextensions/JSONSchemaProps"


class Encoder:
    """Encodes one message. What the table does not know is left out, and so are nulls."""

    __slots__ = ("_embedded", "_pieces", "_slots")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._slots: dict[str, tuple[int, Piece]] = {}
        self._embedded: list[tuple[int, Piece]] = []

    def compile(self, fields: tuple[Field, ...]) -> None:
        for at, field in enumerate(fields):
            piece = _piece(field)
            if field.name:
                self._slots[field.name] = at, piece
            else:
                self._embedded.append((at, piece))
            self._pieces.append(_zero(field, piece))

    def encode(self, obj: Object) -> bytes:
        pieces = self._pieces.copy()
        find = self._slots.get
        for name, value in obj.items():
            slot = find(name)
            if slot is not None and value is not None:
                pieces[slot[0]] = slot[1](value)
        for at, piece in self._embedded:
            pieces[at] = piece(obj)
        return b"".join(pieces)


_compiled: dict[str, Encoder] = {}


def encoder(message: str) -> Encoder:
    """Raises KeyError for a message that is not in the table."""
    found = _compiled.get(message)
    if found is None:
        fields = fields_of(message)
        found = _compiled[message] = Encoder()  # before its fields, which may be of its own kind
        found.compile(fields)
    return found


def _zero(field: Field, piece: Piece) -> bytes:
    """What a field says when the object does not have it."""
    number, type_ = field.number, field.type
    if field.shape or field.pointer:
        return b""
    if type_ == "string":
        return tagged(number, b"")
    if type_ in ("int", "bool"):
        return varint(number << 3 | VARINT) + b"\0"
    if type_ == "double":
        return varint(number << 3 | FIXED64) + bytes(8)
    if not field.by_value:
        return b""
    return tagged(number, ZEROS[type_]) if type_ in ZEROS else piece({})


def _piece(field: Field) -> Piece:
    number, shape = field.number, field.shape
    if shape == "{}":
        return _map(number, _one(2, field.type), _zero(replace(field, number=2, shape="", by_value=True), _one(2, field.type)))
    one = _one(number, field.type)
    return _repeated(one) if shape else one


def _repeated(one: Piece) -> Piece:
    def encode(items: list[Any]) -> bytes:
        return b"".join([one(item) for item in items])

    return encode


def _map(number: int, one: Piece, zero: bytes) -> Piece:
    keys, entries = _string(1), _framed(number)

    def encode(items: Object) -> bytes:
        return b"".join([entries(keys(key) + (one(items[key]) if items[key] is not None else zero)) for key in sorted(items)])

    return encode


@cache
def _one(number: int, type_: str) -> Piece:
    """One value of a type as field `number`."""
    if type_ == "string":
        return _string(number)
    if type_ in ("int", "bool"):
        return _number(number)
    if type_ == "double":
        head = varint(number << 3 | FIXED64)
        return lambda value: head + struct.pack("<d", value)
    framed = _framed(number)
    payload = ENCODERS.get(type_) or _UNIONS.get(type_) or encoder(type_).encode
    return lambda value: framed(payload(value))


@cache
def _framed(number: int) -> Callable[[bytes], bytes]:
    """A length-delimited field around a payload."""
    head = varint(number << 3 | BYTES)
    short = [head + bytes((size,)) for size in range(128)]

    def frame(payload: bytes) -> bytes:
        size = len(payload)
        return (short[size] if size < 128 else head + varint(size)) + payload

    return frame


@cache
def _string(number: int) -> Piece:
    head = varint(number << 3 | BYTES)
    short = [head + bytes((size,)) for size in range(128)]

    def encode(value: str) -> bytes:
        payload = value.encode()
        size = len(payload)
        return (short[size] if size < 128 else head + varint(size)) + payload

    return encode


@cache
def _number(number: int) -> Piece:
    head = varint(number << 3 | VARINT)
    short = [head + bytes((value,)) for value in range(128)]

    def encode(value: float) -> bytes:
        whole = int(value)
        return short[whole] if 0 <= whole < 128 else head + varint(whole)

    return encode


# -- the three unions of apiextensions: a schema, or something simpler


def _schema_or_array(value: Any) -> bytes:
    encode = encoder(_SCHEMA).encode
    if isinstance(value, list):
        return b"".join(tagged(2, encode(item)) for item in value)
    return tagged(1, encode(value))


def _schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x08\x01" if value else b"\x08\x00"
    return b"\x08\x01" + tagged(2, encoder(_SCHEMA).encode(value))


def _schema_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(tagged(2, item.encode()) for item in value)
    return tagged(1, encoder(_SCHEMA).encode(value))


_UNIONS: dict[str, Callable[[Any], bytes]] = {
    "schemaOrArray": _schema_or_array,
    "schemaOrBool": _schema_or_bool,
    "schemaOrStrings": _schema_or_strings,
}
