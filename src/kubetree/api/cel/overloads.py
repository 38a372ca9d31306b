"""Which implementation runs a call. Where the checker knew the types it is settled before anything runs; values of dyn are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .declarations import Function, Implementation, Overload
from .errors import EvaluationError
from .numbers import UInt
from .types import Kind, Type
from .values import contains, is_list, is_map, no_such_overload, type_of_value


def implementation_of(function: Function, ids: list[str]) -> tuple[Implementation, bool]:
    """What runs a call that the checker found the overloads `ids` for, and whether it is bound as a function of any number of arguments."""
    if function.run is not None:
        return function.run, False
    chosen = [o for o in function.overloads if o.id in ids]
    if len(chosen) == 1 or len(function.overloads) == 1:
        only = chosen[0] if chosen else function.overloads[0]
        assert only.run is not None
        return _guarded(function.name, only), only.variadic
    return _dispatch(function), True


def in_strict_map(key: Any, container: Any) -> bool:
    """`key in map` where a schema says that keys are strings."""
    if type(key) is not str:
        raise no_such_overload()
    return contains(container, key)


def of_text(run: Implementation | None) -> Implementation:
    """A function of a constant pattern: upstream's takes anything that is a string inside, types' names too."""

    def checked(text: Any, *args: Any) -> Any:
        if isinstance(text, Type):
            text = text.name
        if type(text) is not str or run is None:
            raise no_such_overload()
        return run(text, *args)

    return checked


def _guarded(name: str, overload: Overload) -> Implementation:
    """The overload, for values that are of its types: dyn may have hidden others from the checker."""
    wanted, run = overload.args, overload.run
    assert run is not None
    if name in ("contains", "endsWith", "startsWith", "flatten") or not wanted:
        return run
    plain = [_PLAIN.get(t.kind) for t in wanted]
    if len(wanted) == 1 and plain[0] is not None:
        (only,) = plain

        def one(value: Any) -> Any:
            if type(value) is not only:
                raise _no_overload(name, (value,))
            return run(value)

        return one

    def checked(*args: Any) -> Any:
        for t, value in zip(wanted, args, strict=True):
            if not fits(t, value):
                raise _no_overload(name, args)
        return run(*args)

    return checked


def _dispatch(function: Function) -> Implementation:
    def run(*args: Any) -> Any:
        for overload in function.overloads:
            if (
                overload.run is not None
                and len(overload.args) == len(args)
                and all(fits(t, value) for t, value in zip(overload.args, args, strict=True))
            ):
                return overload.run(*args)
        raise _no_overload(function.name, args)

    return run


_PLAIN: Mapping[Kind, type] = {Kind.STRING: str, Kind.INT: int, Kind.BOOL: bool, Kind.DOUBLE: float, Kind.UINT: UInt, Kind.BYTES: bytes}


def _no_overload(name: str, args: tuple[Any, ...]) -> EvaluationError:
    return EvaluationError(f"no such overload: {name}({', '.join(type_of_value(arg).name for arg in args)})")


def fits(t: Type, value: Any) -> bool:
    """Whether a value may stand for a type; of lists and maps the first element is asked."""
    if t.kind in (Kind.DYN, Kind.ANY, Kind.PARAM):
        return True
    if t.name != type_of_value(value).name:
        return False
    if t.kind is Kind.LIST and is_list(value):
        return len(value) == 0 or fits(t.params[0], value[0])
    if t.kind is Kind.MAP and is_map(value) and len(value):
        key = next(iter(value))
        return fits(t.params[0], key) and fits(t.params[1], value[key])
    return True
