"""Definitions compiled to strict msgspec types that only check, a type at a time and on first use.

They accept exactly what needs no change: known fields, right types, canonical times and quantities. Everything else, also what is
merely spelled differently, goes to the slow walk, which has the last word. Written again, they leave out what Go's types leave out.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kubetree.api.schema import definitions as d
from kubetree.api.schema.go_values import dropped

_MONTH_DAY = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
_TIME = f"^[1-9][0-9]{{3}}-{_MONTH_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DECIMAL = "(?:[1-9][0-9]{0,2}|[1-9][0-9]*(?:[1-9][0-9]{2}|0[1-9][0-9]|00[1-9]))[numkMGTPE]?"
_BINARY = "(?:[1-9][0-9]{0,2}|[1-9][0-9]{2,}[13579])[KMGTP]i|[1-7]Ei"
_QUANTITY = f"^(?:0|-?(?:{_DECIMAL}|{_BINARY}))$"
"""Quantities that are canonical for sure: no fraction, nothing that a larger suffix would say shorter."""

_INT32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_LEAVES: dict[str, Any] = {
    d.QUANTITY: Annotated[str, Meta(pattern=_QUANTITY)],
    d.INT_OR_STRING: _INT32 | str,
    d.TIME: Annotated[str, Meta(pattern=f"{_TIME}Z$")],
    d.MICRO_TIME: Annotated[str, Meta(pattern=rf"{_TIME}\.[0-9]{{6}}Z$")],
}
_SCALARS: dict[tuple[str, str], Any] = {
    ("string", "byte"): bytes,
    ("integer", "int32"): _INT32,
    ("integer", "int64"): _INT64,
}
_SCHEMA_OR = {
    d.JSON_SCHEMA_OR_BOOL: "{0} | bool",
    d.JSON_SCHEMA_OR_ARRAY: "{0} | list[{0}]",
    d.JSON_SCHEMA_OR_STRINGS: "{0} | list[str]",
}
_BY_TYPE: dict[str, Any] = {"string": str, "integer": _INT64, "number": float | int, "boolean": bool}


class _Compiler:
    """`anything` is the type of free JSON: msgspec.Raw skips it when decoding bytes, Any accepts it when converting."""

    def __init__(self, suffix: str, anything: Any) -> None:
        self._suffix, self._anything = suffix, anything
        self._done: dict[str, Any] = dict(_LEAVES) | dict.fromkeys(d.ANYTHING, anything)
        self._open: set[str] = set()

    def named(self, name: str) -> Any:
        found = self._done.get(name)
        if found is None:
            if name in self._open:
                return self._identifier(name)
            found = self._done[name] = self._compile(name)
        return found

    def _compile(self, name: str) -> Any:
        if name in _SCHEMA_OR:
            self.named(d.JSON_SCHEMA_PROPS)
            return _SCHEMA_OR[name].format(self._identifier(d.JSON_SCHEMA_PROPS))
        schema = d.definitions()[name]
        if d.type_of(schema) != "object":
            return self._type(schema)
        self._open.add(name)
        properties = schema.get("properties") or {}
        names = {key: _identifier(key) for key in properties}
        gone = dropped(name)
        fields = [(names[key], self._optional(self._type(value)), _default(value, key in gone)) for key, value in properties.items()]
        identifier = self._identifier(name)
        rename = {new: old for old, new in names.items()}
        struct = msgspec.defstruct(
            identifier, fields, rename=rename, forbid_unknown_fields=True, omit_defaults=True, module=__name__, gc=False
        )
        globals()[identifier] = struct
        self._open.discard(name)
        return struct

    def _identifier(self, name: str) -> str:
        return _identifier(name) + self._suffix

    def _optional(self, kind: Any) -> Any:
        """`kind` or null, which stands for absent. A str is a forward reference to a type that holds itself."""
        if isinstance(kind, str):
            return f"{kind} | None"
        return kind if kind is self._anything else kind | None

    def _type(self, schema: d.Schema) -> Any:
        name = d.reference(schema)
        if name is not None:
            return self.named(name)
        kind = d.type_of(schema)
        if kind == "array":
            item = self._type(schema["items"])
            return f"list[{item}]" if isinstance(item, str) else list[item]  # type: ignore[valid-type]
        if kind == "object":
            values = schema.get("additionalProperties")
            value = self._type(values) if isinstance(values, dict) else self._anything
            return f"dict[str, {value}]" if isinstance(value, str) else dict[str, value]  # type: ignore[valid-type]
        return _SCALARS.get((kind, schema.get("format", ""))) or _BY_TYPE.get(kind, self._anything)


_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False}


def _default(schema: d.Schema, dropped_when_zero: bool) -> Any:
    """The value with which a field is not written again: null, or the zero value that Go leaves out."""
    kind = d.type_of(schema)
    if dropped_when_zero and (kind, schema.get("format")) == ("string", "byte"):
        return b""
    if not dropped_when_zero:
        return None
    if kind == "array":
        return msgspec.field(default_factory=list)
    return msgspec.field(default_factory=dict) if kind == "object" else _ZERO[kind]


def _identifier(name: str) -> str:
    return "T" + re.sub(r"\W", "_", name)


_for_bytes = _Compiler("", msgspec.Raw)
_for_objects = _Compiler("_object", Any)


@cache
def decoder(name: str) -> msgspec.json.Decoder[Any]:
    """Checks the bytes of one definition; raises msgspec.ValidationError or msgspec.DecodeError."""
    return msgspec.json.Decoder(_for_bytes.named(name))


@cache
def object_type(name: str) -> Any:
    """The type to `msgspec.convert` an object to that has been parsed already."""
    return _for_objects.named(name)
