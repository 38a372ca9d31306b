"""Where components get the time from: the machine's clock, or one that a test moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from: the machine, or in tests a clock that is put forward."""

    def now(self) -> datetime:
        """Wall-clock time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def on_advance(self, function: Callable[[], None]) -> None:
        """Has `function` called whenever the time is moved by hand. The machine's clock never does."""
        ...


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def on_advance(self, function: Callable[[], None]) -> None:
        return
