"""The types that are one thing in JSON and another in protobuf: times, quantities, int-or-string, raw JSON, bytes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from kubetree.api.protobuf.wire import VARINT, WireError, fields, signed, tagged, varint
from kubetree.api.times import format_duration, format_micro_time, format_time, parse_duration, parse_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Decoder = Callable[[memoryview], Any]
Encoder = Callable[[Any], bytes]


def _numbers(data: memoryview) -> dict[int, int]:
    return {number: signed(value) for number, _, value in fields(data) if isinstance(value, int)}


def _views(data: memoryview) -> dict[int, memoryview]:
    return {number: value for number, _, value in fields(data) if isinstance(value, memoryview)}


def text(data: memoryview) -> str:
    """A string; invalid UTF-8 is an error, as in Go's decoder of Kubernetes."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"invalid UTF-8: {error.reason}") from None


def _moment(data: memoryview) -> datetime | None:
    if not len(data):
        return None
    numbers = _numbers(data)
    try:
        return _EPOCH + timedelta(seconds=numbers.get(1, 0), microseconds=numbers.get(2, 0) // 1000)
    except OverflowError:
        raise WireError("time out of range") from None


def _decode_time(data: memoryview) -> str | None:
    moment = _moment(data)
    return None if moment is None else format_time(moment)


def _decode_micro_time(data: memoryview) -> str | None:
    moment = _moment(data)
    return None if moment is None else format_micro_time(moment)


def _encode_time(value: str) -> bytes:
    since = parse_time(value) - _EPOCH
    seconds = since // timedelta(seconds=1)
    nanoseconds = (since - timedelta(seconds=seconds)) // timedelta(microseconds=1) * 1000
    encoded = varint(1 << 3) + varint(seconds)
    return encoded + varint(2 << 3) + varint(nanoseconds) if nanoseconds else encoded


def _decode_duration(data: memoryview) -> str:
    return format_duration(_numbers(data).get(1, 0) / 1e9)


def _encode_duration(value: str) -> bytes:
    return varint(1 << 3) + varint(round(parse_duration(value) * 1e9))


def _decode_quantity(data: memoryview) -> str:
    return text(_views(data).get(1, memoryview(b"0")))


def _decode_int_or_string(data: memoryview) -> int | str:
    numbers = _numbers(data)
    return text(_views(data).get(3, memoryview(b""))) if numbers.get(1) else numbers.get(2, 0)


def _encode_int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return varint(1 << 3) + varint(1) + tagged(3, value.encode())
    return varint(1 << 3) + varint(0) + varint(2 << 3) + varint(value)


def _decode_raw(data: memoryview) -> Any:
    raw = _views(data).get(1)
    if raw is None or not len(raw):
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise WireError(f"embedded JSON: {error}") from None


def _decode_extra(data: memoryview) -> list[str]:
    return [text(value) for number, _, value in fields(data) if number == 1 and isinstance(value, memoryview)]


DECODERS: dict[str, Decoder] = {
    "string": text,
    "bytes": lambda data: base64.b64encode(data).decode(),
    "time": _decode_time,
    "micro": _decode_micro_time,
    "duration": _decode_duration,
    "quantity": _decode_quantity,
    "intstr": _decode_int_or_string,
    "raw": _decode_raw,
    "extra": _decode_extra,
    "double": lambda data: struct.unpack("<d", data)[0],
}
"""From the payload of a length-delimited field (a double: its eight bytes). None stands for an absent value."""

ENCODERS: dict[str, Encoder] = {
    "string": lambda value: str(value).encode(),
    "bytes": lambda value: base64.b64decode(value),
    "time": _encode_time,
    "micro": _encode_time,
    "duration": _encode_duration,
    "quantity": lambda value: tagged(1, str(value).encode()),
    "intstr": _encode_int_or_string,
    "raw": lambda value: tagged(1, orjson.dumps(value)),
    "extra": lambda value: b"".join(tagged(1, item.encode()) for item in value),
}
"""To the payload of a length-delimited field."""

NUMBERS = frozenset({"int", "bool"})
"""Types that travel as varints."""


def from_varint(type_: str, value: int) -> int | bool:
    return bool(value) if type_ == "bool" else signed(value)


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(int(value))
