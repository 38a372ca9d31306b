"""Numbers and strings written as Go writes them, where the language shows them: `string(1.5e9)`, messages of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .floats import general
from .moments import duration_text, timestamp_text
from .types import Type
from .values import NONE, Duration, Optional, Timestamp, TypedList, TypedMap

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}


def quote(text: str) -> str:
    """strconv.Quote."""
    out = []
    for c in text:
        if c in _ESCAPES:
            out.append(_ESCAPES[c])
        elif c.isprintable():
            out.append(c)
        elif ord(c) < 0x80:
            out.append(f"\\x{ord(c):02x}")
        elif ord(c) < 0x10000:
            out.append(f"\\u{ord(c):04x}")
        else:
            out.append(f"\\U{ord(c):08x}")
    return '"' + "".join(out) + '"'


def show(value: Any) -> str:
    """A value as %v shows it within a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "NULL_VALUE"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return general(value)
    if isinstance(value, bytes):
        return "[" + " ".join(map(str, value)) + "]"
    if isinstance(value, Duration):
        return duration_text(value.nanos)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Optional):
        return "optional.none()" if value is NONE else f"optional({show(value.value)})"
    if isinstance(value, Type):
        return value.name
    if isinstance(value, list | TypedList):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, Mapping | TypedMap):
        return "{" + ", ".join(f"{show(key)}: {show(value[key])}" for key in value) + "}"
    return str(value)
