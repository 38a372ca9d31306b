"""What /metrics says of the process and of the program: memory, files, tasks, version, feature gates. All of it is looked up when scraped."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import resource
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from kubetree.apiserver.exposition import family, labelled
from kubetree.apiserver.features import gates


def _memory_pages() -> tuple[int, int]:
    """Virtual and resident."""
    found = Path("/proc/self/statm").read_text().split()
    return int(found[0]), int(found[1])


def _start_time() -> float:
    """Seconds since the epoch."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _limit(of: int) -> float:
    """As the kernel counts where there is none."""
    found = resource.getrlimit(of)[0]
    return float(found) if found != resource.RLIM_INFINITY else float(2**64 - 1)


def process_lines() -> Iterator[str]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    virtual, resident = (pages * resource.getpagesize() for pages in _memory_pages())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    rows = (
        ("process_cpu_seconds_total", "counter", "User and system CPU time spent.", round(used.ru_utime + used.ru_stime, 2)),
        ("process_max_fds", "gauge", "How many files may be open.", most),
        ("process_open_fds", "gauge", "How many files are open.", len(os.listdir("/proc/self/fd"))),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", resident),
        ("process_start_time_seconds", "gauge", "When the process started, since the epoch.", _start_time()),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory.", virtual),
        ("process_virtual_memory_max_bytes", "gauge", "How much virtual memory there may be.", _limit(resource.RLIMIT_AS)),
        ("go_goroutines", "gauge", "Tasks of the event loop: what runs side by side here.", len(asyncio.all_tasks())),
        ("go_threads", "gauge", "Threads of the operating system.", threading.active_count()),
        ("go_gc_cycles_total_gc_cycles_total", "counter", "Collections of cyclic garbage.", sum(s["collections"] for s in gc.get_stats())),
    )
    for name, type, text, value in rows:
        yield from family(name, type, text, [("", value)])
    yield from family("go_info", "gauge", "What the program runs on.", [(f'{{version="python{platform.python_version()}"}}', 1)])


_BUILD = (
    ("build_date", "buildDate"),
    ("compiler", "compiler"),
    ("git_commit", "gitCommit"),
    ("git_tree_state", "gitTreeState"),
    ("git_version", "gitVersion"),
    ("go_version", "goVersion"),
    ("major", "major"),
    ("minor", "minor"),
    ("platform", "platform"),
)


def build_lines(version: Mapping[str, str], changed: Mapping[str, bool]) -> Iterator[str]:
    """`version` is what /version answers, `changed` are gates that are not as they are by default."""
    labels = labelled([name for name, _ in _BUILD], [version[field] for _, field in _BUILD])
    yield from family("kubernetes_build_info", "gauge", "[ALPHA] What was built, from what, by what.", [(labels, 1)])
    binary = f"{version['major']}.{version['minor']}"
    least = f"{version['minCompatibilityMajor']}.{version['minCompatibilityMinor']}"
    labels = labelled(("binary", "component", "emulation", "min_compat"), (binary, "kube", binary, least))
    yield from family("version_info", "gauge", "[ALPHA] Versions of the program, and of what it stands in for.", [(labels, 1)])
    samples = [(labelled(("name", "stage"), (gate.name, gate.stage)), float(changed.get(gate.name, gate.enabled))) for gate in gates()]
    yield from family("kubernetes_feature_enabled", "gauge", "[BETA] Feature gates, and whether they are on.", samples)
