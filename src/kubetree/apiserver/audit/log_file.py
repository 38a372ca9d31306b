"""The log backend: one line an event, into a file that is rotated by size, or to standard output.

Follows plugin/pkg/audit/log and lumberjack's naming, so that what collects upstream's files collects these: `audit.log` becomes
`audit-2026-01-02T15-04-05.000.log`, old ones go by number and age. Files are for their owner only.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import orjson

from kubetree.apiserver.audit.legacy_format import event_line
from kubetree.apiserver.audit.sinks import Event, Losses

_MEGABYTE = 1024 * 1024
_STAMP = "%Y-%m-%dT%H-%M-%S.%f"


class LogFile:
    """Appends to `path`. `max_size` in megabytes (0: never rotated), `max_age` in days and `max_backups` bound the old files (0: not).

    `clock` gives the time, UTC.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        *,
        max_size: int = 0,
        max_age: int = 0,
        max_backups: int = 0,
        compress: bool = False,
    ) -> None:
        self._path, self._clock = path, clock
        self._limit, self._max_age, self._max_backups, self._compress = max_size * _MEGABYTE, max_age, max_backups, compress
        self._file: int | None = None
        self._size = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()

    def write(self, line: bytes) -> None:
        """Raises OSError; the next write tries anew."""
        if self._limit and len(line) > self._limit:
            raise OSError(f"write length {len(line)} exceeds maximum file size {self._limit}")
        if self._limit and self._size + len(line) > self._limit:
            self._rotate()
        if self._file is None:
            self._open()
        assert self._file is not None
        written = 0
        while written < len(line):
            written += os.write(self._file, line[written:])
        self._size += written

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._path, self._backup_name())
        self._open()
        self._tidy()

    def _backup_name(self) -> Path:
        stamp = self._clock().astimezone(UTC).strftime(_STAMP)[:-3]
        return self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")

    def _tidy(self) -> None:
        """Removes old files beyond the limits, newest kept; packs what remains where that is wanted."""
        backups = sorted(self._backups(), reverse=True)
        oldest = self._clock().astimezone(UTC) - timedelta(days=self._max_age)
        for i, (made, path) in enumerate(backups):
            if (self._max_backups and i >= self._max_backups) or (self._max_age and made < oldest):
                path.unlink(missing_ok=True)
            elif self._compress and path.suffix != ".gz":
                _pack(path)

    def _backups(self) -> list[tuple[datetime, Path]]:
        name = re.compile(rf"{re.escape(self._path.stem)}-(.+?){re.escape(self._path.suffix)}(?:\.gz)?")
        found = []
        for path in self._path.parent.iterdir():
            match = name.fullmatch(path.name)
            with contextlib.suppress(ValueError):
                if match:
                    found.append((datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC), path))
        return found


def _pack(path: Path) -> None:
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as plain, open(os.open(packed, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb") as out:
            shutil.copyfileobj(plain, out)
    path.unlink()


class StandardOutput:
    """`--audit-log-path=-`."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._stream = stream or sys.stdout.buffer

    def write(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()

    def close(self) -> None:
        return None


class LogBackend:
    """A line an event, as JSON or in the legacy form."""

    def __init__(self, out: LogFile | StandardOutput, losses: Losses, *, legacy: bool = False) -> None:
        self._out, self._losses, self._legacy = out, losses, legacy

    async def process(self, events: Sequence[Event]) -> bool:
        kept = True
        for event in events:
            line = event_line(event).encode(errors="replace") if self._legacy else orjson.dumps(event)
            try:
                self._out.write(line + b"\n")
            except OSError as error:
                kept = False
                self._losses.count("log", error, [event])
        return kept

    async def close(self) -> None:
        self._out.close()
