"""An object as Go's structs would have it: what they cannot say is dropped, what they always say is filled in.

Upstream decodes every object into structs and writes it from them: an empty list, `false` where there is no pointer or a null leave no
trace, while structs held by value and fields without omitempty are there in any case (`rules: null`, `divisor: "0"`). The facts are those
of protobuf's table, so that JSON, protobuf and what is stored say the same. Knows nothing of defaults, which come after it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kubetree.api.protobuf.envelope import ProtobufError, message_name
from kubetree.api.protobuf.table import Field, fields_of

Object = dict[str, Any]

_SCALARS = frozenset({"string", "int", "bool", "double"})
_FREE = frozenset({"raw", "extra", "bytes", "schemaOrArray", "schemaOrBool", "schemaOrStrings"})
_SPECIAL: dict[str, Any] = {"time": None, "micro": None, "raw": None, "duration": "0s", "quantity": "0", "intstr": 0}
_EMPTY: dict[str, Any] = {"string": "", "int": 0, "bool": False, "double": 0, "bytes": None}


_KEPT, _GOES, _NULL = range(3)
"""What becomes of an empty value: it stays, it goes, it is stored as null (but owned like any other value that was said)."""
_ONE, _LIST, _MAP = range(3)


class Struct:
    """One of Go's structs. `_rules` are of the fields that may need something: what becomes of an empty value, what a full one holds."""

    __slots__ = ("_always", "_names", "_rules")

    def __init__(self) -> None:
        self._rules: dict[str, tuple[int, Struct | None, int]] = {}
        self._always: dict[str, tuple[Any, Struct | None]] = {}
        self._names: frozenset[str] = frozenset()

    def compile(self, fields: tuple[Field, ...]) -> None:
        for field in fields:
            inside = None if field.type in _SCALARS or field.type in _SPECIAL or field.type in _FREE else struct(field.type)
            if not field.name:
                assert inside is not None
                self._rules |= inside._rules
                self._always |= inside._always
                continue
            empty = _KEPT
            if field.shape or field.type == "bytes" or (field.type in _SCALARS and not field.pointer):
                empty = _GOES if not field.spoken else _KEPT if field.type in _SCALARS and not field.shape else _NULL
            if empty or inside is not None:
                self._rules[field.name] = empty, inside, {"[]": _LIST, "{}": _MAP}.get(field.shape, _ONE)
            if field.spoken:
                self._always[field.name] = _zero(field), inside if field.by_value else None
        self._names = frozenset(self._always)

    def settle(self, obj: Object) -> None:
        """Makes `obj` canonical, in place. Its shape must be that of the struct."""
        find, gone = self._rules.get, None
        for name, value in obj.items():
            rule = find(name)
            if not value:
                if value is None or (rule is not None and rule[0] == _GOES):
                    gone = [name] if gone is None else [*gone, name]
                elif rule is not None and rule[1] is not None and rule[2] == _ONE:
                    rule[1].settle(value)
            elif rule is not None and rule[1] is not None:
                inside, shape = rule[1].settle, rule[2]
                if not shape:
                    inside(value)
                else:
                    for item in value if shape == _LIST else value.values():
                        if item is not None:
                            inside(item)
        if gone is not None:
            for name in gone:
                del obj[name]
        if not self._names <= obj.keys():
            self._fill(obj)

    def write_nulls(self, obj: Object) -> bool:
        """Makes null of the empty lists that the store keeps as nothing. False: there were none."""
        changed = False
        for name, value in obj.items():
            rule = self._rules.get(name)
            if rule is None:
                continue
            if not value:
                if rule[0] == _NULL and value is not None:
                    obj[name], changed = None, True
            elif rule[1] is not None:
                for item in (value,) if rule[2] == _ONE else value if rule[2] == _LIST else value.values():
                    if item:
                        changed |= rule[1].write_nulls(item)
        return changed

    def _fill(self, obj: Object) -> None:
        for name in self._names - obj.keys():
            zero, inside = self._always[name]
            if inside is None:
                obj[name] = zero
            else:
                obj[name] = {}
                inside.settle(obj[name])


_structs: dict[str, Struct] = {}


def struct(message: str) -> Struct:
    """Raises KeyError for a message that is not in the table."""
    found = _structs.get(message)
    if found is None:
        fields = fields_of(message)
        found = _structs[message] = Struct()  # before its fields, which may be of its own kind
        found.compile(fields)
    return found


def settle(obj: Object, data: bytes = b"") -> None:
    """Makes a decoded object of a built-in kind canonical, in place; others stay as they are. `data`: the JSON that it was read from."""
    found = _struct_of(obj)
    if found is not None and not (data and obj["kind"] == "Pod" and obj["apiVersion"] == "v1" and not _says_something_empty(data)):
        found.settle(obj)


def write_nulls(obj: Object) -> bool:
    """Makes null of empty lists that have no omitempty, in place, as upstream's store does. False: there were none."""
    found = _struct_of(obj)
    return found is not None and found.write_nulls(obj)


def _struct_of(obj: Object) -> Struct | None:
    key = obj["apiVersion"], obj["kind"]
    found = _by_kind.get(key, _UNKNOWN)
    if found is _UNKNOWN:
        try:
            found = struct(message_name(*key))
        except ProtobufError:
            found = None
        if len(_by_kind) < _KINDS:
            _by_kind[key] = found
    return found


@cache
def always(definition: str) -> dict[str, Any]:
    """What objects of an OpenAPI definition (`io.k8s.api.core.v1.Pod`) always have, with the value for one that does not say it:
    {} of structs, zero values of others."""
    *_, group, version, kind = definition.split(".")
    name = f"{group}.{version}.{kind}" if definition.startswith("io.k8s.api.") else f"{group}/{kind}"
    try:
        found = struct(name)
    except KeyError:
        return {}
    return {name: zero if inside is None else {} for name, (zero, inside) in found._always.items()}


_UNKNOWN: Any = object()
_KINDS = 1024
_by_kind: dict[tuple[str, str], Struct | None] = {}


def _says_something_empty(data: bytes) -> bool:
    """Pods are created more often than anything else, and their defaults fill in what Go always says: ordinary ones are let be."""
    return any(sign in data for sign in (b"[]", b"{}", b'""', b"false", b":0", b": 0", b"null"))


def _zero(field: Field) -> Any:
    if field.shape:
        return None
    if field.type in _SPECIAL:
        return _SPECIAL[field.type]
    return _EMPTY.get(field.type)
