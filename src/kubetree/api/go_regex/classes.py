"""Classes of characters as sorted, disjoint ranges of code points."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from functools import cache

Ranges = tuple[tuple[int, int], ...]
LAST = sys.maxunicode


def normalized(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Rising, and joined where they touch."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(out[-1][1], high)
        else:
            out.append((low, high))
    return tuple(out)


def negated(ranges: Ranges) -> Ranges:
    """All other code points."""
    out, next_low = [], 0
    for low, high in ranges:
        if low > next_low:
            out.append((next_low, low - 1))
        next_low = high + 1
    if next_low <= LAST:
        out.append((next_low, LAST))
    return tuple(out)


def _of(text: str) -> Ranges:
    """'a-zA-Z_' as ranges."""
    out, at = [], 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            out.append((ord(text[at]), ord(text[at + 2])))
            at += 3
        else:
            out.append((ord(text[at]), ord(text[at])))
            at += 1
    return normalized(out)


ANY: Ranges = ((0, LAST),)
NOT_NEWLINE = negated(_of("\n"))
_DIGIT, _SPACE, _WORD = _of("0-9"), _of("\t\n\f\r "), _of("0-9A-Z_a-z")
PERL: dict[str, tuple[Ranges, bool]] = {
    "d": (_DIGIT, False),
    "D": (_DIGIT, True),
    "s": (_SPACE, False),
    "S": (_SPACE, True),
    "w": (_WORD, False),
    "W": (_WORD, True),
}
"""Classes by letter, each with whether all but it is meant."""
_POSIX = {
    "alnum": _of("0-9A-Za-z"),
    "alpha": _of("A-Za-z"),
    "ascii": ((0, 0x7F),),
    "blank": _of("\t "),
    "cntrl": normalized([(0, 0x1F), (0x7F, 0x7F)]),
    "digit": _DIGIT,
    "graph": _of("!-~"),
    "lower": _of("a-z"),
    "print": _of(" -~"),
    "punct": normalized([(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)]),
    "space": _of("\t\n\v\f\r "),
    "upper": _of("A-Z"),
    "word": _WORD,
    "xdigit": _of("0-9A-Fa-f"),
}
POSIX: dict[str, tuple[Ranges, bool]] = {f"[:{name}:]": (ranges, False) for name, ranges in _POSIX.items()}
POSIX |= {f"[:^{name}:]": (ranges, True) for name, ranges in _POSIX.items()}


def contains(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


@cache
def folded(ranges: Ranges) -> Ranges:
    """The class with the other cases of its characters."""
    if sum(high - low + 1 for low, high in ranges) > 0x3000:
        own = dict(_folds())
        return normalized([*ranges, *((other, other) for code, others in own.items() if contains(ranges, code) for other in others)])
    more = [(other, other) for low, high in ranges for code in range(low, high + 1) for other in _folds().get(code, ())]
    return normalized([*ranges, *more])


_CASED = ((0, 0x3000), (0xA600, 0xAC00), (0xFB00, 0x10000), (0x10400, 0x11000), (0x11800, 0x11900), (0x16E00, 0x17000), (0x1E900, 0x1EA00))
"""Where characters with cases are: the rest need not be looked through."""


@cache
def _folds() -> dict[int, tuple[int, ...]]:
    """The characters that are the same but for case, by each of them."""
    orbits: dict[str, set[int]] = {}
    for code in (code for low, high in _CASED for code in range(low, high)):
        c = chr(code)
        low = c.lower()
        if low != c or c.upper() != c:
            key = c.casefold() if len(c.casefold()) == 1 else low if len(low) == 1 else c
            orbits.setdefault(key, set()).add(code)
    return {code: tuple(orbit - {code}) for orbit in orbits.values() if len(orbit) > 1 for code in orbit}


_NAMED_END = 0x323B0
"""No character beyond has a name, but for tags and variation selectors."""


@cache
def _categories() -> dict[str, Ranges]:
    found: dict[str, list[tuple[int, int]]] = {}
    for code in (*range(_NAMED_END), *range(0xE0000, 0xE0200)):
        category = unicodedata.category(chr(code))
        for name in (category, category[0]):
            runs = found.setdefault(name, [])
            if runs and runs[-1][1] == code - 1:
                runs[-1] = runs[-1][0], code
            else:
                runs.append((code, code))
    for name in ("Co", "C"):
        found[name] += [(0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)]
    return {name: tuple(runs) for name, runs in found.items()}


@cache
def unicode_class(name: str) -> Ranges | None:
    """A general category, `Any`, or a script (told by the characters' names, which is near enough); None for what is neither."""
    if name == "Any":
        return ANY
    category = _categories().get(name)
    if category is not None:
        return category
    prefix = _SCRIPTS.get(name, f"{name.upper().replace('_', ' ')} ")
    if not name[:1].isupper():
        return None
    found = [(code, code) for code in range(_NAMED_END) if unicodedata.name(chr(code), "").startswith(prefix)]
    return normalized(found) if found else None


_SCRIPTS = {"Han": "CJK "}
