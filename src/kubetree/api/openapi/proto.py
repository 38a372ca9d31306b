"""Documents in gnostic's protobuf encoding: what its two versions (`proto_v2.py`, `proto_v3.py`) share.

A version is a table of field numbers and a table of the shapes that are no plain message. Fields are written in the order of their numbers,
as Go writes them; free values and extensions travel as YAML text.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import yaml

from kubetree.api.protobuf.wire import FIXED64, tagged, varint

Fields = Mapping[str, tuple[int, str]]
"""Member of the JSON: (field number, encoding). `x-` stands for all extensions."""

ONE, TWO = 1, 2


def free_value(value: Any) -> bytes:
    """An Any: YAML text, as Go's writer puts JSON that it has read."""
    return tagged(TWO, _yaml(value).encode())


def named(name: str, value: bytes) -> bytes:
    return tagged(ONE, name.encode()) + tagged(TWO, value)


def strings(values: list[str]) -> bytes:
    return b"".join(tagged(ONE, value.encode()) for value in values)


class Encoding:
    """`shapes` makes the bytes of values whose message is not in `messages`."""

    def __init__(self, messages: Mapping[str, Fields], shapes: Mapping[str, Callable[[Any], bytes]]) -> None:
        self._messages, self._shapes = messages, shapes

    def message(self, kind: str, value: Mapping[str, Any]) -> bytes:
        fields, out = self._messages[kind], []
        for name, item in value.items():
            found = fields.get(name)
            if found is not None:
                out.append((found[0], self.field(*found, item)))
            elif name.startswith("x-"):
                number = fields["x-"][0]
                out.append((number, tagged(number, named(name, free_value(item)))))
        out.sort(key=_number)
        return b"".join(data for _, data in out)

    def field(self, number: int, kind: str, value: Any) -> bytes:
        if kind == "string":
            return tagged(number, value.encode()) if value else b""
        if kind == "bool":
            return varint(number << 3) + b"\x01" if value else b""
        if kind == "int":
            return varint(number << 3) + varint(value) if value else b""
        if kind == "double":
            return varint(number << 3 | FIXED64) + struct.pack("<d", value) if value else b""
        if kind.startswith("[]"):
            return b"".join(tagged(number, self.value(kind[2:], item)) for item in value)
        return tagged(number, self.value(kind, value))

    def value(self, kind: str, value: Any) -> bytes:
        if kind == "string":
            encoded: bytes = value.encode()
            return encoded
        if kind.startswith("{}"):
            return b"".join(tagged(ONE, named(name, self.value(kind[2:], item))) for name, item in value.items())
        shape = self._shapes.get(kind)
        return shape(value) if shape is not None else self.message(kind, value)


def _number(field: tuple[int, bytes]) -> int:
    return field[0]


def _yaml(value: Any) -> str:
    key = orjson.dumps(value)
    text = _texts.get(key)
    if text is None:
        text = yaml.dump(value, Dumper=_Dumper, indent=2, width=_WIDE, default_flow_style=False, sort_keys=False, allow_unicode=True)
        text = _texts[key] = text.removesuffix("...\n")
    return text


_WIDE = 1 << 30
_STRING = "tag:yaml.org,2002:str"


class _Dumper(yaml.SafeDumper):
    """Strings that would be read as something else are in double quotes, as Go has them."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    read_as = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(_STRING, text, style='"' if read_as != _STRING and text != "*" else None)


_Dumper.add_representer(str, _text)
_texts: dict[bytes, str] = {}
"""The few hundred values that stand in documents, as YAML."""


def security(value: dict[str, list[str]]) -> bytes:
    """What a request needs: scopes by the name of a scheme."""
    return b"".join(tagged(ONE, named(name, strings(scopes))) for name, scopes in value.items())
