"""The types of the language, as the checker sees them and as `type(x)` gives them.

A `Type` is compared by kind, name and parameters, as in cel-go. What a schema adds (the fields of an object, how large a value
may be, how JSON of that type is read) rides along and takes no part in comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    """What sort of type it is; `Type.name` and `Type.params` say the rest. PARAM is a type variable, OPAQUE a library's own type."""

    DYN = 1
    ANY = 2
    BOOL = 3
    BYTES = 4
    DOUBLE = 5
    DURATION = 6
    ERROR = 7
    INT = 8
    LIST = 9
    MAP = 10
    NULL = 11
    OPAQUE = 12
    STRING = 13
    STRUCT = 14
    TIMESTAMP = 15
    TYPE = 16
    PARAM = 17
    UINT = 18


Reader = Callable[[Any], Any]


class Type:
    """`fields` are those of an object, by the name an expression uses. `max_elements` bounds the size of a value (characters,
    bytes, items, entries) for cost estimates; `min_size` is the least number of bytes a value takes as JSON. `read` makes a
    value of JSON, or is None when the JSON is the value. `declared` says that the type is a schema's: upstream's values of such types
    are stricter about what they may be compared with and asked for."""

    __slots__ = ("__weakref__", "_key", "declared", "fields", "kind", "max_elements", "min_size", "name", "params", "read")

    def __init__(
        self,
        kind: Kind,
        name: str,
        params: tuple[Type, ...] = (),
        *,
        fields: Mapping[str, Type] | None = None,
        max_elements: int = 0,
        min_size: int = 1,
        read: Reader | None = None,
        declared: bool = False,
    ) -> None:
        self.kind = kind
        self.name = name
        self.params = params
        self.fields = fields
        self.max_elements = max_elements
        self.min_size = min_size
        self.read = read
        self.declared = declared
        self._key = (kind, name, params)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Type) and self._key == other._key)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return describe(self)


def describe(t: Type) -> str:
    """A type as messages show it: 'map(string, int)', 'timestamp', '!error!'."""
    shown = _SHOWN.get(t.kind)
    if shown is not None:
        return shown
    if t.kind is Kind.OPAQUE and t.name == "function":
        return f"({', '.join(map(describe, t.params[1:]))}) -> {describe(t.params[0])}"
    if not t.params:
        return t.name
    return f"{t.name}({', '.join(map(describe, t.params))})"


_SHOWN = {
    Kind.ANY: "any",
    Kind.DURATION: "duration",
    Kind.ERROR: "!error!",
    Kind.NULL: "null",
    Kind.TIMESTAMP: "timestamp",
}

ANY = Type(Kind.ANY, "google.protobuf.Any")
BOOL = Type(Kind.BOOL, "bool", min_size=4)
BYTES = Type(Kind.BYTES, "bytes", min_size=2)
DOUBLE = Type(Kind.DOUBLE, "double")
DURATION = Type(Kind.DURATION, "google.protobuf.Duration", min_size=3)
DYN = Type(Kind.DYN, "dyn")
ERROR = Type(Kind.ERROR, "error")
INT = Type(Kind.INT, "int")
NULL = Type(Kind.NULL, "null_type", min_size=4)
STRING = Type(Kind.STRING, "string", min_size=2)
TIMESTAMP = Type(Kind.TIMESTAMP, "google.protobuf.Timestamp", min_size=12)
TYPE = Type(Kind.TYPE, "type")
UINT = Type(Kind.UINT, "uint")


def list_of(element: Type, *, max_elements: int = 0, read: Reader | None = None, declared: bool = False) -> Type:
    return Type(Kind.LIST, "list", (element,), max_elements=max_elements, min_size=2, read=read, declared=declared)


def map_of(key: Type, value: Type, *, max_elements: int = 0, read: Reader | None = None, declared: bool = False) -> Type:
    return Type(Kind.MAP, "map", (key, value), max_elements=max_elements, min_size=2, read=read, declared=declared)


def optional_of(t: Type) -> Type:
    return opaque("optional_type", t)


def opaque(name: str, *params: Type) -> Type:
    """A type of which the language knows only the name."""
    return Type(Kind.OPAQUE, name, params)


def param(name: str) -> Type:
    """A type variable of an overload."""
    return Type(Kind.PARAM, name)


def type_of(t: Type) -> Type:
    """The type of a type: what `type(x)` has."""
    return Type(Kind.TYPE, "type", (t,))


def struct(
    name: str, fields: Mapping[str, Type] | None = None, *, min_size: int = 2, read: Reader | None = None, declared: bool = False
) -> Type:
    """An object type: its name is what makes it equal to another. Without `fields`, as those of libraries, none can be selected."""
    return Type(Kind.STRUCT, name, fields=fields, min_size=min_size, read=read, declared=declared)


LIST = list_of(DYN)
MAP = map_of(DYN, DYN)
OPTIONAL = opaque("optional_type")


def is_dyn(t: Type) -> bool:
    return t.kind is Kind.DYN or t.kind is Kind.ANY


def is_dyn_or_error(t: Type) -> bool:
    return t.kind is Kind.DYN or t.kind is Kind.ANY or t.kind is Kind.ERROR


def is_optional(t: Type) -> bool:
    return t.kind is Kind.OPAQUE and t.name == "optional_type"


def unwrap_optional(t: Type) -> tuple[Type, bool]:
    """The type within an optional, and whether it was one."""
    if is_optional(t):
        return t.params[0], True
    return t, False
