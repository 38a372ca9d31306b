"""The differences between two specs, as upstream puts them into a refusal: a unified diff of their indented JSON."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import Any


def _pretty(value: Any) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).splitlines(keepends=True)


def diff(old: Any, new: Any) -> str:
    """Hunks with three lines of context, without file names."""
    lines = list(unified_diff(_pretty(old), _pretty(new), n=3))[2:]
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
