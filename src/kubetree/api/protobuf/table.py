"""The table of messages as rows: what `messages.json` says of each field, read once.

A field's type is a scalar, a message's name, `[]T` (repeated) or `{}T` (map with string keys). A field without a JSON name is embedded:
its message's fields stand in the object itself. `*` marks scalars that are pointers in Go: only of those is a zero value something that
was said. `=` and `~` mark structs that Go holds by value: they are always sent, those with `=` in JSON as well. `!` marks what JSON says
even when it is empty (no omitempty).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import orjson


@dataclass(frozen=True, slots=True)
class Field:
    """`shape` is '' for one value, '[]' for repeated, '{}' for a map; `type` a scalar or a message."""

    number: int
    name: str
    shape: str
    type: str
    pointer: bool
    by_value: bool
    spoken: bool
    """JSON says it even when it is empty."""


@cache
def table() -> dict[str, dict[str, list[str]]]:
    loaded: dict[str, dict[str, list[str]]] = orjson.loads(files("kubetree.api.protobuf").joinpath("messages.json").read_bytes())
    return loaded


def fields_of(message: str) -> tuple[Field, ...]:
    """In order of their numbers. Raises KeyError for a message that is not in the table."""
    return tuple(_field(int(number), name, type_) for number, (name, type_) in table()[message].items())


def _field(number: int, name: str, type_: str) -> Field:
    bare = type_.lstrip("*=~!")
    marks = type_[: -len(bare)]
    shape = bare[:2] if bare[:2] in ("[]", "{}") else ""
    by_value, spoken = marks in ("=", "~"), marks[:1] in ("=", "!")
    return Field(number, name, shape, bare[len(shape) :], "*" in marks, by_value, spoken)
