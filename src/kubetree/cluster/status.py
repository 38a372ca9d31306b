"""What runs: each component's process, how long, and the memory that is its own share (PSS)."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from kubetree.cluster import pidfile, supervisor
from kubetree.cluster.components import COMPONENTS
from kubetree.cluster.layout import Layout


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """`pss` is in bytes, `seconds` since the process started, `cpu` seconds it has used; pid 0: it does not run."""

    name: str
    pid: int = 0
    seconds: float = 0.0
    pss: int = 0
    cpu: float = 0.0


def processes(layout: Layout) -> list[ProcessStatus]:
    names = [supervisor.NAME, *(component.name for component in COMPONENTS)]
    return [_status(name, pidfile.find(layout.pids, name)) for name in names]


def _status(name: str, process: pidfile.Process | None) -> ProcessStatus:
    if process is None:
        return ProcessStatus(name)
    ticks = os.sysconf("SC_CLK_TCK")
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - process.started / ticks
    return ProcessStatus(name, process.pid, age, pss(process.pid), (int(fields[11]) + int(fields[12])) / ticks)


def pss(pid: int) -> int:
    """Bytes of memory, those shared with other processes divided among them; 0 where that may not be read."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
