"""Semantic versions: `semver('1.2.3').isLessThan(...)`."""

from __future__ import annotations

import re
from typing import Any

from kubetree.api.errors import quoted

from ..declarations import function, method, overload, table
from ..errors import EvaluationError
from ..numbers import UINT_MAX
from ..types import BOOL, INT, STRING, Type, struct
from ..values import no_such_overload

SEMVER = struct("kubernetes.Semver")
_DIGITS = re.compile(r"[0-9]*")
_WORD = re.compile(r"[0-9A-Za-z-]*")
Part = tuple[int, int, str]


class SemverValue:
    """Compared by precedence: what follows a + does not count."""

    __slots__ = ("key", "numbers")
    cel_type: Type = SEMVER

    def __init__(self, numbers: tuple[int, int, int], pre: list[Part]) -> None:
        self.numbers = numbers
        self.key = (numbers, not pre, pre)

    def equals(self, other: Any) -> bool:
        if not isinstance(other, SemverValue):
            raise no_such_overload()
        return self.key == other.key


def _number(text: str, name: str) -> int:
    if _DIGITS.fullmatch(text) is None:
        raise ValueError(f"Invalid character(s) found in {name.lower()} number {quoted(text)}")
    if len(text) > 1 and text[0] == "0":
        raise ValueError(f"{name} number must not contain leading zeroes {quoted(text)}")
    return _uint(text)


def _uint(text: str) -> int:
    if not text:
        raise ValueError('strconv.ParseUint: parsing "": invalid syntax')
    if int(text) > UINT_MAX:
        raise ValueError(f"strconv.ParseUint: parsing {quoted(text)}: value out of range")
    return int(text)


def _pre(text: str) -> Part:
    if not text:
        raise ValueError("Prerelease is empty")
    if _DIGITS.fullmatch(text):
        if len(text) > 1 and text[0] == "0":
            raise ValueError(f"Numeric PreRelease version must not contain leading zeroes {quoted(text)}")
        return (0, _uint(text), "")
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"Invalid character(s) found in prerelease {quoted(text)}")
    return (1, 0, text)


def parse(text: str) -> SemverValue:
    """A version as blang/semver reads it. Raises ValueError with its words."""
    if not text:
        raise ValueError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise ValueError("No Major.Minor.Patch elements found")
    major, minor = _number(parts[0], "Major"), _number(parts[1], "Minor")
    rest, plus, build = parts[2].partition("+")
    patch, dash, pre = rest.partition("-")
    number = _number(patch, "Patch")
    parsed = [_pre(word) for word in pre.split(".")] if dash else []
    for word in build.split(".") if plus else ():
        if not word:
            raise ValueError("Build meta data is empty")
        if _WORD.fullmatch(word) is None:
            raise ValueError(f"Invalid character(s) found in build meta data {quoted(word)}")
    return SemverValue((major, minor, number), parsed)


def normalized(text: str) -> str:
    """'v01.2' as '1.2.0'. Raises ValueError for a short version with more to it."""
    parts = text.removeprefix("v").split(".", 2)
    for at, part in enumerate(parts):
        if len(part) > 1:
            short = part.lstrip("0")
            parts[at] = short if short[:1].isdigit() and short[:1].isascii() else "0" + short
    if len(parts) < 3:
        if "+" in parts[-1] or "-" in parts[-1]:
            raise ValueError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _semver(text: str, loose: bool = False) -> SemverValue:
    try:
        return parse(normalized(text) if loose else text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _is_semver(text: str, loose: bool = False) -> bool:
    try:
        parse(normalized(text) if loose else text)
    except ValueError:
        return False
    return True


def _order(one: SemverValue, other: SemverValue) -> int:
    return (one.key > other.key) - (one.key < other.key)


SEMVERS = table(
    function(
        "semver",
        overload("string_to_semver", (STRING,), SEMVER, _semver),
        overload("string_bool_to_semver", (STRING, BOOL), SEMVER, _semver),
    ),
    function(
        "isSemver",
        overload("is_semver_string", (STRING,), BOOL, _is_semver),
        overload("is_semver_string_bool", (STRING, BOOL), BOOL, _is_semver),
    ),
    function("isGreaterThan", method("semver_is_greater_than", (SEMVER, SEMVER), BOOL, lambda one, other: _order(one, other) > 0)),
    function("isLessThan", method("semver_is_less_than", (SEMVER, SEMVER), BOOL, lambda one, other: _order(one, other) < 0)),
    function("compareTo", method("semver_compare_to", (SEMVER, SEMVER), INT, _order)),
    function("major", method("semver_major", (SEMVER,), INT, lambda value: value.numbers[0])),
    function("minor", method("semver_minor", (SEMVER,), INT, lambda value: value.numbers[1])),
    function("patch", method("semver_patch", (SEMVER,), INT, lambda value: value.numbers[2])),
)
