"""A work queue of keys, as client-go's: a key waits once however often it is added, and is never worked on twice at a time."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BASE_DELAY = 0.005
MAX_DELAY = 1000.0


class QueueClosed(Exception):
    """The queue was closed while `get` waited."""


class WorkQueue(Generic[K]):
    """`clock` gives monotonic seconds. Delays double from `base` to `maximum` seconds with each `retry` of a key until `forget`."""

    def __init__(self, clock: Callable[[], float] | None = None, *, base: float = BASE_DELAY, maximum: float = MAX_DELAY) -> None:
        self._clock = clock
        self._base, self._maximum = base, maximum
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._working: set[K] = set()
        self._delayed: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._count = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        """Has the key worked on once more from now; while it is being worked on, right after."""
        if key in self._dirty or self._closed:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._push(key)

    def add_after(self, key: K, delay: float) -> None:
        """Adds the key `delay` seconds from now, or at the earlier moment already set for it."""
        if delay <= 0:
            self.add(key)
            return
        due = self._now() + delay
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._delayed, (due, self._count, key))
        self._arm()

    def retry(self, key: K) -> None:
        """Adds the key after its back-off, which doubles each time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(self._base * 2.0 ** min(failures, 40), self._maximum))

    def forget(self, key: K) -> None:
        """Ends the key's back-off: it was worked on with success."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key; `done` must be called with it. Raises QueueClosed."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()
                raise
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        key = self._ready.popleft()
        self._working.add(key)
        self._dirty.discard(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._push(key)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._waiters:
            self._wake()

    def release_due(self) -> None:
        """Moves the keys whose moment has come to the ready ones. Called by a timer; tests with a clock of their own call it."""
        now = self._now()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delayed and not self._closed:
            delay = max(0.0, self._delayed[0][0] - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay, self.release_due)

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
