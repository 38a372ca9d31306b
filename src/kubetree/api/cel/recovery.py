"""Reading tokens, and what happens when one does not fit: cel-go's ANTLR parser passes over one that is too many, thinks one there that
is missing, or gives up.

The messages are its messages where one fault decides them; after a fault that stops the grammar nothing further is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from .errors import Issue
from .lexer import EOF_TEXT, Source, Token, shown, tokens
from .literals import LITERALS

BINARY = {
    "<": (1, "_<_"),
    "<=": (1, "_<=_"),
    ">=": (1, "_>=_"),
    ">": (1, "_>_"),
    "==": (1, "_==_"),
    "!=": (1, "_!=_"),
    "in": (1, "@in"),
    "+": (2, "_+_"),
    "-": (2, "_-_"),
    "*": (3, "_*_"),
    "/": (3, "_/_"),
    "%": (3, "_%_"),
}
"""Operators between two operands: how tightly they bind, and their functions."""
START = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"


class Stop(Exception):
    """The grammar can go no further."""


class OperatorFirst(Stop):
    """An operator came where an operand was to begin: reading goes on with it, as if there had been one."""


class Reader:
    """The tokens of one text, one after the other."""

    def __init__(self, source: Source, issues: list[Issue]) -> None:
        self.source, self.issues = source, issues
        self._tokens = tokens(source, issues)
        self._at = 0
        self._closers: list[str] = []

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, kind: str) -> bool:
        if self._tokens[self._at].kind == kind:
            self._at += 1
            return True
        return False

    def _expect(self, kind: str) -> Token:
        """The token that must come. One too many is passed over, and one that is merely missing thought to be there."""
        token = self._tokens[self._at]
        if token.kind == kind:
            self._at += 1
            return token
        if token.kind != EOF_TEXT and self._tokens[self._at + 1].kind == kind:
            self._report(f"extraneous input '{token.text}' expecting '{kind}'", token)
            self._at += 2
            return self._tokens[self._at - 1]
        if self._starts() if kind == ":" else token.kind in BINARY or token.kind == (self._closers[-1] if self._closers else EOF_TEXT):
            self._report(f"missing '{kind}' at '{token.text}'", token)
            return Token(kind, kind, token.offset)
        return self._mismatch(token, f"'{kind}'")

    def _start(self, wanted: str) -> None:
        """Makes sure that an expression begins here, passing over one token that is too many."""
        token = self._tokens[self._at]
        if self._starts():
            return
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == EOF_TEXT or not (_starts(following) or f"'{following.kind}'" in wanted):
            self._report(f"mismatched input '{token.text}' expecting {wanted}", token)
            raise OperatorFirst if token.kind in BINARY or token.kind in ("&&", "||") else Stop
        self._report(f"extraneous input '{token.text}' expecting {wanted}", token)
        self._at += 1

    def _first(self, closer: str, wanted: str) -> None:
        """As `_start`, where a literal may also end at once."""
        if self._tokens[self._at].kind not in (closer, ",", "?"):
            self._start(wanted)

    def _continues(self) -> bool:
        """Whether another element or entry comes after a comma, rather than the end."""
        return self._starts() or self._tokens[self._at].kind == "?"

    def _separator(self, wanted: str) -> None:
        """A comma or the closing bracket was to come; one token too many before it is passed over."""
        token, following = self._tokens[self._at], self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == EOF_TEXT or f"'{following.kind}'" not in wanted:
            self._mismatch(token, wanted)
        self._report(f"extraneous input '{token.text}' expecting {wanted}", token)
        self._at += 1
        if following.kind == ",":
            self._at += 1

    def _starts(self) -> bool:
        return _starts(self._tokens[self._at])

    @contextmanager
    def _within(self, closer: str) -> Iterator[None]:
        """Reads what stands in brackets; `closer` is what a missing inner bracket may be followed by."""
        self._closers.append(closer)
        yield
        self._closers.pop()

    def _report(self, message: str, token: Token) -> None:
        self.issues.append(self.source.issue(f"Syntax error: {message}", token.offset))

    def _syntax(self, message: str, token: Token) -> NoReturn:
        self._report(message, token)
        raise Stop

    def _mismatch(self, token: Token, wanted: str) -> NoReturn:
        self._syntax(f"mismatched input '{token.text}' expecting {wanted}", token)

    def _no_way(self, start: Token, token: Token) -> str:
        between = self.source.text[start.offset + len(start.text) : token.offset]
        text = start.text + (between if between.isspace() else "") + ("" if token.kind == EOF_TEXT else token.text)
        return f"no viable alternative at input '{shown(text)}'"


def _starts(token: Token) -> bool:
    return token.kind in LITERALS or token.kind in ("[", "{", "(", ".", "-", "!", "IDENTIFIER")
