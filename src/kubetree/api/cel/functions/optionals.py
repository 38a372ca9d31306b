"""Optional values: `optional.of`, `a.?b`, `orValue`, `first`, `last` and the rest of cel-go's library."""

from __future__ import annotations

from typing import Any

from ..declarations import function, method, overload, table
from ..errors import EvaluationError
from ..go_text import show
from ..types import BOOL, DYN, INT, STRING, list_of, map_of, optional_of, param
from ..values import NONE, Duration, Optional, Timestamp, is_list, is_map, no_such_overload

K, V = param("K"), param("V")
OPTIONAL_V, LIST_V, MAP_KV = optional_of(V), list_of(V), map_of(K, V)
_GO_ZERO_TIME = -62_135_596_800 * 10**9


def _of_non_zero(value: Any) -> Optional:
    return NONE if _is_zero(value) else Optional(value)


def _is_zero(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, bool | int | float | str | bytes):
        return not value
    if is_list(value) or is_map(value):
        return len(value) == 0 and type(value) in (list, dict)
    if isinstance(value, Duration):
        return value.nanos == 0
    return isinstance(value, Timestamp) and value.nanos == _GO_ZERO_TIME


def value_of(optional: Any) -> Any:
    if type(optional) is not Optional:
        raise no_such_overload()
    if optional is NONE:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _has_value(optional: Any) -> bool:
    if type(optional) is not Optional:
        raise no_such_overload()
    return optional is not NONE


def _unwrap(values: Any) -> list[Any]:
    out = []
    for value in values:
        if type(value) is not Optional:
            raise EvaluationError(f"value {show(value)} is not optional")
        if value is not NONE:
            out.append(value.value)
    return out


def _end(at: int) -> Any:
    return lambda values: Optional(values[at if at == 0 else len(values) - 1]) if len(values) else NONE


OPTIONALS = table(
    function("optional.of", overload("optional_of", (V,), OPTIONAL_V, Optional)),
    function("optional.ofNonZeroValue", overload("optional_ofNonZeroValue", (V,), OPTIONAL_V, _of_non_zero)),
    function("optional.none", overload("optional_none", (), OPTIONAL_V, lambda: NONE, variadic=True)),
    function("value", method("optional_value", (OPTIONAL_V,), V, value_of)),
    function("hasValue", method("optional_hasValue", (OPTIONAL_V,), BOOL, _has_value)),
    function("or", method("optional_or_optional", (OPTIONAL_V, OPTIONAL_V), OPTIONAL_V)),
    function("orValue", method("optional_orValue_value", (OPTIONAL_V, V), V)),
    function("_?._", overload("select_optional_field", (DYN, STRING), OPTIONAL_V)),
    function(
        "_[?_]",
        overload("list_optindex_optional_int", (LIST_V, INT), OPTIONAL_V),
        overload("optional_list_optindex_optional_int", (optional_of(LIST_V), INT), OPTIONAL_V),
        overload("map_optindex_optional_value", (MAP_KV, K), OPTIONAL_V),
        overload("optional_map_optindex_optional_value", (optional_of(MAP_KV), K), OPTIONAL_V),
    ),
    function(
        "_[_]",
        overload("optional_list_index_int", (optional_of(LIST_V), INT), OPTIONAL_V),
        overload("optional_map_index_value", (optional_of(MAP_KV), K), OPTIONAL_V),
    ),
    function("last", method("list_last", (LIST_V,), OPTIONAL_V, _end(-1))),
    function("first", method("list_first", (LIST_V,), OPTIONAL_V, _end(0))),
    function("optional.unwrap", overload("optional_unwrap", (list_of(OPTIONAL_V),), LIST_V, _unwrap)),
    function("unwrapOpt", method("optional_unwrapOpt", (list_of(OPTIONAL_V),), LIST_V, _unwrap)),
)
