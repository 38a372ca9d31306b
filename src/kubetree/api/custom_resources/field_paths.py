"""Paths of fields that a schema names: `.spec.items['a.b'].name`, as `fieldPath` of rules and `jsonPath` of selectable fields are written."""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def field_path(text: str, schema: Schema, *, brackets: bool = True) -> tuple[str, Schema]:
    """The path as errors show it (`spec.items[a.b].name`) and the schema of the field. Raises ValueError in upstream's words.

    Without `brackets` only dots are allowed. Follows cel.ValidFieldPath.
    """
    tokens = _TOKEN.findall(text)
    found, at, i = "", schema, 0

    def step(name: str) -> None:
        nonlocal found, at
        more = at.get("additionalProperties")
        if at.get("properties"):
            found = f"{found}.{name}" if found else name
            below = at["properties"].get(name)
        elif more is not None:
            found, below = f"{found}[{name}]", more
        else:
            below = None
        if not isinstance(below, dict):
            raise ValueError("does not refer to a valid field")
        at = below

    while i < len(tokens):
        token = tokens[i]
        if token == "[":
            if not brackets:
                raise ValueError("array notation is not allowed")
            if i + 1 >= len(tokens):
                raise ValueError("unexpected end of JSON path")
            quoted = tokens[i + 1]
            if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'":
                raise ValueError(f"expected single quoted string but got {quoted}")
            step(_unescaped(quoted[1:-1]))
            if i + 2 >= len(tokens):
                raise ValueError("unexpected end of JSON path")
            if tokens[i + 2] != "]":
                raise ValueError(f"expected ] but got {tokens[i + 2]}")
            i += 3
        elif token == ".":
            if i + 1 >= len(tokens):
                raise ValueError("unexpected end of JSON path")
            step(tokens[i + 1])
            i += 2
        else:
            raise ValueError(f"expected [ or . but got: {token}")
    return found, at


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        try:
            return _ESCAPES[match.group()[1]]
        except KeyError:
            raise ValueError(f"invalid string literal: invalid escape char {match.group()}") from None

    return re.sub(r"\\.", one, text)
