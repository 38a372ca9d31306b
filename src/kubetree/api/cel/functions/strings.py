"""cel-go's string library, version 2: charAt, indexOf, replace, split, substring, join, quote and the like."""

from __future__ import annotations

from typing import Any

from ..declarations import function, method, overload, table
from ..errors import EvaluationError
from ..formatting import format_string
from ..go_text import show
from ..types import DYN, INT, STRING, list_of

_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}
_UPPER = {lower: upper for upper, lower in _LOWER.items()}
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_QUOTED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}


def _out_of_range(index: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {index}")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if part == "":
        return start
    if start < 0:
        raise _out_of_range(start)
    return text.find(part, start)


def _last_index_of(text: str, part: str) -> int:
    return len(text) if part == "" else text.rfind(part)


def _last_index_before(text: str, part: str, start: int) -> int:
    if part == "":
        return start
    if start < 0:
        raise _out_of_range(start)
    return -1 if start >= len(text) else text.rfind(part, 0, start + len(part))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if separator == "":
        parts = list(text)
        return parts if count < 0 or len(parts) <= count else [*parts[: count - 1], "".join(parts[count - 1 :])]
    return text.split(separator, count - 1 if count > 0 else -1)


def _substring(text: str, start: int) -> str:
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    return text[start:]


def _substring_between(text: str, start: int, end: int) -> str:
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, end):
        if not 0 <= index <= len(text):
            raise _out_of_range(index)
    return text[start:end]


def _join(parts: Any, separator: str = "") -> str:
    for part in parts:
        if type(part) is not str:
            raise EvaluationError(f"join: invalid input: {show(part)}")
    return separator.join(parts)


def _quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(c, c) for c in text) + '"'


STRINGS = table(
    function("charAt", method("string_char_at_int", (STRING, INT), STRING, _char_at)),
    function(
        "indexOf",
        method("string_index_of_string", (STRING, STRING), INT, _index_of),
        method("string_index_of_string_int", (STRING, STRING, INT), INT, _index_of, variadic=True),
    ),
    function(
        "lastIndexOf",
        method("string_last_index_of_string", (STRING, STRING), INT, _last_index_of),
        method("string_last_index_of_string_int", (STRING, STRING, INT), INT, _last_index_before, variadic=True),
    ),
    function("lowerAscii", method("string_lower_ascii", (STRING,), STRING, lambda text: text.translate(_LOWER))),
    function(
        "replace",
        method("string_replace_string_string", (STRING, STRING, STRING), STRING, _replace, variadic=True),
        method("string_replace_string_string_int", (STRING, STRING, STRING, INT), STRING, _replace, variadic=True),
    ),
    function(
        "split",
        method("string_split_string", (STRING, STRING), list_of(STRING), _split),
        method("string_split_string_int", (STRING, STRING, INT), list_of(STRING), _split, variadic=True),
    ),
    function(
        "substring",
        method("string_substring_int", (STRING, INT), STRING, _substring),
        method("string_substring_int_int", (STRING, INT, INT), STRING, _substring_between, variadic=True),
    ),
    function("trim", method("string_trim", (STRING,), STRING, lambda text: text.strip(_SPACE))),
    function("upperAscii", method("string_upper_ascii", (STRING,), STRING, lambda text: text.translate(_UPPER))),
    function("format", method("string_format", (STRING, list_of(DYN)), STRING, format_string, variadic=True)),
    function("strings.quote", overload("strings_quote", (STRING,), STRING, _quote)),
    function(
        "join",
        method("list_join", (list_of(STRING),), STRING, _join),
        method("list_join_string", (list_of(STRING), STRING), STRING, _join),
    ),
)
