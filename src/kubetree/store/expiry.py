"""Expiry by time to live for the engines of this process: one timer for the key that is due next."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

_MAX_DELAY = 30.0
"""The clock is looked at this often at least, in case it was set."""


class Expiry:
    """Calls `expire(key, revision)` when the time of a key has come that still stands at that revision. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], expire: Callable[[str, int], None]) -> None:
        self._clock, self._expire = clock, expire
        self._due: list[tuple[float, int, str]] = []
        self._revisions: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: str, revision: int, at: float) -> None:
        self._revisions[key] = revision
        heapq.heappush(self._due, (at, revision, key))
        if self._due[0][1] == revision:
            self._arm()

    def clear(self, key: str) -> None:
        self._revisions.pop(key, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            delay = min(max(self._due[0][0] - self._clock(), 0.0), _MAX_DELAY)
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            _, revision, key = heapq.heappop(self._due)
            if self._revisions.get(key) == revision:
                del self._revisions[key]
                self._expire(key, revision)
        self._arm()
