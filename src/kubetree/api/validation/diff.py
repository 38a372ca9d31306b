"""The differences between two specs, as upstream puts them into a refusal: a unified diff of their indented JSON."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from kubetree.api.validation.errors import go_json


def _pretty(value: Any) -> list[str]:
    return go_json(value, indent=1).splitlines(keepends=True)


def diff(old: Any, new: Any) -> str:
    """Hunks with three lines of context, without file names; both sides as Go prints them (`go_struct`)."""
    lines = list(unified_diff(_pretty(old), _pretty(new), n=3))[2:]
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
