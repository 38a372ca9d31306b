"""Who runs: a file a process with its pid and start time, so that a pid that was given to another process is not taken for ours."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken: `started` is field 22 of /proc/PID/stat, in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def end(self, patience: float = 10.0) -> None:
        """SIGTERM, and SIGKILL to what is still there after `patience` seconds. Returns when it is gone."""
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            if not self.alive:
                return
            os.kill(self.pid, number)
            deadline = time.monotonic() + seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.01)


def start_time(pid: int) -> int | None:
    """None when there is no such process, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def record(folder: Path, name: str, pid: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}"
    draft.write_text(f"{pid} {start_time(pid) or 0}")
    draft.replace(folder / name)


def find(folder: Path, name: str) -> Process | None:
    """The living process recorded under `name`, if there is one."""
    try:
        pid, started = (folder / name).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    process = Process(int(pid), int(started))
    return process if process.alive else None


def remove(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
