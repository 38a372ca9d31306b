"""What values are at run time: plain Python where JSON has the thing (None, bool, int, float, str, list, dict), and these classes.

`UInt` is an unsigned integer, `bytes` are bytes, a `Type` is a type. Nothing here changes once it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from .errors import EvaluationError
from .numbers import INT_MAX, INT_MIN, UInt
from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    LIST,
    MAP,
    NULL,
    OPTIONAL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Type,
)

NANOS = 1_000_000_000
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799


class Duration:
    """A span in nanoseconds, 64 bits."""

    __slots__ = ("nanos",)

    def __init__(self, nanos: int) -> None:
        self.nanos = nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(("duration", self.nanos))

    def __repr__(self) -> str:
        return f"Duration({self.nanos})"


class Timestamp:
    """A point in time: nanoseconds since the epoch, and the offset from UTC (seconds) that it was written with."""

    __slots__ = ("nanos", "offset")

    def __init__(self, nanos: int, offset: int = 0) -> None:
        self.nanos, self.offset = nanos, offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(("timestamp", self.nanos))

    def __repr__(self) -> str:
        return f"Timestamp({self.nanos})"


class Optional:
    """A value that may not be there; `NONE` is the one without."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "optional.none()" if self is NONE else f"optional({self.value!r})"


NONE = Optional(None)


@runtime_checkable
class Opaque(Protocol):
    """A value of a library's own type: an IP address, a quantity, an authorizer."""

    cel_type: Type

    def equals(self, other: Any) -> bool: ...


class TypedMap:
    """A JSON object read through its schema. `raw` is the object; keys are those an expression uses."""

    __slots__ = ("raw", "shape")

    def __init__(self, raw: dict[str, Any], shape: MapShape) -> None:
        self.raw, self.shape = raw, shape

    def __getitem__(self, key: Any) -> Any:
        return self.shape.get(self.raw, key)

    def __len__(self) -> int:
        return len(self.raw)

    def __iter__(self) -> Iterator[str]:
        return self.shape.keys(self.raw)


class MapShape(Protocol):
    """How a schema reads an object. `get` raises KeyError for what is not there."""

    def get(self, raw: dict[str, Any], key: Any) -> Any: ...

    def keys(self, raw: dict[str, Any]) -> Iterator[str]: ...

    def equals(self, raw: dict[str, Any], other: Any) -> bool: ...


class TypedList:
    """A JSON array read through its schema. `list_keys` are those of a list map, () makes it a set, None a plain list."""

    __slots__ = ("list_keys", "raw", "read")

    def __init__(self, raw: list[Any], read: Any, list_keys: tuple[str, ...] | None = None) -> None:
        self.raw, self.read, self.list_keys = raw, read, list_keys

    def __getitem__(self, index: int) -> Any:
        item = self.raw[index]
        return item if self.read is None else self.read(item)

    def __len__(self) -> int:
        return len(self.raw)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.raw) if self.read is None else map(self.read, self.raw)


def native(value: Any) -> Any:
    """The JSON below a value that was read through a schema."""
    return value.raw if isinstance(value, TypedMap | TypedList) else value


def type_of_value(value: Any) -> Type:
    """What `type(value)` gives."""
    found = _TYPES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, Type):
        return TYPE
    opaque: Type | None = getattr(value, "cel_type", None)
    if opaque is not None:
        return opaque
    if isinstance(value, Mapping):
        return MAP
    raise EvaluationError(f"unsupported conversion to ref.Val: ({type(value).__name__}){value}")


_TYPES: dict[type, Type] = {
    type(None): NULL,
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    list: LIST,
    TypedList: LIST,
    dict: MAP,
    TypedMap: MAP,
    Duration: DURATION,
    Timestamp: TIMESTAMP,
    Optional: OPTIONAL,
}


def no_such_overload() -> EvaluationError:
    """What a function says to values of types that it does not take."""
    return EvaluationError("no such overload")


# equality

_NUMBERS = frozenset({int, UInt, float})
_SCALARS = frozenset({str, bytes, Duration, Timestamp})


def equal(one: Any, other: Any) -> bool:
    """CEL's ==: numbers of all types by value, nothing else across types. Raises EvaluationError when the types forbid it."""
    kind = type(one)
    if kind is type(other) and kind in _SCALARS:
        return bool(one == other)
    if one is None or other is None:
        return one is other
    if kind is bool or type(other) is bool:
        return one is other
    if kind in _NUMBERS:
        return type(other) in _NUMBERS and compare_numbers(one, other) == 0
    if kind is list:
        return _lists_equal(one, other)
    if kind is dict:
        return _maps_equal(one, other)
    if kind is TypedList:
        return _typed_lists_equal(one, other)
    if kind is TypedMap:
        return bool(one.shape.equals(one.raw, other))
    if kind is Optional:
        if type(other) is not Optional or one is NONE or other is NONE:
            return one is other
        return equal(one.value, other.value)
    if kind is Type:
        return type(other) is Type and one.name == other.name
    if kind in _SCALARS:
        return False
    if isinstance(one, Mapping):
        return _maps_equal(one, other)
    return bool(one.equals(other))


