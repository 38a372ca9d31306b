"""Kubernetes' find and findAll."""

from __future__ import annotations

from kubetree.api.go_regex import Regex, compiled

from ..declarations import function, method, table
from ..errors import EvaluationError
from ..types import INT, STRING, list_of


def _pattern(pattern: str) -> Regex:
    try:
        return compiled(pattern)
    except ValueError as error:
        raise EvaluationError(f"Illegal regex: {error}") from None


def _find(text: str, pattern: str) -> str:
    return _pattern(pattern).find(text) or ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    return _pattern(pattern).find_all(text, limit)


REGEXES = table(
    function("find", method("string_find_string", (STRING, STRING), STRING, _find)),
    function(
        "findAll",
        method("string_find_all_string", (STRING, STRING), list_of(STRING), _find_all),
        method("string_find_all_string_int", (STRING, STRING, INT), list_of(STRING), _find_all, variadic=True),
    ),
)
