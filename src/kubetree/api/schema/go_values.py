"""What a trip through upstream's Go types does to an object: zero values that `omitempty` leaves out go, fields without it appear.

Clients see that in every answer (`globalDefault: false` is gone, `rules` is null, `divisor` is "0"), and ownership follows it. The facts are
those of protobuf's table, so that JSON, protobuf and what is stored say the same; a struct is compiled once, on first use.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kubetree.api.protobuf.envelope import ProtobufError, message_name
from kubetree.api.protobuf.table import Field, fields_of

Object = dict[str, Any]

_SCALARS = frozenset({"string", "int", "bool", "double"})
_SPECIAL: dict[str, Any] = {"time": None, "micro": None, "raw": None, "duration": "0s", "quantity": "0", "intstr": 0}
_FREE = frozenset({"extra", "bytes", "schemaOrArray", "schemaOrBool", "schemaOrStrings"})
_EMPTY: dict[str, Any] = {"string": "", "int": 0, "bool": False, "double": 0}

_KEPT, _GOES, _NULL = range(3)
"""What becomes of an empty value: it stays, it goes, it is stored as null (but owned like any other value that was said)."""
_ONE, _LIST, _MAP = range(3)
_SAID = frozenset({("meta/ObjectMeta", "managedFields"), ("autoscaling.v2.HPAScalingRules", "policies")})
"""Empty lists that say something: one of managedFields gives up all ownership, one of policies is refused where none has a default."""

_FILLED_BELOW = {"core.v1.PodSpec": frozenset({"affinity", "volumes"})}
"""Fields below which alone a struct is filled. What containers always have their defaults give, and pods are many."""


class Struct:
    """One of Go's structs: what becomes of empty values of its fields, what holds structs of its own, what is always there."""

    __slots__ = ("_always", "_children", "_droppable", "_fillable", "_filled", "_message")

    def __init__(self, message: str) -> None:
        self._message = message
        self._droppable: dict[str, int] = {}
        self._children: dict[str, tuple[Struct, int]] = {}
        self._always: dict[str, tuple[Any, Struct | None]] = {}
        self._fillable: bool | None = None
        self._filled: list[tuple[str, Struct, int]] = []

    def compile(self, fields: tuple[Field, ...]) -> None:
        for field in fields:
            inside = None if field.type in _SCALARS or field.type in _SPECIAL or field.type in _FREE else struct(field.type)
            if not field.name:
                assert inside is not None
                self._droppable |= inside._droppable
                self._children |= inside._children
                self._always |= inside._always
                continue
            several = bool(field.shape) or field.type == "bytes"
            if several or (field.type in _SCALARS and not field.pointer):
                fate = _GOES if not field.spoken else _NULL if several else _KEPT
                self._droppable[field.name] = _KEPT if (self._message, field.name) in _SAID else fate
            if inside is not None:
                self._children[field.name] = inside, {"[]": _LIST, "{}": _MAP}.get(field.shape, _ONE)
            if field.spoken:
                self._always[field.name] = _zero(field), inside if field.by_value else None

    def always(self) -> dict[str, Any]:
        return {name: zero if inside is None else {} for name, (zero, inside) in self._always.items()}

    def dropped(self) -> frozenset[str]:
        return frozenset(name for name, fate in self._droppable.items() if fate == _GOES)

    def drop(self, obj: Object) -> None:
        droppable, gone = self._droppable, None
        for name, value in obj.items():
            if not value:
                if value is None or droppable.get(name) == _GOES:
                    gone = [name] if gone is None else [*gone, name]
            elif name in self._children:
                inside, shape = self._children[name]
                for item in _items(value, shape):
                    inside.drop(item)
        for name in gone or ():
            del obj[name]

    def fill(self, obj: Object) -> None:
        if not self.fillable():
            return
        for name, (zero, inside) in self._always.items():
            if inside is None:
                obj.setdefault(name, zero)
            elif not obj.get(name):
                obj[name] = {}
                inside.fill(obj[name])
        for name, inside, shape in self._filled:
            value = obj.get(name)
            if value is not None:
                for item in _items(value, shape):
                    inside.fill(item)

    def fillable(self) -> bool:
        """Whether there is anything to fill, here or below."""
        if self._fillable is None:
            self._fillable = bool(self._always)  # for whoever holds itself
            only = _FILLED_BELOW.get(self._message)
            self._filled = [
                (name, inside, shape)
                for name, (inside, shape) in self._children.items()
                if (only is None or name in only) and inside.fillable()
            ]
            self._fillable = bool(self._always or self._filled)
        return self._fillable

    def write_nulls(self, obj: Object) -> bool:
        changed = False
        for name, value in obj.items():
            if not value:
                if self._droppable.get(name) == _NULL and value is not None:
                    obj[name], changed = None, True
            elif name in self._children:
                inside, shape = self._children[name]
                for item in _items(value, shape):
                    changed |= inside.write_nulls(item)
        return changed


def _items(value: Any, shape: int) -> Any:
    """The objects that a field holds; nothing where a list or an object has something else."""
    if shape == _ONE:
        return (value,) if isinstance(value, dict) else ()
    return [item for item in (value if shape == _LIST else value.values()) if isinstance(item, dict)]


def _zero(field: Field) -> Any:
    if field.shape or field.pointer or not (field.by_value or field.type in _EMPTY):
        return None
    return _SPECIAL[field.type] if field.type in _SPECIAL else _EMPTY.get(field.type)


_structs: dict[str, Struct] = {}


def struct(message: str) -> Struct:
    """Raises KeyError for a message that is not in protobuf's table."""
    found = _structs.get(message)
    if found is None:
        fields = fields_of(message)
        found = _structs[message] = Struct(message)  # before its fields, which may be of its own kind
        found.compile(fields)
    return found


@cache
def _of_definition(name: str) -> Struct | None:
    """The struct of an OpenAPI definition (`io.k8s.api.core.v1.Pod`); None for what protobuf does not know."""
    group, version, kind = name.split(".")[-3:]
    try:
        return struct(f"{group}.{version}.{kind}" if name.startswith("io.k8s.api.") else f"{group}/{kind}")
    except KeyError:
        return None


def always(name: str) -> dict[str, Any]:
    """The fields of a definition that are always there, and what they are when nobody sets them: a zero value, {} for a struct, else null."""
    found = _of_definition(name)
    return found.always() if found is not None else {}


def dropped(name: str) -> frozenset[str]:
    """The fields of a definition that Go leaves out when they hold a zero value: scalars by value, lists and maps."""
    found = _of_definition(name)
    return found.dropped() if found is not None else frozenset()


def drop_zeros(name: str, obj: Object) -> None:
    """Takes out, in place, what Go would not write back."""
    found = _of_definition(name)
    if found is not None:
        found.drop(obj)


def fill_always(name: str, obj: Object) -> None:
    """Adds, in place, what Go writes though nobody set it."""
    found = _of_definition(name)
    if found is not None:
        found.fill(obj)


def write_nulls(obj: Object) -> bool:
    """Makes null of empty lists that have no omitempty, in place, as upstream's store does. False: there were none."""
    try:
        return struct(message_name(obj["apiVersion"], obj["kind"])).write_nulls(obj)
    except ProtobufError:
        return False
