"""JSON as Go's decoder sees it: members in their order with duplicates, numbers with their spelling, and Go's words for a syntax error."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn


class Members(list[tuple[str, Any]]):
    """The members of an object in the order of the document, duplicates included."""


class Literal(float):
    """A number that is not written as an integer, or is one that no 64 bits can hold, with its spelling."""

    text: str

    def __new__(cls, text: str) -> Literal:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


class _TooLarge(ValueError):
    pass


def _fraction(text: str) -> Literal:
    number = Literal(text)
    if math.isinf(number):
        raise _TooLarge(f"json: cannot unmarshal number {text} into Go value of type float64")
    return number


def _integer(text: str) -> int | Literal:
    if len(text) < _SAFE_DIGITS:
        return int(text)
    number = int(text) if len(text) <= _MOST_DIGITS else 0
    return number if number and -(1 << 63) <= number < 1 << 64 else _fraction(text)


_SAFE_DIGITS, _MOST_DIGITS = 19, 20
_decoder = json.JSONDecoder(object_pairs_hook=Members, parse_float=_fraction, parse_int=_integer, parse_constant=_refuse)


def parse(data: bytes) -> Any:
    """The document with `Members` for objects and `Literal` for fractions. Raises ValueError worded as Go's encoding/json."""
    text = data.decode("utf-8", "replace")
    try:
        return _decoder.decode(text)
    except _TooLarge:
        raise
    except ValueError:
        raise ValueError(syntax_error(data.decode("utf-8", "surrogateescape"))) from None
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def plain(value: Any) -> Any:
    """The same value as orjson would have read it: the last of duplicate members counts."""
    if isinstance(value, Members):
        return {key: plain(item) for key, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return float(value) if isinstance(value, Literal) else value


def go_name(value: object) -> str:
    """What Go's messages call a JSON value: `cannot unmarshal array into ...`."""
    return {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")


_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:(\.[0-9]*)?(?:([eE][+-]?)[0-9]*)?)?)?")
_WORDS = {"t": "true", "f": "false", "n": "null"}
_VALUE, _KEY_OR_END, _KEY, _COLON, _AFTER_MEMBER, _VALUE_OR_END, _AFTER_ELEMENT, _AFTER_TOP = range(8)
_WANTED = {
    _VALUE: "looking for beginning of value",
    _KEY_OR_END: "looking for beginning of object key string",
    _KEY: "looking for beginning of object key string",
    _COLON: "after object key",
    _AFTER_MEMBER: "after object key:value pair",
    _VALUE_OR_END: "looking for beginning of value",
    _AFTER_ELEMENT: "after array element",
    _AFTER_TOP: "after top-level value",
}
_END = "unexpected end of JSON input"


def syntax_error(text: str) -> str:
    """What Go's encoding/json says of the first fault in `text`, which is known to have one."""
    stack: list[str] = []
    position, state = 0, _VALUE

    def after_value() -> int:
        if not stack:
            return _AFTER_TOP
        return _AFTER_MEMBER if stack[-1] == "{" else _AFTER_ELEMENT

    while True:
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        if position >= len(text):
            return _END
        c = text[position]
        if state in (_KEY, _KEY_OR_END) and c == '"':
            fault, position = _string(text, position)
            state = _COLON
        elif state in (_VALUE, _VALUE_OR_END) and c in '{["-0123456789tfn':
            if c in "{[":
                stack.append(c)
                fault, position, state = "", position + 1, _KEY_OR_END if c == "{" else _VALUE_OR_END
            else:
                fault, position = _scalar(text, position)
                state = after_value()
        elif (c == "}" and state in (_KEY_OR_END, _AFTER_MEMBER)) or (c == "]" and state in (_VALUE_OR_END, _AFTER_ELEMENT)):
            stack.pop()
            fault, position, state = "", position + 1, after_value()
        elif c == ":" and state == _COLON:
            fault, position, state = "", position + 1, _VALUE
        elif c == "," and state in (_AFTER_MEMBER, _AFTER_ELEMENT):
            fault, position, state = "", position + 1, _KEY if state == _AFTER_MEMBER else _VALUE
        else:
            fault = _invalid(c, _WANTED[state])
        if fault:
            return fault


def _invalid(c: str, where: str) -> str:
    if not c.isascii():
        c = c.encode("utf-8", "surrogateescape")[:1].decode("latin-1")  # Go looks at bytes
    shown = {"'": r"\'", '"': '"', "\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\"}.get(c)
    return f"invalid character '{shown or (c if c.isprintable() else repr(c)[1:-1])}' {where}"


def _string(text: str, start: int) -> tuple[str, int]:
    end = _STRING.match(text, start).end()  # type: ignore[union-attr]
    if end >= len(text):
        return _END, end
    if text[end] == '"':
        return "", end + 1
    if text[end] == "\\":
        escape = text[end + 1 : end + 2]
        if escape == "u":
            bad = next((c for c in text[end + 2 : end + 6] if c not in "0123456789abcdefABCDEF"), "")
            return (_invalid(bad, "in \\u hexadecimal character escape") if bad else _END), end
        return (_invalid(escape, "in string escape code") if escape else _END), end
    return _invalid(text[end], "in string literal"), end


def _scalar(text: str, start: int) -> tuple[str, int]:
    c = text[start]
    if c == '"':
        return _string(text, start)
    if c in _WORDS:
        word = _WORDS[c]
        for i, wanted in enumerate(word):
            found = text[start + i : start + i + 1]
            if found != wanted:
                return (_invalid(found, f"in literal {word} (expecting '{wanted}')") if found else _END), start
        return "", start + len(word)
    match = _NUMBER.match(text, start)
    assert match is not None
    number, end = match[0], match.end()
    where = ""
    if number == "-":
        where = "in numeric literal"
    elif number[-1] == ".":
        where = "after decimal point in numeric literal"
    elif number[-1] in "eE+-":
        where = "in exponent of numeric literal"
    if not where:
        return "", end
    return (_invalid(text[end], where) if end < len(text) else _END), end
