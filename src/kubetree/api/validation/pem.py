"""PEM as Go reads it: text between blocks is passed over, a block may have headers before an empty line."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

_BLOCK = re.compile(r"-----BEGIN ([^-\n]+)-----[ \t]*\r?\n(.*?)-----END \1-----", re.DOTALL)
_HEADER = re.compile(r"[^\n:]+:[^\n]*")


class Block(NamedTuple):
    """`data` is what the base64 says."""

    type: str
    headers: bool
    data: bytes


def blocks(text: str) -> Iterator[Block]:
    """Those that can be read; others are passed over."""
    for found in _BLOCK.finditer(text):
        lines = found[2].strip().splitlines()
        headers = 0
        while headers < len(lines) and _HEADER.fullmatch(lines[headers]):
            headers += 1
        try:
            data = base64.b64decode("".join(lines[headers:]), validate=True)
        except (binascii.Error, ValueError):
            continue
        yield Block(found[1], headers > 0, data)
