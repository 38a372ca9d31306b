"""Text to tokens. What is no token is reported, skipped, and reading goes on, as ANTLR's lexers do."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from .errors import Issue

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7][0-7])"
_STRING = "|".join(
    (
        r"[rR]\"\"\"(?s:.*?)\"\"\"",
        r"[rR]'''(?s:.*?)'''",
        r"[rR]\"[^\"\n\r]*\"",
        r"[rR]'[^'\n\r]*'",
        rf"\"\"\"(?:{_ESCAPE}|[^\\])*?\"\"\"",
        rf"'''(?:{_ESCAPE}|[^\\])*?'''",
        rf"\"(?:{_ESCAPE}|[^\\\"\n\r])*\"",
        rf"'(?:{_ESCAPE}|[^\\'\n\r])*'",
    )
)


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Of one token. (Compiled when the first expression is: few processes have any.)"""
    return re.compile(
        rf"""(?P<SKIP>[\t\ \r\n\f]+|//[^\n]*)
        |(?P<NUM_FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
        |(?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])
        |(?P<NUM_INT>0x[0-9a-fA-F]+|[0-9]+)
        |(?P<BYTES>[bB](?:{_STRING}))
        |(?P<STRING>{_STRING})
        |(?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*)
        |(?P<ESC_IDENTIFIER>`[A-Za-z0-9_.\-/\ ]+`)
        |(?P<OP>==|!=|<=|>=|&&|\|\||[<>\[\]{{}}().,\-!?:+*/%])""",
        re.VERBOSE,
    )


_WORDS = frozenset({"in", "true", "false", "null"})
EOF_TEXT = "<EOF>"


class Token(NamedTuple):
    """`kind` is the text itself for operators and reserved words, else the name of the class; `offset` in code points."""

    kind: str
    text: str
    offset: int


class Source:
    """The text, and where its lines begin."""

    __slots__ = ("_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def issue(self, message: str, offset: int | None) -> Issue:
        """An issue at an offset; at no place for None."""
        if offset is None:
            return Issue(message, -1, -1)
        line = bisect_right(self._starts, offset)
        return Issue(message, line, offset - self._starts[line - 1])


def tokens(source: Source, issues: list[Issue]) -> list[Token]:
    """All tokens, the end of input last."""
    text, at, pattern = source.text, 0, _pattern()
    found: list[Token] = []
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            end = _unrecognized(text, at)
            issues.append(source.issue(f"Syntax error: token recognition error at: '{shown(text[at:end])}'", at))
            at = end
            continue
        kind = match.lastgroup
        if kind != "SKIP":
            word = match.group()
            found.append(Token(word if kind == "OP" or word in _WORDS else str(kind), word, at))
        at = match.end()
    found.append(Token(EOF_TEXT, EOF_TEXT, len(text)))
    return found


def _unrecognized(text: str, at: int) -> int:
    """Past the character that fits no token that might have begun: within a string, an escape or an escaped name, else the next."""
    first = text[at]
    end = at + 1
    if first in "\"'":
        while (unit := _unit(first).match(text, end)) is not None:
            end = unit.end()
        end = _begun_escape().match(text, end).end()  # type: ignore[union-attr]
    elif first == "`":
        end = _name().match(text, end).end()  # type: ignore[union-attr]
    elif first not in "&|=":
        return end
    return min(end + 1, len(text))


@lru_cache(maxsize=2)
def _unit(quote: str) -> re.Pattern[str]:
    return re.compile(rf"{_ESCAPE}|[^\\\n\r{quote}]")


@lru_cache(maxsize=1)
def _begun_escape() -> re.Pattern[str]:
    return re.compile(r"(?:\\(?:[xX][0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7}|[0-3][0-7]?)?)?")


@lru_cache(maxsize=1)
def _name() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z0-9_.\-/ ]*")


def shown(text: str) -> str:
    """As messages quote it."""
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
