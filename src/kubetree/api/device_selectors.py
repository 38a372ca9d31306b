"""CEL selectors of devices (dynamic resource allocation): `device.attributes["gpu.example.com"].memory == 5`.

Validation compiles them and bounds their cost, a scheduler evaluates them. Follows k8s.io/dynamic-resource-allocation/cel at v1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kubetree.api.cel import BOOL, STRING, CompileError, Environment, EvaluationError, Program, ProgramError, Type, map_of
from kubetree.api.cel.cost_ranges import Range
from kubetree.api.cel.functions.quantities import QUANTITY, quantity_value
from kubetree.api.cel.functions.semver import parse as parse_semver
from kubetree.api.cel.macros import BIND
from kubetree.api.cel.types import Kind, struct

MOST_COST = 1_000_000
_ENTRIES = 32
_ATTRIBUTE = Type(Kind.ANY, "google.protobuf.Any", max_elements=64, declared=True)
_CAPACITY = Type(QUANTITY.kind, QUANTITY.name, min_size=8, declared=True)


def _sized(t: Type, most: int) -> Type:
    return Type(t.kind, t.name, max_elements=most, declared=True)


def _by_domain(value: Type) -> Type:
    inner = map_of(_sized(STRING, 32), value, max_elements=_ENTRIES, declared=True)
    return map_of(_sized(STRING, 63), inner, max_elements=_ENTRIES, declared=True)


DEVICE = struct(
    "kubernetes.DRADevice",
    {
        "driver": _sized(STRING, 63),
        "allowMultipleAllocations": _sized(BOOL, 1),
        "attributes": _by_domain(_ATTRIBUTE),
        "capacity": _by_domain(_CAPACITY),
    },
    declared=True,
)


class SelectorError(ValueError):
    """An expression that is no selector; the message is the detail of the field's error."""


class UnplannedSelector(SelectorError):
    """One that compiles but cannot be made a program, which upstream takes for an error of its own."""


class Selector:
    """A compiled expression. `most` is what an evaluation may cost at most."""

    __slots__ = ("_program", "most")

    def __init__(self, program: Program) -> None:
        self._program = program
        self.most = program.estimate(_size)[1]

    def matches(self, driver: str, device: Mapping[str, Any]) -> bool:
        """Whether a device of a ResourceSlice is selected. Raises EvaluationError, also when its attributes cannot be read."""
        values = {
            "driver": driver,
            "allowMultipleAllocations": bool(device.get("allowMultipleAllocations")),
            "attributes": _domains(driver, device.get("attributes"), _attribute),
            "capacity": _domains(driver, device.get("capacity"), lambda _, capacity: quantity_value(capacity["value"])),
        }
        result, _ = self._program.evaluate({"device": values}, limit=MOST_COST)
        if not isinstance(result, bool):
            raise EvaluationError(f"CEL result of type {type(result).__name__} could not be converted to bool")
        return result


@lru_cache(maxsize=512)
def selector(expression: str) -> Selector:
    """Raises SelectorError for what does not compile or gives no boolean."""
    try:
        program = _environment().compile(expression)
    except ProgramError as error:
        raise UnplannedSelector(f"program instantiation failed: {error}") from None
    except CompileError as error:
        raise SelectorError(f"compilation failed: {error}") from None
    if program.result_type != BOOL and program.result_type.kind is not Kind.ANY:
        raise SelectorError(f"must evaluate to bool or the unknown type, not {_name(program.result_type)}")
    return Selector(program)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment({"device": DEVICE}, macros=BIND)


def _name(t: Type) -> str:
    return f"{t.name}({', '.join(map(_name, t.params))})" if t.params else t.name


def _size(path: tuple[str, ...]) -> Range | None:
    """Sizes along a path from the device; every attribute is as large as any, whatever its name."""
    if path[0] != "device":
        return None
    t: Type = DEVICE
    for name in path[1:]:
        if name in ("@items", "@values", "@keys"):
            if t.kind is not Kind.MAP:
                return None
            t = t.params[0 if name == "@keys" else 1]
        elif t.kind is Kind.STRUCT and t.fields is not None and name in t.fields:
            t = t.fields[name]
        elif t.kind is Kind.MAP and t.params[1] is _ATTRIBUTE:
            t = _ATTRIBUTE
        else:
            return None
    return Range(0, t.max_elements)


class _Domains(dict[str, dict[str, Any]]):
    """A domain that the device has nothing of is empty rather than missing."""

    def __missing__(self, key: str) -> dict[str, Any]:
        return {}


def _domains(driver: str, entries: Mapping[str, Any] | None, read: Any) -> _Domains:
    out = _Domains()
    for name, entry in (entries or {}).items():
        domain, slash, rest = name.partition("/")
        if not slash:
            domain, rest = driver, name
        out.setdefault(domain, {})[rest] = read(name, entry)
    return out


def _attribute(name: str, attribute: Mapping[str, Any]) -> Any:
    for field in ("int", "bool", "string"):
        if attribute.get(field) is not None:
            return attribute[field]
    version = attribute.get("version")
    if version is None:
        raise EvaluationError(f"attribute {name}: unsupported attribute value")
    try:
        return parse_semver(version)
    except ValueError as error:
        raise EvaluationError(f"attribute {name}: parse semantic version: {error}") from None
