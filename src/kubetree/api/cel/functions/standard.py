"""CEL's own functions: operators, conversions, strings, time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.go_regex import compiled

from ..declarations import Function, Overload, function, method, overload, table
from ..errors import EvaluationError
from ..moments import civil
from ..operations import (
    add,
    convert,
    divide,
    greater,
    greater_equals,
    less,
    less_equals,
    modulo,
    multiply,
    negate,
    subtract,
    unsupported,
)
from ..types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Type,
    list_of,
    map_of,
    param,
    type_of,
)
from ..values import Duration, Timestamp, contains, equal, no_such_overload

A, B = param("A"), param("B")
LIST_A, MAP_AB = list_of(A), map_of(A, B)


def _not_equal(one: Any, other: Any) -> bool:
    return not equal(one, other)


def _not(value: Any) -> bool:
    if type(value) is not bool:
        raise no_such_overload()
    return not value


def _in(value: Any, container: Any) -> bool:
    return contains(container, value)


def _size(value: Any) -> int:
    try:
        return len(value)
    except TypeError:
        raise unsupported("size", value) from None


def _same(value: Any) -> Any:
    return value


def _to(wanted: Type) -> Callable[[Any], Any]:
    return lambda value: convert(value, wanted)


def _matches(text: Any, pattern: Any) -> bool:
    if type(text) is not str:
        raise unsupported("matches", text)
    if type(pattern) is not str:
        raise no_such_overload()
    try:
        return compiled(pattern).found(text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _of_strings(run: Callable[[str, str], Any]) -> Callable[[Any, Any], Any]:
    def checked(one: Any, other: Any) -> Any:
        if type(one) is str and type(other) is str:
            return run(one, other)
        raise no_such_overload()

    return checked


_ORDERED = (
    ("bool", BOOL, BOOL),
    ("int64", INT, INT),
    ("int64_double", INT, DOUBLE),
    ("int64_uint64", INT, UINT),
    ("uint64", UINT, UINT),
    ("uint64_double", UINT, DOUBLE),
    ("uint64_int64", UINT, INT),
    ("double", DOUBLE, DOUBLE),
    ("double_int64", DOUBLE, INT),
    ("double_uint64", DOUBLE, UINT),
    ("string", STRING, STRING),
    ("bytes", BYTES, BYTES),
    ("timestamp", TIMESTAMP, TIMESTAMP),
    ("duration", DURATION, DURATION),
)


def _order(operator: str, word: str, run: Callable[[Any, Any], bool]) -> Function:
    return function(operator, *(overload(f"{word}_{kind}", (one, other), BOOL) for kind, one, other in _ORDERED), run=run)


def _conversion(name: str, result: Type, *kinds: tuple[str, Type]) -> Function:
    return function(name, *(overload(id, (t,), result, _same if t == result else _to(result)) for id, t in kinds))


def _part(name: str, id: str, read: Callable[[Any, Timestamp], int], *more: Overload, zone_id: str = "") -> Function:
    def plain(value: Timestamp) -> int:
        return read(civil(value, None), value)

    def zoned(value: Timestamp, zone: str) -> int:
        return read(civil(value, zone), value)

    return function(
        name,
        method(id, (TIMESTAMP,), INT, plain),
        method(zone_id or f"{id}_with_tz", (TIMESTAMP, STRING), INT, zoned),
        *more,
    )


def _units(id: str, nanos: int) -> Overload:
    def run(value: Duration) -> int:
        whole = abs(value.nanos) // nanos
        return whole if value.nanos >= 0 else -whole

    return method(id, (DURATION,), INT, run)


STANDARD = table(
    function("_?_:_", overload("conditional", (BOOL, A, A), A)),
    function("_&&_", overload("logical_and", (BOOL, BOOL), BOOL)),
    function("_||_", overload("logical_or", (BOOL, BOOL), BOOL)),
    function("!_", overload("logical_not", (BOOL,), BOOL), run=_not),
    function("@not_strictly_false", overload("not_strictly_false", (BOOL,), BOOL)),
    function("_==_", overload("equals", (A, A), BOOL), run=equal),
    function("_!=_", overload("not_equals", (A, A), BOOL), run=_not_equal),
    function(
        "_+_",
        overload("add_bytes", (BYTES, BYTES), BYTES),
        overload("add_double", (DOUBLE, DOUBLE), DOUBLE),
        overload("add_duration_duration", (DURATION, DURATION), DURATION),
        overload("add_duration_timestamp", (DURATION, TIMESTAMP), TIMESTAMP),
        overload("add_timestamp_duration", (TIMESTAMP, DURATION), TIMESTAMP),
        overload("add_int64", (INT, INT), INT),
        overload("add_list", (LIST_A, LIST_A), LIST_A),
        overload("add_string", (STRING, STRING), STRING),
        overload("add_uint64", (UINT, UINT), UINT),
        run=add,
    ),
    function(
        "_/_",
        overload("divide_double", (DOUBLE, DOUBLE), DOUBLE),
        overload("divide_int64", (INT, INT), INT),
        overload("divide_uint64", (UINT, UINT), UINT),
        run=divide,
    ),
    function("_%_", overload("modulo_int64", (INT, INT), INT), overload("modulo_uint64", (UINT, UINT), UINT), run=modulo),
    function(
        "_*_",
        overload("multiply_double", (DOUBLE, DOUBLE), DOUBLE),
        overload("multiply_int64", (INT, INT), INT),
        overload("multiply_uint64", (UINT, UINT), UINT),
        run=multiply,
    ),
    function("-_", overload("negate_double", (DOUBLE,), DOUBLE), overload("negate_int64", (INT,), INT), run=negate),
    function(
        "_-_",
        overload("subtract_double", (DOUBLE, DOUBLE), DOUBLE),
        overload("subtract_duration_duration", (DURATION, DURATION), DURATION),
        overload("subtract_int64", (INT, INT), INT),
        overload("subtract_timestamp_duration", (TIMESTAMP, DURATION), TIMESTAMP),
        overload("subtract_timestamp_timestamp", (TIMESTAMP, TIMESTAMP), DURATION),
        overload("subtract_uint64", (UINT, UINT), UINT),
        run=subtract,
    ),
    _order("_<_", "less", less),
    _order("_<=_", "less_equals", less_equals),
    _order("_>_", "greater", greater),
    _order("_>=_", "greater_equals", greater_equals),
    function("_[_]", overload("index_list", (LIST_A, INT), A), overload("index_map", (MAP_AB, A), B)),
    function("@in", overload("in_list", (A, LIST_A), BOOL), overload("in_map", (A, MAP_AB), BOOL), run=_in),
    function(
        "size",
        overload("size_bytes", (BYTES,), INT),
        method("bytes_size", (BYTES,), INT),
        overload("size_list", (LIST_A,), INT),
        method("list_size", (LIST_A,), INT),
        overload("size_map", (MAP_AB,), INT),
        method("map_size", (MAP_AB,), INT),
        overload("size_string", (STRING,), INT),
        method("string_size", (STRING,), INT),
        run=_size,
    ),
    function("type", overload("type", (A,), type_of(A)), run=_to(TYPE)),
    _conversion("bool", BOOL, ("bool_to_bool", BOOL), ("string_to_bool", STRING)),
    _conversion("bytes", BYTES, ("bytes_to_bytes", BYTES), ("string_to_bytes", STRING)),
    _conversion(
        "double",
        DOUBLE,
        ("double_to_double", DOUBLE),
        ("int64_to_double", INT),
        ("string_to_double", STRING),
        ("uint64_to_double", UINT),
    ),
    _conversion("duration", DURATION, ("duration_to_duration", DURATION), ("int64_to_duration", INT), ("string_to_duration", STRING)),
    function("dyn", overload("to_dyn", (A,), DYN), run=_same),
    _conversion(
        "int",
        INT,
        ("int64_to_int64", INT),
        ("double_to_int64", DOUBLE),
        ("duration_to_int64", DURATION),
        ("string_to_int64", STRING),
        ("timestamp_to_int64", TIMESTAMP),
        ("uint64_to_int64", UINT),
    ),
    _conversion(
        "string",
        STRING,
        ("string_to_string", STRING),
        ("bool_to_string", BOOL),
        ("bytes_to_string", BYTES),
        ("double_to_string", DOUBLE),
        ("duration_to_string", DURATION),
        ("int64_to_string", INT),
        ("timestamp_to_string", TIMESTAMP),
        ("uint64_to_string", UINT),
    ),
    _conversion(
        "timestamp", TIMESTAMP, ("timestamp_to_timestamp", TIMESTAMP), ("int64_to_timestamp", INT), ("string_to_timestamp", STRING)
    ),
    _conversion(
        "uint", UINT, ("uint64_to_uint64", UINT), ("double_to_uint64", DOUBLE), ("int64_to_uint64", INT), ("string_to_uint64", STRING)
    ),
    function("contains", method("contains_string", (STRING, STRING), BOOL, _of_strings(lambda text, part: part in text))),
    function("endsWith", method("ends_with_string", (STRING, STRING), BOOL, _of_strings(lambda text, part: text.endswith(part)))),
    function("startsWith", method("starts_with_string", (STRING, STRING), BOOL, _of_strings(lambda text, part: text.startswith(part)))),
    function(
        "matches",
        overload("matches", (STRING, STRING), BOOL),
        method("matches_string", (STRING, STRING), BOOL),
        run=_matches,
    ),
    _part("getFullYear", "timestamp_to_year", lambda at, _: at.year),
    _part("getMonth", "timestamp_to_month", lambda at, _: at.month - 1),
    _part("getDayOfYear", "timestamp_to_day_of_year", lambda at, _: at.timetuple().tm_yday - 1),
    _part("getDayOfMonth", "timestamp_to_day_of_month", lambda at, _: at.day - 1),
    _part("getDate", "timestamp_to_day_of_month_1_based", lambda at, _: at.day),
    _part("getDayOfWeek", "timestamp_to_day_of_week", lambda at, _: at.isoweekday() % 7),
    _part("getHours", "timestamp_to_hours", lambda at, _: at.hour, _units("duration_to_hours", 3600 * 10**9)),
    _part("getMinutes", "timestamp_to_minutes", lambda at, _: at.minute, _units("duration_to_minutes", 60 * 10**9)),
    _part(
        "getSeconds",
        "timestamp_to_seconds",
        lambda at, _: at.second,
        _units("duration_to_seconds", 10**9),
        zone_id="timestamp_to_seconds_tz",
    ),
    _part(
        "getMilliseconds",
        "timestamp_to_milliseconds",
        lambda _, value: value.nanos % 10**9 // 10**6,
        _units("duration_to_milliseconds", 10**6),
    ),
)
