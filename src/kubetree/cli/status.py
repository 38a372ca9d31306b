"""kubetree status."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from kubetree.api.times import human_age
from kubetree.cluster.layout import Layout
from kubetree.cluster.settings import read_settings
from kubetree.cluster.status import processes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print nothing; the exit code is 0 when everything runs")


def run(options: argparse.Namespace) -> int:
    """0 when every component runs, 3 when some does not (as `systemctl status`)."""
    layout = Layout()
    found = processes(layout)
    if not options.quiet:
        table = Table(box=None, header_style="bold")
        for title, justify in (("COMPONENT", "left"), ("PID", "right"), ("AGE", "right"), ("CPU", "right"), ("MEMORY", "right")):
            table.add_column(title, justify="left" if justify == "left" else "right")
        for each in found:
            if each.pid:
                table.add_row(each.name, str(each.pid), human_age(each.seconds), f"{each.cpu:.1f} s", f"{each.pss / 2**20:.0f} MiB")
            else:
                table.add_row(each.name, "-", "[red]not running[/red]", "", "")
        table.add_row("[bold]all[/bold]", "", "", "", f"[bold]{sum(each.pss for each in found) / 2**20:.0f} MiB[/bold]")
        console = Console(highlight=False)
        console.print(table)
        console.print(f"API server: {read_settings(layout).server}\ndata: {layout.data}   logs: {layout.log}")
    return 0 if all(each.pid for each in found) else 3
