"""The API server over SQLite and over etcd, beside upstream's where one is at hand: rates and costs with 13,000 pods, and how the costs grow
with their number. Writes the tables of docs/performance.md and docs/performance.svg.

`make bench`, or `PYTHONPATH=src python benchmarks/bench_apiserver.py [sizes, such as 1000,10000]`. Upstream's kube-apiserver is the one that
$KUBE_APISERVER names or PATH has; without one there is no such column. The servers are measured in turns, one at a time.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import load
import uvloop
from chart import Panel, chart
from servers import Server, kubetree_over_etcd, kubetree_over_sqlite, upstream_binary, upstream_over_etcd

DOCS = Path(__file__).parent.parent / "docs"
SIZES = (1000, 4000, 13_000, 40_000, 100_000)
TABLE_SIZE = 13_000
BEGIN, END = "<!-- what follows is written by make bench -->", "<!-- what make bench writes ends here -->"


@dataclass(slots=True)
class Growth:
    """What one server's requests cost at each number of pods: CPU microseconds, of lists milliseconds for a thousand objects."""

    create: list[tuple[float, float]] = field(default_factory=list)
    get: list[tuple[float, float]] = field(default_factory=list)
    by_label: list[tuple[float, float]] = field(default_factory=list)
    all: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of rates: `more` says what besides."""

    step: str
    rate: float
    unit: str
    cost: str


def grow(server: Server, growth: Growth, size: int) -> None:
    missing = size - load.count(server)
    if missing > 0:
        growth.create.append((size, load.fill(server, missing).cost))
    growth.memory.append((size, server.memory()))
    growth.get.append((size, load.get(server, 2).cost))
    growth.by_label.append((size, load.list_by_label(server, 2).cost / 1000 / (size / load.SHARDS / 1000)))
    everything, _ = load.list_all(server, 3)
    growth.all.append((size, everything.cost / 1000 / (size / 1000)))


def rates(server: Server) -> list[Row]:
    """All steps with as many pods as there are; creates come last, since they make more."""
    pods, memory, alone = load.count(server), server.memory(), server.memory(store=False)
    got, cached, labelled = load.get(server, 5), load.get(server, 5, cached=True), load.list_by_label(server, 5)
    everything, size = load.list_all(server, 5)
    watched = load.watch(server)
    made = load.create(server, 8)
    return [
        Row("create a pod", made.rate, "/s", f"{made.cost:,.0f} us"),
        Row("get", got.rate, "/s", f"{got.cost:,.0f} us"),
        Row("get from the cache (resourceVersion=0)", cached.rate, "/s", f"{cached.cost:,.0f} us"),
        Row(f"list all ({size / 1e6:.0f} MB)", everything.rate, "/s", f"{everything.cost / 1000:,.0f} ms"),
        Row("list by label (1 in 16)", labelled.rate, "/s", f"{labelled.cost / 1000:,.1f} ms"),
        Row("watch: events to 1,000 watchers", watched.rate, "/s", f"{watched.cost:,.1f} us"),
        Row(f"memory of the API server with {pods:,} pods", alone, " MiB", ""),
        Row("memory with that of etcd, where it is the store", memory, " MiB", ""),
    ]


def table(columns: dict[str, list[Row]]) -> list[str]:
    names = list(columns)
    reference = next((name for name in names if name.startswith("upstream")), None)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for at, first in enumerate(columns[names[0]]):
        cells = []
        for name in names:
            row = columns[name][at]
            text = f"{row.rate:,.0f}{row.unit}" if row.rate >= 20 else f"{row.rate:.1f}{row.unit}"
            if row.cost:
                text += f", {row.cost} CPU each"
            if reference is not None and name != reference:
                text += f" (**{row.rate / columns[reference][at].rate:.2g}x**)"
            cells.append(text)
        lines.append(f"| {first.step} | " + " | ".join(cells) + " |")
    return lines


def growth_table(growths: dict[str, Growth]) -> list[str]:
    lines = [
        "| | pods | create, us | get, us | list by label, ms per 1,000 | list all, ms per 1,000 | memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, growth in growths.items():
        creates = dict(growth.create)
        for (size, got), (_, labelled), (_, everything), (_, memory) in zip(
            growth.get, growth.by_label, growth.all, growth.memory, strict=True
        ):
            made = f"{creates[size]:,.0f}" if size in creates else ""
            lines.append(f"| {name} | {size:,.0f} | {made} | {got:,.0f} | {labelled:.2f} | {everything:.2f} | {memory:,.0f} |")
    return lines


def panels(growths: dict[str, Growth]) -> list[Panel]:
    """What is drawn of the growth."""
    drawn: list[tuple[str, Callable[[Growth], list[tuple[float, float]]]]] = [
        ("create: CPU us each", lambda g: g.create),
        ("get: CPU us each", lambda g: g.get),
        ("list by label: CPU ms per 1,000", lambda g: g.by_label),
        ("memory, MiB", lambda g: g.memory),
    ]
    return [Panel(title, {name: points(growth) for name, growth in growths.items()}) for title, points in drawn]


def write(columns: dict[str, list[Row]], growths: dict[str, Growth], path: Path, load_before: float) -> None:
    """Puts the tables between the marks of the page, and the picture beside it."""
    text = path.read_text()
    before, rest = text.partition(BEGIN)[::2]
    after = rest.partition(END)[2]
    machine = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} processors, "
    machine += f"which wrk and the client share; load average before the run {load_before:.1f}."
    made = [BEGIN, "", machine, ""]
    if columns:
        made += [*table(columns), ""]
    made += ["![how costs grow with the number of pods](performance.svg)", "", *growth_table(growths), "", END]
    path.write_text(before + "\n".join(made) + after)
    path.with_suffix(".svg").write_text(chart(panels(growths), "pods"))


def main(sizes: Sequence[int]) -> None:
    lacking = load.missing()
    if lacking is not None:
        print(f"skipped: {lacking}")
        return
    uvloop.install()
    load_before = os.getloadavg()[0]
    starts = [kubetree_over_sqlite, kubetree_over_etcd, *([upstream_over_etcd] if upstream_binary() else [])]
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(start()) for start in starts]
        growths, columns = {server.name: Growth() for server in servers}, dict[str, list[Row]]()
        for size in sizes:
            for server in servers:
                started = time.perf_counter()
                grow(server, growths[server.name], size)
                print(f"{server.name:<18}{size:>8,} pods, {time.perf_counter() - started:.0f} s", flush=True)
            if size == TABLE_SIZE:
                columns = {server.name: rates(server) for server in servers}
                print("\n".join(table(columns)), flush=True)
        print("\n".join(growth_table(growths)), flush=True)
    write(columns, growths, DOCS / "performance.md", load_before)


main([int(size) for size in sys.argv[1].split(",")] if len(sys.argv) > 1 else SIZES)
