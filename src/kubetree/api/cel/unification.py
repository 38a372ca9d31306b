"""Which type may stand where another is wanted, and what type variables become thereby.

Follows cel-go's checker: substitutions are tried on a copy and kept only when all of a call's arguments agree.
"""

from __future__ import annotations

from .types import (
    DYN,
    Kind,
    Type,
    is_dyn,
    is_dyn_or_error,
    list_of,
    map_of,
    opaque,
    type_of,
)

_NULLABLE = frozenset({Kind.OPAQUE, Kind.STRUCT, Kind.ANY, Kind.DURATION, Kind.TIMESTAMP})
_PLAIN = frozenset(
    {Kind.BOOL, Kind.BYTES, Kind.DOUBLE, Kind.INT, Kind.STRING, Kind.UINT, Kind.ANY, Kind.DURATION, Kind.TIMESTAMP, Kind.STRUCT}
)

Substitutions = dict[str, Type]


def assignable(found: Substitutions, given: Type, wanted: Type) -> Substitutions | None:
    """The substitutions grown by what makes `given` fit `wanted`, or None when it does not."""
    if not found and given._key == wanted._key and wanted.kind in _PLAIN:
        return found
    trial = dict(found)
    return trial if _assignable(trial, given, wanted) else None


def all_assignable(found: Substitutions, given: list[Type], wanted: tuple[Type, ...]) -> Substitutions | None:
    """Whether arguments fit parameters; what type variables become thereby, or None."""
    if len(given) != len(wanted):
        return None
    trial = dict(found)
    for one, other in zip(given, wanted, strict=True):
        if not _assignable(trial, one, other):
            return None
    return trial


def most_general(one: Type, other: Type) -> Type:
    """Of two types that agree, the one that says less."""
    return one if _at_most_as_specific(one, other) else other


def substitute(found: Substitutions, t: Type, *, free_to_dyn: bool = False) -> Type:
    """The type with its bound variables replaced, and the free ones by dyn if so wished."""
    if t.kind is Kind.PARAM:
        bound = found.get(t.name)
        if bound is not None:
            return substitute(found, bound, free_to_dyn=free_to_dyn)
        return DYN if free_to_dyn else t
    if not t.params:
        return t
    params = tuple(substitute(found, p, free_to_dyn=free_to_dyn) for p in t.params)
    if params == t.params:
        return t
    if t.kind is Kind.LIST:
        return list_of(params[0])
    if t.kind is Kind.MAP:
        return map_of(params[0], params[1])
    if t.kind is Kind.TYPE:
        return type_of(params[0])
    return opaque(t.name, *params)


def _assignable(found: Substitutions, given: Type, wanted: Type) -> bool:
    if wanted.kind is Kind.PARAM:
        valid, bound = _substitutable(found, given, wanted)
        if valid:
            return True
        if bound:
            return False
    if given.kind is Kind.PARAM:
        return _substitutable(found, wanted, given)[0]
    if is_dyn_or_error(given) or is_dyn_or_error(wanted):
        return True
    if given.kind is Kind.NULL:
        return wanted.kind in _NULLABLE or wanted.kind is Kind.NULL
    if wanted.kind is Kind.NULL:
        return given.kind in _NULLABLE
    if given.kind in _PLAIN:
        return given.kind is wanted.kind and given.name == wanted.name
    if given.kind is Kind.TYPE:
        return wanted.kind is Kind.TYPE
    return (
        given.kind is wanted.kind
        and given.name == wanted.name
        and len(given.params) == len(wanted.params)
        and all(_assignable(found, g, w) for g, w in zip(given.params, wanted.params, strict=True))
    )


def _substitutable(found: Substitutions, t: Type, variable: Type) -> tuple[bool, bool]:
    """Whether the variable may become (or already is) `t`, and whether it was bound before."""
    if t.kind is variable.kind and t == variable:
        return True, True
    bound = found.get(variable.name)
    if bound is not None:
        if t.kind is bound.kind and t == bound:
            return True, True
        if _assignable(found, t, bound):
            general = most_general(t, bound)
            if _absent(found, variable, general):
                found[variable.name] = general
            return True, True
        return False, True
    if _absent(found, variable, t):
        found[variable.name] = t
        return True, False
    return False, False


def _absent(found: Substitutions, variable: Type, within: Type) -> bool:
    """The occurs check: the variable is nowhere in the other type."""
    if variable == within:
        return False
    if within.kind is Kind.PARAM:
        bound = found.get(within.name)
        return bound is None or _absent(found, variable, bound)
    return all(_absent(found, variable, p) for p in within.params)


def _at_most_as_specific(one: Type, other: Type) -> bool:
    if is_dyn(one) or one.kind is Kind.PARAM:
        return True
    if is_dyn(other) or other.kind is Kind.PARAM:
        return False
    if one.kind is not other.kind:
        return False
    if one.kind is Kind.TYPE:
        return True
    if one.params or other.params:
        return (
            one.name == other.name
            and len(one.params) == len(other.params)
            and all(_at_most_as_specific(a, b) for a, b in zip(one.params, other.params, strict=True))
        )
    return one == other
