"""Go's regular expressions (RE2 syntax) on Python's engine."""

from __future__ import annotations

import re
from functools import lru_cache

from .errors import EvaluationError


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern ready to search with. Raises ValueError with Go's message."""
    try:
        return re.compile(pattern.replace("\\z", "\\Z"))
    except re.error as error:
        raise ValueError(f"error parsing regexp: {error}: `{pattern}`") from None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. Raises EvaluationError for what is no pattern."""
    try:
        return compiled(pattern).search(text) is not None
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def find_all(pattern: re.Pattern[str], text: str, limit: int) -> list[str]:
    """The matches from left to right, at most `limit` of them if that is not negative; an empty match right after another is none."""
    out: list[str] = []
    end = -1
    for match in pattern.finditer(text):
        if len(out) == limit:
            break
        if match.end() == match.start() == end:
            continue
        out.append(match.group())
        end = match.end()
    return out
