"""Mode `batch`: events wait in a bounded buffer and are sent on by a task of their own; no request waits for them.

Follows plugin/pkg/audit/buffered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubetree.apiserver.audit.sinks import Event, Losses, Sink


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """`buffer` and `largest` count events, `longest_wait` is seconds; `rate` batches a second with bursts of `burst` (0: any rate)."""

    buffer: int
    largest: int
    longest_wait: float
    rate: float = 0.0
    burst: int = 0


class Throttle:
    """A token bucket. `clock` gives seconds."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = float(burst), clock()

    def delay(self) -> float:
        """Takes a token; how many seconds to wait for it."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1
        self._at = now
        return max(0.0, -self._tokens / self._rate)


class Batching:
    """`together`: batches are sent while others are still on their way. Its tasks live in `tasks`."""

    def __init__(self, inner: Sink, limits: BatchLimits, losses: Losses, tasks: asyncio.TaskGroup, *, together: bool) -> None:
        self._inner, self._limits, self._losses, self._tasks, self._together = inner, limits, losses, tasks, together
        self._throttle = Throttle(limits.rate, limits.burst) if limits.rate else None
        self._buffer: asyncio.Queue[Event | None] = asyncio.Queue()
        self._sending: set[asyncio.Task[bool]] = set()
        self._closed = False
        self._worker = tasks.create_task(self._run(), name="audit batches")

    async def process(self, events: Sequence[Event]) -> bool:
        for i, event in enumerate(events):
            if self._closed or self._buffer.qsize() >= self._limits.buffer:
                why = "audit backend shut down" if self._closed else "audit buffer queue blocked"
                self._losses.count("buffered", why, events[i:])
                return True
            self._buffer.put_nowait(event)
        return True

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._buffer.put_nowait(None)
        await asyncio.wait({self._worker})
        if self._sending:
            await asyncio.wait(self._sending)
        await self._inner.close()

    async def _run(self) -> None:
        more = True
        while more:
            batch, more = await self._collect()
            if not batch:
                continue
            if self._throttle is not None and (delay := self._throttle.delay()):
                await asyncio.sleep(delay)
            if not self._together:
                await self._inner.process(batch)
                continue
            sending = self._tasks.create_task(self._inner.process(batch))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _collect(self) -> tuple[list[Event], bool]:
        """The next batch, full or as old as it may be; False once the end has come."""
        first = await self._buffer.get()
        if first is None:
            return [], False
        batch = [first]
        try:
            async with asyncio.timeout(self._limits.longest_wait):
                while len(batch) < self._limits.largest:
                    event = await self._buffer.get()
                    if event is None:
                        return batch, False
                    batch.append(event)
        except TimeoutError:
            pass
        return batch, True
