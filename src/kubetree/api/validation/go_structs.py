"""Bad values that are whole structs, as upstream's messages show them: by the names and the order of its internal Go types, empty fields too.

`go_structs.json` is the one table of facts. A struct's fields are words `Name=jsonName:code` (`=jsonName` only where it is not the name in
lower camel case), in Go's order; `+code` is an embedded struct. A code is `s` (string by value), `i` (number), `b` (boolean), `q` (quantity),
`x` (number or string), `t` (time), `*` (anything that prints null when it is absent) or a struct's name, with `*`, `[]` or `{}` before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

Object = dict[str, Any]
_ZERO = {"s": "", "i": 0, "b": False, "q": "0", "x": 0}
_OBJECT_META = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
]
_TAGGED = {
    "meta.LabelSelector": ("matchLabels", "matchExpressions"),
    "meta.ObjectMeta": tuple(_OBJECT_META),
    "meta.Condition": ("type", "status", "observedGeneration", "lastTransitionTime", "reason", "message"),
}
"""Types with JSON names of their own, which leave out what is empty."""


class GoStruct(dict[str, Any]):
    """A struct under its Go names; `render` keeps the order of its fields."""


@dataclass(frozen=True, slots=True)
class _Field:
    """`shape` is '', '*', '[]' or '{}'; `struct` the type of what it holds, '' for what is printed as it is. `go` '': embedded."""

    go: str
    json: str
    shape: str
    struct: str
    zero: Any


@cache
def _table() -> dict[str, str]:
    loaded: dict[str, str] = orjson.loads(files("kubetree.api.validation").joinpath("go_structs.json").read_bytes())
    return loaded


@cache
def _fields(name: str) -> tuple[_Field, ...]:
    return tuple(map(_field, _table()[name].split()))


def _field(word: str) -> _Field:
    if word.startswith("+"):
        return _Field("", "", "", word[1:], None)
    names, _, code = word.rpartition(":")
    go, _, json = names.partition("=")
    shape = next((s for s in ("*", "[]", "{}") if code.startswith(s)), "")
    bare = code[len(shape) :]
    struct = bare if "." in bare else ""
    return _Field(go, json or go[0].lower() + go[1:], shape, struct, None if shape else _ZERO.get(bare))


def _pod_spec(spec: Object) -> Object:
    """Internally what a pod shares with its host stands in the security context."""
    context = spec.get("securityContext")
    return spec if context is None else {**spec, "securityContext": {**spec, **context}}


_VIEWS: dict[str, Callable[[Object], Object]] = {"core.PodSpec": _pod_spec}


def go_struct(name: str, value: Any) -> Any:
    """`value`, an object or a list of them, as Go prints the internal struct of this name (`core.PodSpec`); null for None."""
    if value is None:
        return None
    if isinstance(value, list):
        return [go_struct(name, item) for item in value]
    if not isinstance(value, dict):
        return value
    if name in _TAGGED:
        return _tagged(value, _TAGGED[name])
    view = _VIEWS.get(name)
    shown = GoStruct()
    _show(shown, name, value if view is None else view(value))
    return shown


def _show(shown: GoStruct, name: str, value: Object) -> None:
    for field in _fields(name):
        if not field.go:
            if field.struct in _TAGGED:
                shown |= _tagged(value.get("metadata") or {}, _TAGGED[field.struct])
            else:
                _show(shown, field.struct, value)
            continue
        held = value.get(field.json)
        if field.struct and field.shape == "{}" and held is not None:
            shown[field.go] = {key: go_struct(field.struct, held[key]) for key in sorted(held)}
        elif field.struct and (held is not None or not field.shape):
            shown[field.go] = go_struct(field.struct, held if held is not None else {})
        else:
            shown[field.go] = field.zero if held is None else held


def _tagged(value: Object, names: Iterable[str]) -> GoStruct:
    shown = GoStruct()
    for name in names:
        held = value.get(name)
        if held:
            shown[name] = list(map(_requirement, held)) if name == "matchExpressions" else held
    return shown


def _requirement(value: Object) -> GoStruct:
    shown = GoStruct(key=value.get("key") or "", operator=value.get("operator") or "")
    if value.get("values"):
        shown["values"] = value["values"]
    return shown


def from_go_struct(name: str, value: Any) -> Any:
    """The other way round: JSON with Go's field names, in any case as Go reads them, with the API's names; nulls go."""
    if isinstance(value, list):
        return [from_go_struct(name, item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {field.json.lower(): field for field in _fields(name)}
    read = {}
    for key, held in value.items():
        field = known.get(key.lower())
        if field is not None and held is not None:
            read[field.json] = from_go_struct(field.struct, held) if field.struct else held
    return read
