"""Property names that are no identifiers, as an expression writes them: `x-prop` is `x__dash__prop`, `namespace` `__namespace__`."""

from __future__ import annotations

import re
from functools import lru_cache

from .checker import RESERVED_FIELDS

_ESCAPED = re.compile(r"__|[-./]|[^a-zA-Z0-9-./_]")
_UNESCAPED = re.compile(r"__[^_]+__")
_WORDS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_SYMBOLS = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}


def escape(name: str) -> str | None:
    """The identifier for a property, or None when there is none."""
    if not name or name[0].isdigit():
        return None
    if name in RESERVED_FIELDS:
        return f"__{name}__"
    out = []
    at = 0
    for match in _ESCAPED.finditer(name):
        word = _WORDS.get(match.group())
        if word is None:
            return None
        out.append(name[at : match.start()] + word)
        at = match.end()
    return "".join(out) + name[at:]


@lru_cache(maxsize=4096)
def unescape(name: str) -> str | None:
    """The property that an identifier stands for, or None when its escapes are none."""
    valid = True

    def replace(match: re.Match[str]) -> str:
        nonlocal valid
        word = match.group()[2:-2]
        symbol = _SYMBOLS.get(word)
        if symbol is not None:
            return symbol
        if word not in RESERVED_FIELDS or len(match.group()) != len(name):
            valid = False
        return word

    out = _UNESCAPED.sub(replace, name)
    return out if valid else None
