"""The operators and conversions of the language on values, with 64 bits' limits and cel-go's errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import EvaluationError
from .floats import general
from .go_text import show
from .moments import in_range, parse_duration, parse_timestamp, seconds_text, timestamp_text
from .numbers import INT_MAX, INT_MIN, UINT_MAX, UInt
from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Type,
)
from .values import (
    FIRST_SECOND,
    LAST_SECOND,
    NANOS,
    Duration,
    Timestamp,
    TypedList,
    compare_numbers,
    is_list,
    list_key,
    native,
    no_such_overload,
    type_of_value,
)

# arithmetic


def whole(value: int) -> int:
    """Raises EvaluationError for what 64 bits do not hold."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def unsigned(value: int) -> UInt:
    """Raises EvaluationError for what 64 bits without sign do not hold."""
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow")


def span(nanos: int) -> Duration:
    if INT_MIN <= nanos <= INT_MAX:
        return Duration(nanos)
    raise EvaluationError("duration overflow")


def moment(nanos: int, offset: int = 0) -> Timestamp:
    new = Timestamp(nanos, offset)
    if in_range(new):
        return new
    raise EvaluationError("timestamp overflow")


def add(one: Any, other: Any) -> Any:
    """`one + other`: numbers, texts, lists, spans, and a point in time with a span."""
    kind, kind2 = type(one), type(other)
    if kind is kind2:
        if kind is int:
            return whole(one + other)
        if kind is str or kind is bytes or kind is float:
            return one + other
        if kind is UInt:
            return unsigned(int(one) + int(other))
        if kind is Duration:
            return span(one.nanos + other.nanos)
    if kind is Timestamp and kind2 is Duration:
        return moment(one.nanos + other.nanos, one.offset)
    if kind is Duration and kind2 is Timestamp:
        return moment(one.nanos + other.nanos, other.offset)
    if is_list(one):
        return add_lists(one, other)
    raise unsupported("_+_", one, (BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT))


def add_lists(one: Any, other: Any) -> Any:
    """Concatenation; with x-kubernetes-list-type=set a union, with map a merge by key."""
    if not is_list(other):
        raise no_such_overload()
    if type(one) is list:
        if not one:
            return other
        return one + (other if type(other) is list else list(other)) if len(other) else one
    items = list(one.raw)
    keys = one.list_keys
    if keys is None:
        items.extend(native(value) for value in other)
    elif not keys:
        known = {(type(item) is bool, item) for item in items}
        for value in other:
            item = native(value)
            if (type(item) is bool, item) not in known:
                known.add((type(item) is bool, item))
                items.append(item)
    else:
        places = {list_key(item, keys): at for at, item in enumerate(items)}
        for value in other:
            item = native(value)
            at = places.get(list_key(item, keys))
            if at is None:
                items.append(item)
            else:
                items[at] = item
    return TypedList(items, one.read, keys)


def subtract(one: Any, other: Any) -> Any:
    kind, kind2 = type(one), type(other)
    if kind is kind2:
        if kind is int:
            return whole(one - other)
        if kind is float:
            return one - other
        if kind is UInt:
            return unsigned(int(one) - int(other))
        if kind is Duration:
            return span(one.nanos - other.nanos)
        if kind is Timestamp:
            return span(one.nanos - other.nanos)
    if kind is Timestamp and kind2 is Duration:
        return moment(one.nanos - other.nanos, one.offset)
    raise unsupported("_-_", one, (DOUBLE, DURATION, INT, TIMESTAMP, UINT))


def multiply(one: Any, other: Any) -> Any:
    kind = type(one)
    if kind is type(other):
        if kind is int:
            return whole(one * other)
        if kind is float:
            return one * other
        if kind is UInt:
            return unsigned(int(one) * int(other))
    raise unsupported("_*_", one, (DOUBLE, INT, UINT))


def divide(one: Any, other: Any) -> Any:
    kind = type(one)
    if kind is type(other):
        if kind is float:
            return _divide_floats(one, other)
        if kind is int or kind is UInt:
            if other == 0:
                raise EvaluationError("division by zero")
            quotient = abs(int(one)) // abs(int(other))
            if kind is UInt:
                return UInt(quotient)
            return whole(quotient if (one < 0) == (other < 0) else -quotient)
    raise unsupported("_/_", one, (DOUBLE, INT, UINT))


