"""What is refused after type checking: literals of durations, times and patterns that cannot be read, and literals of mixed types."""

from __future__ import annotations

from kubetree.api.go_regex import compiled

from .checker import Checker
from .errors import EvaluationError
from .formatting import WRONG, FormatError, walk
from .operations import convert
from .tree import Call, Expr, ListExpr, Literal, MapExpr, children
from .types import DURATION, TIMESTAMP, Kind, Type


def validate(root: Expr, checked: Checker) -> None:
    """Notes an issue for every fault. Follows the validators that Kubernetes' environment turns on, in their order."""
    nodes = _all(root)
    calls = [node for node in nodes if isinstance(node, Call)]
    for name, reads in (("duration", _is_duration), ("timestamp", _is_timestamp), ("matches", _is_pattern)):
        for call in calls:
            if call.function == name and call.args and isinstance(call.args[0], Literal) and not reads(call.args[0].value):
                checked.issue(call.args[0].id, f"invalid {name} argument")
    _homogeneous(nodes, checked)
    for call in calls:
        if call.function == "format" and isinstance(call.target, Literal) and len(call.args) == 1 and isinstance(call.args[0], ListExpr):
            _formats(call, call.target.value, call.args[0].elements, checked)


def _all(e: Expr) -> list[Expr]:
    out = [e]
    for node in out:
        out.extend(children(node))
    return out


def _is_duration(value: object) -> bool:
    return _converts(value, DURATION)


def _is_timestamp(value: object) -> bool:
    return _converts(value, TIMESTAMP)


def _converts(value: object, t: Type) -> bool:
    try:
        convert(value, t)
    except EvaluationError:
        return False
    return True


def _is_pattern(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        compiled(value)
    except ValueError:
        return False
    return True


_FORMATTED: dict[str, frozenset[Kind]] = {
    "s": frozenset(
        {
            Kind.LIST,
            Kind.MAP,
            Kind.INT,
            Kind.UINT,
            Kind.DOUBLE,
            Kind.BOOL,
            Kind.STRING,
            Kind.TIMESTAMP,
            Kind.BYTES,
            Kind.DURATION,
            Kind.TYPE,
            Kind.NULL,
        }
    ),
    "d": frozenset({Kind.INT, Kind.UINT}),
    "f": frozenset({Kind.DOUBLE, Kind.STRING}),
    "e": frozenset({Kind.DOUBLE, Kind.STRING}),
    "b": frozenset({Kind.INT, Kind.UINT, Kind.BOOL}),
    "x": frozenset({Kind.INT, Kind.UINT, Kind.STRING, Kind.BYTES}),
    "X": frozenset({Kind.INT, Kind.UINT, Kind.STRING, Kind.BYTES}),
    "o": frozenset({Kind.INT, Kind.UINT}),
}


class _Unfit(Exception):
    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def _formats(call: Call, text: object, args: list[Expr], checked: Checker) -> None:
    """That a literal format and its literal arguments fit."""
    if not isinstance(text, str):
        return
    used = 0

    def write(letter: str, _: int | None, index: int) -> str:
        nonlocal used
        used += 1
        for e in _parts(args[index]) if letter == "s" else (args[index],):
            t = checked.types[e.id]
            if not (t.kind is Kind.DYN or t.kind in _FORMATTED[letter]):
                raise _Unfit(e.id, f"error during formatting: {WRONG[letter].format(t.name)}")
        return ""

    try:
        walk(text, len(args), write)
    except _Unfit as unfit:
        checked.issue(unfit.number, str(unfit))
        return
    except FormatError as error:
        checked.issue(call.id, error.message)
        return
    if len(args) > used:
        checked.issue(call.id, f"too many arguments supplied to string.format (expected {used}, got {len(args)})")


def _parts(e: Expr) -> list[Expr]:
    """A literal list or map with all that is in it, the innermost last."""
    if isinstance(e, ListExpr | MapExpr):
        return [e, *(part for child in children(e) for part in _parts(child))]
    return [e]


def _homogeneous(nodes: list[Expr], checked: Checker) -> None:
    exempt = {id(node) for call in nodes if isinstance(call, Call) and call.function == "format" for node in _all(call)}
    for node in nodes:
        if id(node) in exempt:
            continue
        if isinstance(node, ListExpr):
            kinds = [(e, _element(checked, e, at in node.optionals)) for at, e in enumerate(node.elements)]
            for element, t in kinds[1:]:
                if not equivalent(kinds[0][1], t):
                    checked.mismatch(element, kinds[0][1], t)
                    break
    for node in nodes:
        if isinstance(node, MapExpr) and id(node) not in exempt and node.entries:
            first = node.entries[0]
            key_type, value_type = checked.types[first.key.id], _element(checked, first.value, first.optional)
            for _, key, value, optional in node.entries[1:]:
                if not equivalent(key_type, checked.types[key.id]):
                    checked.mismatch(key, key_type, checked.types[key.id])
                t = _element(checked, value, optional)
                if not equivalent(value_type, t):
                    checked.mismatch(value, value_type, t)


def _element(checked: Checker, e: Expr, optional: bool) -> Type:
    t = checked.types[e.id]
    return t.params[0] if optional and t.params else t


def equivalent(one: Type, other: Type) -> bool:
    if one.kind is not other.kind or len(one.params) != len(other.params):
        return False
    if one.kind is not Kind.PARAM and one.name != other.name:
        return False
    return all(equivalent(a, b) for a, b in zip(one.params, other.params, strict=True))
