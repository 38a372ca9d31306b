"""`kubectl logs` from files: tail, since, timestamps, limits, and following a log across its rotation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubetree.kubelet.server.log_files import Entry, parse, tail_offset

POLL = 0.1
_READ = 65536


@dataclass(frozen=True, slots=True)
class LogOptions:
    """v1.PodLogOptions; `since` is aware, `stream` is All, Stdout or Stderr."""

    follow: bool = False
    timestamps: bool = False
    since: datetime | None = None
    tail: int | None = None
    limit: int | None = None
    stream: str = "All"


def _moment(stamp: bytes) -> datetime:
    """The time of an entry; nanoseconds are cut to microseconds."""
    text = stamp.decode()
    head, dot, rest = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    digits = rest.rstrip("Z+-:0123456789") or rest
    count = len(digits) - len(digits.lstrip("0123456789"))
    fraction, zone = digits[:count][:6].ljust(6, "0"), digits[count:] or "Z"
    return datetime.fromisoformat(f"{head}.{fraction}{zone.replace('Z', '+00:00')}")


class _Writer:
    """Entries to what the client sees."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit
        self._line_begins = True
        self._stream = {"Stdout": b"stdout", "Stderr": b"stderr"}.get(options.stream)
        self._since = options.since
        self.full = False

    def render(self, entry: Entry) -> bytes:
        if self._stream is not None and entry.stream != self._stream:
            return b""
        if self._since is not None:
            if _moment(entry.time) < self._since:
                return b""
            self._since = None
        text = entry.text
        if self._options.timestamps and self._line_begins:
            text = entry.time + b" " + text
        self._line_begins = entry.text.endswith(b"\n")
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
            self.full = self._left <= 0
        return text


async def read_log(path: Path, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Pieces of the log. Following ends when `running()` is false and everything has been read. Raises OSError at the start."""
    writer = _Writer(options)
    offset = tail_offset(path, options.tail) if options.tail is not None else 0
    file = path.open("rb")
    try:
        file.seek(offset)
        rest = b""
        while not writer.full:
            block = file.read(_READ)
            if block:
                *lines, rest = (rest + block).split(b"\n")
                if piece := b"".join(_render(writer, line) for line in lines):
                    yield piece
                continue
            if not options.follow:
                break
            if _rotated(file.fileno(), path):
                file.close()
                file, rest = path.open("rb"), b""
                continue
            if not running():
                if last := file.read(_READ):
                    file.seek(-len(last), os.SEEK_CUR)
                    continue
                break
            await asyncio.sleep(POLL)
    finally:
        file.close()


def _render(writer: _Writer, line: bytes) -> bytes:
    entry = parse(line + b"\n") if not writer.full else None
    return writer.render(entry) if entry else b""


def _rotated(descriptor: int, path: Path) -> bool:
    """Whether `path` is another file by now."""
    try:
        return os.stat(path).st_ino != os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