def _divide_floats(one: float, other: float) -> float:
    if other != 0:
        return one / other
    if one != one or one == 0:
        return float("nan")
    negative = (one < 0) != (str(other)[0] == "-")
    return float("-inf") if negative else float("inf")


def modulo(one: Any, other: Any) -> Any:
    kind = type(one)
    if kind is type(other) and (kind is int or kind is UInt):
        if other == 0:
            raise EvaluationError("modulus by zero")
        if kind is int and one == INT_MIN and other == -1:
            raise EvaluationError("integer overflow")
        rest = abs(int(one)) % abs(int(other))
        return UInt(rest) if kind is UInt else (-rest if one < 0 else rest)
    raise unsupported("_%_", one, (INT, UINT))


def negate(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        return whole(-value)
    if kind is float:
        return -value
    if kind is Duration:
        return span(-value.nanos)
    if kind is bool:
        raise no_such_overload()
    raise unsupported("-_", value, ())


def unsupported(operator: str, one: Any, able: tuple[Type, ...] = ()) -> EvaluationError:
    """What an operator or function says of a first operand that it cannot take; `able` are the types it can."""
    return no_such_overload() if type_of_value(one) in (*able, *_RECEIVERS) else EvaluationError(f"no such overload: {operator}")


_RECEIVERS = (STRING, DURATION, TIMESTAMP)
"""Types that upstream asks for a method of the operator's name, and that then say no in other words."""


# order


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1. Raises EvaluationError for what has no order, NaN included."""
    kind, kind2 = type(one), type(other)
    if kind in _NUMBERS:
        if kind2 not in _NUMBERS:
            raise no_such_overload()
        order = compare_numbers(one, other)
        if order == 2:
            raise EvaluationError("NaN values cannot be ordered")
        return order
    if kind is kind2:
        if kind is str or kind is bytes or kind is bool:
            return int(one > other) - int(one < other)
        if kind is Duration or kind is Timestamp:
            return int(one.nanos > other.nanos) - int(one.nanos < other.nanos)
    if kind in _COMPARABLE:
        raise no_such_overload()
    raise EvaluationError("no such overload: _<_")


_NUMBERS = frozenset({int, UInt, float})
_COMPARABLE = frozenset({str, bytes, bool, Duration, Timestamp})


def ordering(operator: str, accept: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    """`<` and its kin. `accept` takes -1, 0 or 1: how the left side compares with the right."""

    def run(one: Any, other: Any) -> bool:
        if type(one) not in _NUMBERS and type(one) not in _COMPARABLE:
            raise EvaluationError(f"no such overload: {operator}")
        return accept(compare(one, other))

    return run


less = ordering("_<_", lambda order: order < 0)
less_equals = ordering("_<=_", lambda order: order <= 0)
greater = ordering("_>_", lambda order: order > 0)
greater_equals = ordering("_>=_", lambda order: order >= 0)


# conversions


def convert(value: Any, wanted: Type) -> Any:
    """`int(value)`, `string(value)`, ... Raises EvaluationError for what cannot become the other."""
    found = _CONVERSIONS.get((type(value), wanted.kind))
    if found is not None:
        return found(value)
    if wanted is TYPE:
        return type_of_value(value)
    if type_of_value(value) == wanted:
        return value
    if isinstance(value, Type) and wanted is STRING:
        return value.name
    text = getattr(value, "cel_string", None)
    if wanted is STRING and text is not None:
        return text()
    raise conversion_error(value, wanted)


def conversion_error(value: Any, wanted: Type) -> EvaluationError:
    return EvaluationError(f"type conversion error from '{_name(type_of_value(value))}' to '{_name(wanted)}'")


def _name(t: Type) -> str:
    return {"null_type": "null_type"}.get(t.name, t.name) if not t.params else f"{t.name}({', '.join(_name(p) for p in t.params)})"


def _int_of_float(value: float) -> int:
    if value != value or value in (float("inf"), float("-inf")) or value <= float(INT_MIN) or value >= float(INT_MAX):
        raise EvaluationError("integer overflow")
    return int(value)


def _uint_of_float(value: float) -> UInt:
    if value != value or value in (float("inf"), float("-inf")) or value < 0 or value >= float(UINT_MAX):
        raise EvaluationError("unsigned integer overflow")
    return UInt(int(value))


def _int_of_uint(value: UInt) -> int:
    return whole(int(value))


def _timestamp_of_int(seconds: int) -> Timestamp:
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise EvaluationError("timestamp overflow")
    return Timestamp(seconds * NANOS)


def _parsed(wanted: Type, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def run(text: str) -> Any:
        found = parse(text)
        if found is None:
            raise conversion_error(text, wanted)
        return found

    return run


def _parse_int(text: str) -> int | None:
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        return None
    value = int(text)
    return value if INT_MIN <= value <= INT_MAX else None


def _parse_uint(text: str) -> UInt | None:
    if re.fullmatch(r"[0-9]+", text) is None:
        return None
    value = int(text)
    return UInt(value) if value <= UINT_MAX else None


_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")


def _parse_double(text: str) -> float | None:
    if _HEX_FLOAT.fullmatch(text):
        return float.fromhex(text)
    if _FLOAT.fullmatch(text) is None or (text[:1] in "+-" and text[1:].lower() == "nan"):
        return None
    value = float(text)
    overflowed = value in (float("inf"), float("-inf")) and "inf" not in text.lower()
    return None if overflowed else value


_BOOLS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


def _parse_timestamp(text: str) -> Timestamp | None:
    found = parse_timestamp(text)
    if found is not None and not in_range(found):
        raise EvaluationError("timestamp overflow")
    return found


def _text_of_bytes(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _same(value: Any) -> Any:
    return value


_CONVERSIONS: Mapping[tuple[type, Any], Callable[[Any], Any]] = {
    (int, INT.kind): _same,
    (int, UINT.kind): unsigned,
    (int, DOUBLE.kind): float,
    (int, STRING.kind): str,
    (int, TIMESTAMP.kind): _timestamp_of_int,
    (int, DURATION.kind): Duration,
    (UInt, UINT.kind): _same,
    (UInt, INT.kind): _int_of_uint,
    (UInt, DOUBLE.kind): float,
    (UInt, STRING.kind): lambda value: str(int(value)),
    (float, DOUBLE.kind): _same,
    (float, INT.kind): _int_of_float,
    (float, UINT.kind): _uint_of_float,
    (float, STRING.kind): general,
    (str, STRING.kind): _same,
    (str, INT.kind): _parsed(INT, _parse_int),
    (str, UINT.kind): _parsed(UINT, _parse_uint),
    (str, DOUBLE.kind): _parsed(DOUBLE, _parse_double),
    (str, BOOL.kind): _parsed(BOOL, _BOOLS.get),
    (str, BYTES.kind): lambda text: text.encode("utf-8", "surrogatepass"),
    (str, DURATION.kind): _parsed(DURATION, parse_duration),
    (str, TIMESTAMP.kind): _parsed(TIMESTAMP, _parse_timestamp),
    (bytes, BYTES.kind): _same,
    (bytes, STRING.kind): _text_of_bytes,
    (bool, BOOL.kind): _same,
    (bool, STRING.kind): lambda value: "true" if value else "false",
    (Duration, DURATION.kind): _same,
    (Duration, STRING.kind): lambda value: seconds_text(value.nanos),
    (Duration, INT.kind): lambda value: value.nanos,
    (Timestamp, TIMESTAMP.kind): _same,
    (Timestamp, STRING.kind): timestamp_text,
    (Timestamp, INT.kind): lambda value: value.nanos // NANOS,
    (type(None), STRING.kind): lambda _: "null",
}


def list_index(index: Any) -> int:
    """The place an index names. Raises EvaluationError with cel-go's words for what is no index."""
    kind = type(index)
    if kind is int or kind is UInt:
        if index > INT_MAX:
            raise EvaluationError(f"unsupported index value {show(index)} in list")
        return int(index)
    if kind is float:
        if index == index and abs(index) < 2.0**63 and index == int(index):
            return int(index)
        raise EvaluationError(f"unsupported index value {show(index)} in list")
    raise EvaluationError(f"unsupported index type '{_name(type_of_value(index))}' in list")
