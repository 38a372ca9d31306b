"""A clock that runs like the machine's and can be put forward, so that a test need not wait for back-offs and timeouts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class JumpingClock:
    """kubetree.client.clock.Clock with `jump`."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def on_advance(self, function: Callable[[], None]) -> None:
        self._listeners.append(function)

    def jump(self, seconds: float) -> None:
        """Puts the clock forward and tells all who asked to be told. Call it in the event loop of those."""
        self._ahead += seconds
        for function in self._listeners:
            function()
