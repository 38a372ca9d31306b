"""Numbers and strings written as Go writes them, where the language shows them: `string(1.5e9)`, messages of errors. Quoted text is
`kubetree.api.errors.quoted`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .floats import general
from .moments import duration_text, timestamp_text
from .types import Type
from .values import NONE, Duration, Optional, Timestamp, TypedList, TypedMap


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
