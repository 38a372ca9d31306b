"""Warnings as `Warning:` headers: each once, and cut short when there are too many. Follows endpoints/filters/warning.go. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_MOST_OF_ALL, _MOST_OF_ONE = 4 * 1024, 256
"""Characters. Past the first limit every warning is cut to the second, and none comes any more once the cut ones exceed the first."""


def warning_headers(warnings: Iterable[str]) -> list[str]:
    """Warnings with control characters have no form as a header and are left out."""
    shown: list[str] = []
    written, cutting = 0, False
    for text in dict.fromkeys(warnings):
        if not text or any(unicodedata.category(char) == "Cc" for char in text):
            continue
        if cutting and written >= _MOST_OF_ALL:
            break
        shown.append(text)
        written += min(len(text), _MOST_OF_ONE) if cutting else len(text)
        if not cutting and written > _MOST_OF_ALL:
            cutting = True
            written = sum(min(len(earlier), _MOST_OF_ONE) for earlier in shown)
    return [f'299 - "{_escaped(text[:_MOST_OF_ONE] if cutting else text)}"' for text in shown]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
