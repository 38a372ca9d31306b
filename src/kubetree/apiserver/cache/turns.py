"""When watchers are told: all of them in one turn, and what comes until the next turn goes out together, in one write a watcher.

An event for a thousand watchers is a thousand encrypted writes, about 20 ms. A turn is cut into slices, between which the rest of the server
goes on, and after a turn of many there is a pause, as long as the turn was: what is written meanwhile travels together. Few watchers, no pause.

Writers whose events wait for many watchers are answered after the turn: they cannot run ahead of those who must hear of it. Once as many
have written again as before any of the last turns, and no other write is under way, the pause ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

MANY = 32
"""Watchers from which on a turn is followed by a pause."""
SLICE = 0.005
"""Seconds after which a turn lets others run."""
LONGEST_PAUSE = 0.05
Work = Callable[[], Iterable[None] | None]
"""What is done in a turn; when it is much, in steps. It must not raise."""


class Turns:
    """`clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: list[Work] = []
        self._weight = 0
        self._writers: list[asyncio.Future[None]] = []
        self._scheduled = False
        self.writing = 0
        """See watch_cache.Turns."""
        self._pause: asyncio.TimerHandle | None = None
        self._lately: deque[int] = deque(maxlen=8)

    def add(self, work: Work, weight: int = 1) -> None:
        """Does it in the next turn. `weight`: for how many watchers."""
        self._due.append(work)
        self._weight += weight
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    @property
    def crowded(self) -> bool:
        """Many wait for their turn."""
        return self._weight >= MANY

    async def over(self) -> None:
        """Returns once those who wait for their turn had it: after a pause and a turn at most."""
        if not self._due:
            return
        loop = asyncio.get_running_loop()
        writer = loop.create_future()
        self._writers.append(writer)
        if self._pause is not None and not self.writing and 0 < max(self._lately) <= len(self._writers):
            self._pause.cancel()
            self._pause = None
            loop.call_soon(self._run)
        await writer

    def _run(self) -> None:
        due, self._due, many, self._weight = self._due, [], self.crowded, 0
        writers, self._writers = self._writers, []
        self._slice(_steps(due), writers, self._clock(), many)

    def _slice(self, steps: Iterator[None], writers: list[asyncio.Future[None]], started: float, many: bool) -> None:
        loop, end = asyncio.get_running_loop(), self._clock() + SLICE
        for _ in steps:
            if self._clock() >= end:
                loop.call_soon(self._slice, steps, writers, started, many)
                return
        for writer in writers:
            if not writer.done():
                writer.set_result(None)
        if many:
            self._lately.append(len(writers))
            self._pause = loop.call_later(min(self._clock() - started, LONGEST_PAUSE), self._resume)
        else:
            self._resume()

    def _resume(self) -> None:
        self._pause = None
        self._scheduled = bool(self._due)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._run)


def _steps(due: Iterable[Work]) -> Iterator[None]:
    for work in due:
        steps = work()
        if steps is not None:
            yield from steps
        yield
