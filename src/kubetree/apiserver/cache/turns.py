"""When watchers are told: all of them in one turn, and after a turn the others get as much time as it took.

An event for a thousand watchers is a thousand encrypted writes, about 15 ms. Were each event told at once, a busy server would do nothing
else; so while a turn and the pause after it last, events gather, and go out together in one write a watcher. Few watchers, no pause.

Writers whose events wait for many watchers are answered after the turn: they cannot run ahead of those who must hear of it, and what
they write meanwhile comes together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

MANY = 32
"""Watchers from which on a turn is followed by a pause."""
LONGEST_PAUSE = 0.05
LONGEST_GATHERING = 0.005
"""Before a turn of many that nothing has held up: other writers' events of the same moment go along."""


class Turns:
    """`clock` gives seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: list[Callable[[], None]] = []
        self._writers: list[asyncio.Future[None]] = []
        self._scheduled = False
        self._took = 0.0

    def add(self, callback: Callable[[], None]) -> None:
        """Calls it in the next turn. It must not raise."""
        self._due.append(callback)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._begin)

    @property
    def crowded(self) -> bool:
        """Many wait for their turn."""
        return len(self._due) >= MANY

    async def over(self) -> None:
        """Returns once those who wait for their turn had it: after a turn and a pause at most."""
        if not self._due:
            return
        writer = asyncio.get_running_loop().create_future()
        self._writers.append(writer)
        await writer

    def _begin(self) -> None:
        """A quarter of what the last turn took is not much to wait."""
        gathering = min(self._took / 4, LONGEST_GATHERING) if len(self._due) >= MANY else 0.0
        if gathering:
            asyncio.get_running_loop().call_later(gathering, self._run)
        else:
            self._run()

    def _run(self) -> None:
        due, self._due = self._due, []
        writers, self._writers = self._writers, []
        started = self._clock()
        for callback in due:
            callback()
        for writer in writers:
            if not writer.done():
                writer.set_result(None)
        loop = asyncio.get_running_loop()
        if len(due) >= MANY:
            loop.call_soon(self._pause, started)  # by then the loop has sent what the callbacks wrote
        else:
            self._resume()

    def _pause(self, started: float) -> None:
        self._took = self._clock() - started
        asyncio.get_running_loop().call_later(min(self._took, LONGEST_PAUSE), self._resume)

    def _resume(self) -> None:
        self._scheduled = bool(self._due)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._run)
