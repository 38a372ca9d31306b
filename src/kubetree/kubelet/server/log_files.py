"""Reading container logs as the runtime writes them: `<time> <stream> <F|P> <text>` lines, rotated by the kubelet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: `time` as the runtime wrote it (RFC 3339 with nanoseconds), `text` with its newline unless it is partial."""

    time: bytes
    stream: bytes
    text: bytes


def parse(line: bytes) -> Entry | None:
    """None for a line that is not in CRI's form."""
    parts = line.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    text = parts[3] if len(parts) > 3 else b"\n"
    if parts[2].split(b":")[0] == b"P":
        text = text.removesuffix(b"\n")
    elif not text.endswith(b"\n"):
        text += b"\n"
    return Entry(parts[0], parts[1], text)


def tail_offset(path: Path, lines: int) -> int:
    """The offset where the last `lines` lines begin; the end of the file for 0."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        if lines <= 0:
            return end
        position, found = end, 0
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            block = file.read(size)
            search = len(block)
            if position + size == end and block.endswith(b"\n"):
                search -= 1
            while (at := block.rfind(b"\n", 0, search)) >= 0:
                found += 1
                if found == lines:
                    return position + at + 1
                search = at
    return 0


def read_entries(path: Path, offset: int = 0) -> Iterator[Entry]:
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if entry := parse(line):
                yield entry


def tail_text(path: Path, lines: int, limit: int) -> str:
    """The last lines of a log as text, at most `limit` bytes; '' when there is no log."""
    try:
        text = b"".join(entry.text for entry in read_entries(path, tail_offset(path, lines)))
    except OSError:
        return ""
    return text[-limit:].decode(errors="replace")
