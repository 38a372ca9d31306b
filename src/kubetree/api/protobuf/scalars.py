"""The types that are one thing in JSON and another in protobuf: times, quantities, int-or-string, raw JSON, bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.protobuf.wire import WireError, fields, signed, tagged, varint
from kubetree.api.times import format_duration, format_micro_time, format_time, parse_duration, parse_time

_ZERO_TIME = "0001-01-01T00:00:00Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Decoder = Callable[[bytes], Any]
Encoder = Callable[[Any], bytes]

NUMBERS = frozenset({"int", "bool"})
"""Types that travel as varints."""


def _numbers(data: bytes) -> dict[int, int]:
    return {number: signed(value) for number, value in fields(data) if isinstance(value, int)}


def _payloads(data: bytes) -> dict[int, bytes]:
    return {number: value for number, value in fields(data) if isinstance(value, bytes)}


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"invalid UTF-8: {error.reason}") from None


def _moment(data: bytes) -> datetime | None:
    if not data:
        return None
    numbers = _numbers(data)
    try:
        return _EPOCH + timedelta(seconds=numbers.get(1, 0), microseconds=numbers.get(2, 0) // 1000)
    except OverflowError:
        raise WireError("time out of range") from None


@lru_cache(maxsize=4096)
def _decode_time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None else format_time(moment)


def _decode_micro_time(data: bytes) -> str | None:
    moment = _moment(data)
    return None if moment is None else format_micro_time(moment)


@lru_cache(maxsize=4096)
def _encode_time(value: str) -> bytes:
    return b"" if value == _ZERO_TIME else _timestamp(parse_time(value).replace(microsecond=0))


def _encode_micro_time(value: str) -> bytes:
    return b"" if value.startswith(_ZERO_TIME[:-1]) else _timestamp(parse_time(value))


def _timestamp(moment: datetime) -> bytes:
    since = moment - _EPOCH
    seconds = since.days * 86400 + since.seconds
    return b"\x08" + varint(seconds) + b"\x10" + varint(since.microseconds * 1000)


def _decode_duration(data: bytes) -> str:
    return format_duration(_numbers(data).get(1, 0) / 1e9)


def _encode_duration(value: str) -> bytes:
    return varint(1 << 3) + varint(round(parse_duration(value) * 1e9))


def _decode_quantity(data: bytes) -> str:
    return _text(_payloads(data).get(1, b"0"))


def _decode_int_or_string(data: bytes) -> int | str:
    numbers = _numbers(data)
    return _text(_payloads(data).get(3, b"")) if numbers.get(1) else numbers.get(2, 0)


def _encode_int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + tagged(3, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _decode_raw(data: bytes) -> Any:
    raw = _payloads(data).get(1)
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise WireError(f"embedded JSON: {error}") from None


def _decode_extra(data: bytes) -> list[str]:
    return [_text(value) for number, value in fields(data) if number == 1 and isinstance(value, bytes)]


DECODERS: dict[str, Decoder] = {
    "bytes": lambda data: base64.b64encode(data).decode(),
    "time": _decode_time,
    "micro": _decode_micro_time,
    "duration": _decode_duration,
    "quantity": _decode_quantity,
    "intstr": _decode_int_or_string,
    "raw": _decode_raw,
    "extra": _decode_extra,
}
"""From the payload of a length-delimited field. None stands for an absent value."""

ENCODERS: dict[str, Encoder] = {
    "bytes": base64.b64decode,
    "time": _encode_time,
    "micro": _encode_micro_time,
    "duration": _encode_duration,
    "quantity": lambda value: tagged(1, str(value).encode()),
    "intstr": _encode_int_or_string,
    "raw": lambda value: tagged(1, orjson.dumps(value)),
    "extra": lambda value: b"".join(tagged(1, item.encode()) for item in value),
}
"""To the payload of a length-delimited field."""

ZEROS: dict[str, bytes] = {
    "bytes": b"",
    "extra": b"",
    "time": b"",
    "micro": b"",
    "duration": b"\x08\x00",
    "quantity": b"\x0a\x010",
    "intstr": b"\x08\x00\x10\x00\x1a\x00",
    "raw": b"",
}
"""The payload of the zero value, for those that Go may hold by value."""

EMPTY: dict[str, Any] = {"string": "", "bytes": "", "int": 0, "bool": False, "quantity": "0", "extra": [], "time": None, "micro": None}
"""What a map's entry without a value stands for; of a message it is {}."""
