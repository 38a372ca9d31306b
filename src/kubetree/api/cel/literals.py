"""Literals of an expression to the nodes of their values: numbers within their bounds, quoted text to the string or bytes it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .lexer import Token
from .numbers import INT_MAX, INT_MIN, UINT_MAX, UInt
from .tree import Expr, Literal

if TYPE_CHECKING:
    from .parser import Parser

_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "`": "`",
    "?": "?",
}
_FAILED = "unable to unescape string"


def string_literal(quoted: str) -> str:
    """The string of a literal, prefixes and quotes included in `quoted`. Raises ValueError with cel-go's reason."""
    return "".join(part for part, _ in _parts(quoted, is_bytes=False))


def bytes_literal(quoted: str) -> bytes:
    """The same of a bytes literal, its `b` taken off: characters are written as UTF-8, \\x and octal escapes are single bytes."""
    return b"".join(
        bytes((ord(part),)) if single else part.encode("utf-8", "surrogatepass") for part, single in _parts(quoted, is_bytes=True)
    )


def _parts(quoted: str, *, is_bytes: bool) -> list[tuple[str, bool]]:
    """Pieces of text, each with whether it is one byte rather than characters."""
    text = quoted.replace("\r\n", "\n").replace("\r", "\n")
    raw = text[:1] in "rR"
    if raw:
        text = text[1:]
    around = 3 if len(text) >= 6 and text[:3] in ("'''", '"""') else 1
    text = text[around:-around]
    if raw or "\\" not in text:
        return [(text, False)]
    out: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        next_escape = text.find("\\", at)
        if next_escape < 0:
            out.append((text[at:], False))
            break
        if next_escape > at:
            out.append((text[at:next_escape], False))
        part, single, at = _escape(text, next_escape + 1, is_bytes=is_bytes)
        out.append((part, single))
    return out


def _escape(text: str, at: int, *, is_bytes: bool) -> tuple[str, bool, int]:
    letter = text[at : at + 1]
    if letter in _SIMPLE:
        return _SIMPLE[letter], False, at + 1
    if letter in ("x", "X", "u", "U"):
        digits = {"x": 2, "X": 2, "u": 4, "U": 8}[letter]
        if is_bytes and digits != 2:
            raise ValueError(_FAILED)
        number = int(text[at + 1 : at + 1 + digits], 16)
        return _character(number, is_bytes), is_bytes, at + 1 + digits
    return _character(int(text[at : at + 3], 8), is_bytes), is_bytes, at + 3


def _character(number: int, is_bytes: bool) -> str:
    if not is_bytes and (number > 0x10FFFF or 0xD800 <= number < 0xE000):
        raise ValueError("invalid unicode code point")
    return chr(number)


def signed(parser: Parser, token: Token, sign: Token | None = None) -> Expr:
    offset = token.offset if sign is None else sign.offset
    if token.kind == "NUM_FLOAT":
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            return parser.fail("invalid double literal", offset)
        return Literal(parser.number(offset), value if sign is None else -value)
    number = int(token.text, 16 if token.text.startswith("0x") else 10)
    if sign is not None:
        number = -number
    if not INT_MIN <= number <= INT_MAX:
        return parser.fail("invalid int literal", offset)
    return Literal(parser.number(offset), number)


def _unsigned(parser: Parser, token: Token) -> Expr:
    text = token.text[:-1]
    number = int(text, 16 if text.startswith("0x") else 10)
    if number > UINT_MAX:
        return parser.fail("invalid uint literal", token.offset)
    return Literal(parser.number(token.offset), UInt(number))


def _string(parser: Parser, token: Token) -> Expr:
    try:
        value = string_literal(token.text)
    except ValueError as error:
        parser.fail(str(error), token.offset)
        value = token.text
    return Literal(parser.number(token.offset), value)


def _bytes(parser: Parser, token: Token) -> Expr:
    try:
        value = bytes_literal(token.text[1:])
    except ValueError as error:
        parser.fail(str(error), token.offset)
        value = b""
    return Literal(parser.number(token.offset), value)


LITERALS: dict[str, Callable[[Parser, Token], Expr]] = {
    "NUM_INT": signed,
    "NUM_FLOAT": signed,
    "NUM_UINT": _unsigned,
    "STRING": _string,
    "BYTES": _bytes,
    "true": lambda parser, token: Literal(parser.number(token.offset), True),
    "false": lambda parser, token: Literal(parser.number(token.offset), False),
    "null": lambda parser, token: Literal(parser.number(token.offset), None),
}
