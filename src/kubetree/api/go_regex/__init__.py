"""Regular expressions as Go's regexp package has them: RE2's syntax, Go's messages, and never more time than the text is long.

Python's `re` does the work where its backtracking is harmless (nearly always, and ten times as fast); an automaton does the rest.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kubetree.api.go_regex.automaton import Automaton
from kubetree.api.go_regex.python_pattern import UNLIMITED, choices, is_anchored, written
from kubetree.api.go_regex.syntax import Node, SyntaxFault, parse

__all__ = ["Regex", "SyntaxFault", "compiled"]
MOST_STEPS = 100_000


class Regex:
    """A compiled pattern."""

    __slots__ = ("_anchored", "_automaton", "_choices", "_node", "_python", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._node: Node = parse(pattern)
        self._anchored = is_anchored(self._node)
        self._choices = choices(self._node)
        self._python = re.compile(written(self._node))
        self._automaton: Automaton | None = None

    def found(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        if self._is_cheap(len(text)):
            return self._python.search(text) is not None
        return self._slow().found(text)

    def find(self, text: str) -> str | None:
        """The leftmost match."""
        return next(iter(self.find_all(text, 1)), None)

    def find_all(self, text: str, limit: int = -1) -> list[str]:
        """Matches from left to right, at most `limit` if it is not negative. An empty one right after another is none."""
        out: list[str] = []
        end, at = -1, 0
        cheap = self._is_cheap(len(text))
        if not cheap and not self._slow().found(text):
            return out
        while len(out) != limit and at <= len(text):
            span = self._span(text, at, cheap)
            if span is None:
                break
            if not span[0] == span[1] == end:
                out.append(text[span[0] : span[1]])
            end = span[1]
            at = span[1] if span[1] > span[0] else span[1] + 1
        return out

    def _span(self, text: str, at: int, cheap: bool) -> tuple[int, int] | None:
        if not cheap:
            return self._slow().find(text, at)
        match = self._python.search(text, at)
        return None if match is None else match.span()

    def _slow(self) -> Automaton:
        if self._automaton is None:
            self._automaton = Automaton(self._node, anchored=self._anchored)
        return self._automaton

    def _is_cheap(self, length: int) -> bool:
        if self._choices is None:
            return False
        steps = 1 if self._anchored else length
        for ways in self._choices:
            steps *= length if ways >= UNLIMITED else ways
            if steps > MOST_STEPS:
                return False
        return True


@lru_cache(maxsize=2048)
def compiled(pattern: str) -> Regex:
    """The pattern, compiled once. Raises SyntaxFault (a ValueError) with Go's message."""
    return Regex(pattern)
