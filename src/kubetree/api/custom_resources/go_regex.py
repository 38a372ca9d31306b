"""Regular expressions as Go's RE2 reads them, by way of Python's: ASCII classes, `$` that means the very end, POSIX and Unicode classes."""

from __future__ import annotations

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_UNICODE = {"L": r"^\W\d_", "N": r"\d", "Nd": r"\d", "Lu": "A-ZÀ-ÖØ-ÞĀ-ž", "Ll": "a-zß-öø-ÿ"}
"""The few that Python can come near to."""


@lru_cache(maxsize=1024)
def compile_go(pattern: str) -> re.Pattern[str]:
    """Raises re.error for what is no regular expression, or one whose classes Python does not have."""
    text, ascii_only = _translated(pattern)
    return re.compile(text, re.ASCII if ascii_only else 0)


def _translated(pattern: str) -> tuple[str, bool]:
    out: list[str] = []
    i, inside, ascii_only = 0, False, True
    multiline = re.search(r"\(\?[a-zA-Z]*m", pattern) is not None
    while i < len(pattern):
        c = pattern[i]
        if c == "\\" and i + 1 < len(pattern):
            follows = pattern[i + 1]
            if follows in "pP":
                taken, klass = _unicode_class(pattern, i)
                out.append(klass if not inside else klass[1:-1])
                i, ascii_only = i + taken, False
                continue
            out.append({"z": r"\Z", "Q": "", "E": "", "C": "."}.get(follows, c + follows) if not inside else c + follows)
            if follows == "Q" and not inside:
                end = pattern.find(r"\E", i)
                end = len(pattern) if end < 0 else end
                out.append(re.escape(pattern[i + 2 : end]))
                i = end
                continue
            i += 2
        elif inside and pattern.startswith("[:", i) and (end := pattern.find(":]", i)) > 0:
            name = pattern[i + 2 : end]
            if name.lstrip("^") not in _POSIX:
                raise re.error(f"invalid character class range: `[:{name}:]`")
            out.append(_POSIX[name.lstrip("^")])
            i = end + 2
        elif inside:
            if c == "]":
                inside = False
            out.append("\\[" if c == "[" else c)
            i += 1
        elif c == "[":
            inside = True
            out.append(c)
            i += 1
            if pattern.startswith("^", i):
                out.append("^")
                i += 1
            if pattern.startswith("]", i):
                out.append("\\]")
                i += 1
        elif pattern.startswith("(?<", i) and i + 3 < len(pattern) and pattern[i + 3] not in "=!":
            out.append("(?P<")
            i += 3
        else:
            out.append(r"\Z" if c == "$" and not multiline else c)
            i += 1
    return "".join(out), ascii_only


def _unicode_class(pattern: str, at: int) -> tuple[int, str]:
    if pattern.startswith("{", at + 2):
        end = pattern.find("}", at)
        name, taken = pattern[at + 3 : end], end + 1 - at
    else:
        name, taken = pattern[at + 2 : at + 3], 3
    negated = pattern[at + 1] == "P"
    if name.startswith("^"):
        negated, name = not negated, name[1:]
    inner = _UNICODE.get(name)
    if inner is None:
        raise re.error(f"invalid character class range: `{pattern[at : at + taken]}`")
    if negated:
        return taken, f"[{inner[1:]}]" if inner.startswith("^") else f"[^{inner}]"
    return taken, f"[{inner}]"
