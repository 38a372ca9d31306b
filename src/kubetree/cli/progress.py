"""Progress on the screen: a line a step with the time it took since the start, and a spinner while the next one runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Gives a function that says a step is done. On a terminal a spinner shows that something is going on."""
    console = Console(highlight=False)
    started = time.monotonic()
    with console.status(f"[bold]{title}[/bold]") as spinner:

        def say(step: str) -> None:
            console.print(f"[green]✓[/green] {step} [dim]{time.monotonic() - started:.1f} s[/dim]")
            spinner.update(f"[bold]{title}[/bold]")

        yield say
