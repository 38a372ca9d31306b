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

from kubetree.api.feature_gates import Features, gates
from kubetree.apiserver.metrics.exposition import family, labelled


def _memory_pages() -> tuple[int, int]:
    """Virtual and resident."""
    found = Path("/proc/self/statm").read_text().split()
    return int(found[0]), int(found[1])


def _start_time() -> float:
    """Seconds since the epoch."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _network_bytes() -> tuple[int, int]:
    """Received and sent over all devices of the process's network namespace, as procfs counts them."""
    lines = [line.partition(":")[2].split() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]]
    return sum(int(fields[0]) for fields in lines), sum(int(fields[8]) for fields in lines)


def _limit(of: int) -> float:
    """As the kernel counts where there is none."""
    found = resource.getrlimit(of)[0]
    return float(found) if found != resource.RLIM_INFINITY else float(2**64 - 1)


def process_lines() -> Iterator[str]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    virtual, resident = (pages * resource.getpagesize() for pages in _memory_pages())
    received, sent = _network_bytes()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    rows = (
        (
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            round(used.ru_utime + used.ru_stime, 2),
        ),
        ("process_max_fds", "gauge", "Maximum number of open file descriptors.", most),
        ("process_open_fds", "gauge", "Number of open file descriptors.", len(os.listdir("/proc/self/fd"))),
        ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", resident),
        ("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", _start_time()),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", virtual),
        ("process_virtual_memory_max_bytes", "gauge", "Maximum amount of virtual memory available in bytes.", _limit(resource.RLIMIT_AS)),
        ("process_network_receive_bytes_total", "counter", "Number of bytes received by the process over the network.", received),
        ("process_network_transmit_bytes_total", "counter", "Number of bytes sent by the process over the network.", sent),
        ("go_goroutines", "gauge", "Tasks of the event loop: what runs side by side here.", len(asyncio.all_tasks())),
        ("go_threads", "gauge", "Threads of the operating system.", threading.active_count()),
        ("go_gc_cycles_total_gc_cycles_total", "counter", "Collections of cyclic garbage.", sum(s["collections"] for s in gc.get_stats())),
    )
    for name, type, text, value in rows:
        yield from family(name, type, text, [("", value)])
    yield from family("go_info", "gauge", "What the program runs on.", [(f'{{version="python{platform.python_version()}"}}', 1)])


_VALIDATION = {
    "declarative_validation_mismatch": "[BETA] Number of times declarative validation results differed from handwritten validation results "
    "for core types.",
    "declarative_validation_panic": "[BETA] Number of times declarative validation has panicked during validation.",
    "duplicate_validation_error": "[INTERNAL] Number of duplicate validation errors during validation.",
}
"""There is one validation here, so that nothing can differ from it."""

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


def build_lines(version: Mapping[str, str], features: Features) -> Iterator[str]:
    """`version` is what /version answers."""
    labels = labelled([name for name, _ in _BUILD], [version[field] for _, field in _BUILD])
    yield from family(
        "kubernetes_build_info",
        "gauge",
        "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
        [(labels, 1)],
    )
    binary = f"{version['major']}.{version['minor']}"
    least = f"{version['minCompatibilityMajor']}.{version['minCompatibilityMinor']}"
    labels = labelled(("binary", "component", "emulation", "min_compat"), (binary, "kube", binary, least))
    yield from family("version_info", "gauge", "[ALPHA] Versions of the program, and of what it stands in for.", [(labels, 1)])
    for what, text in _VALIDATION.items():
        yield from family(f"apiserver_validation_{what}_total", "counter", text, [("", 0)])
    samples = [(labelled(("name", "stage"), (gate.name, gate.stage)), float(gate.name in features)) for gate in gates()]
    yield from family(
        "kubernetes_feature_enabled",
        "gauge",
        "[BETA] This metric records the data about the stage and enablement of a k8s feature.",
        samples,
    )