def compare_numbers(one: Any, other: Any) -> int:
    """-1, 0 or 1 as cel-go compares across int, uint and double; NaN equals nothing and compares as 2."""
    if type(one) is float:
        if one != one or other != other:
            return 2
        if type(other) is not float:
            low, high = (0, float(1 << 64)) if type(other) is UInt else (float(INT_MIN), float(INT_MAX))
            if one < low:
                return -1
            if one > high:
                return 1
            other = float(other)
    elif type(other) is float:
        flipped = compare_numbers(other, one)
        return flipped if flipped == 2 else -flipped
    return int(one > other) - int(one < other)


def _lists_equal(one: Any, other: Any) -> bool:
    if type(other) is TypedList or type(other) is list:
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return False


def _maps_equal(one: Any, other: Any) -> bool:
    if type(other) is TypedMap or isinstance(other, Mapping):
        if len(one) != len(other):
            return False
        for key in one:
            found = find(other, key)
            if found is ABSENT or not equal(one[key], found):
                return False
        return True
    return False


def _typed_lists_equal(one: TypedList, other: Any) -> bool:
    if not is_list(other):
        raise no_such_overload()
    if len(one) != len(other):
        return False
    if one.list_keys is None:
        return all(equal(a, b) for a, b in zip(one, other, strict=True))
    if not one.list_keys:
        members = {_scalar_key(item) for item in one.raw}
        return all(_scalar_key(native(value)) in members for value in (other.raw if isinstance(other, TypedList) else other))
    by_key = {list_key(item, one.list_keys): item for item in one.raw}
    for value in other:
        mine = by_key.get(list_key(native(value), one.list_keys), ABSENT)
        if mine is ABSENT or not equal(mine if one.read is None else one.read(mine), value):
            return False
    return True


def _scalar_key(item: Any) -> Any:
    return (type(item) is bool, item)


def list_key(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """What tells the items of a list map apart."""
    if not isinstance(item, Mapping):
        raise EvaluationError(f"unexpected data format for element of array with x-kubernetes-list-type=map: {type(item).__name__}")
    return tuple(item.get(key) for key in keys)


# containers

ABSENT: Any = object()


def is_list(value: Any) -> bool:
    """Whether the language sees a list."""
    return type(value) is list or type(value) is TypedList


def is_map(value: Any) -> bool:
    """Whether the language sees a map: objects of a schema, too."""
    return type(value) is dict or type(value) is TypedMap or isinstance(value, Mapping)


def find(container: Any, key: Any) -> Any:
    """The value at a key of a map, or ABSENT. Keys that are numbers are found across types; booleans are no numbers."""
    if type(container) is TypedMap:
        if type(key) is not str:
            raise no_such_overload()
        try:
            return container[key]
        except KeyError:
            return ABSENT
    try:
        value = container[key]
    except (KeyError, TypeError):
        return ABSENT
    if type(key) is not str and type(container) is dict and (key == 0 or key == 1):
        is_bool = type(key) is bool
        for known in container:
            if known == key and (type(known) is bool) is not is_bool:
                return ABSENT
    return value


def contains(container: Any, value: Any) -> bool:
    """`value in container`."""
    if type(container) is list:
        if type(value) is str:
            return value in container
        return any(equal(value, item) for item in container)
    if type(container) is TypedList:
        return any(equal(item, value) for item in container)
    if is_map(container):
        return find(container, value) is not ABSENT
    raise no_such_overload()


def size(value: Any) -> int:
    """Code points, bytes, items or entries. Raises TypeError for what has no size."""
    return len(value)


def actual_size(value: Any) -> int:
    """The size that costs go by: that of what an optional holds, 1 for what has none."""
    kind = type(value)
    if kind in _SIZED:
        return len(value)
    if kind is Optional:
        return 1 if value is NONE else actual_size(value.value)
    if kind in _NUMBERS or kind is bool or value is None:
        return 1
    measure = getattr(value, "__len__", None)
    return 1 if measure is None else int(measure())


_SIZED = frozenset({str, bytes, list, dict, TypedList, TypedMap})


def go_type_name(value: Any) -> str:
    """The name upstream's messages give a value's implementation."""
    return _GO_NAMES.get(type(value), "*types.Type" if isinstance(value, Type) else f"*cel.{type(value).__name__}")


_GO_NAMES: dict[type, str] = {
    type(None): "types.Null",
    bool: "types.Bool",
    int: "types.Int",
    UInt: "types.Uint",
    float: "types.Double",
    str: "types.String",
    bytes: "types.Bytes",
    Duration: "types.Duration",
    Timestamp: "types.Timestamp",
    Optional: "*types.Optional",
    list: "*types.baseList",
    dict: "*types.baseMap",
    TypedList: "*common.unstructuredList",
    TypedMap: "*common.unstructuredMap",
}
