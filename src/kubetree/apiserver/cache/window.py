"""The recent events of one cache: what a watch that starts a little in the past is served from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kubetree.apiserver.cache.event import Event


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """Events are kept for `seconds`, at least `least` of them, at most `most` and at most `size` bytes of objects.

    Upstream's watch cache keeps between 100 and 102,400 events and aims at 75 seconds.
    """

    seconds: float = 75.0
    least: int = 100
    most: int = 102_400
    size: int = 64 * 1024 * 1024
    framed: int = 1024
    """The newest events keep their encoded frames; older ones encode again when a slow watcher comes for them."""


class Window:
    """A list with a moving start. A position counts all events ever added, so that readers can hold one while the start moves."""

    def __init__(self, limits: WindowLimits) -> None:
        self.limits = limits
        self._events: list[Event] = []
        self._start, self._size = 0, 0
        self.oldest = 0
        """Every event with a greater revision is here."""

    @property
    def start(self) -> int:
        return self._start

    @property
    def end(self) -> int:
        return self._start + len(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def reset(self, revision: int) -> None:
        """Empties it: nothing at or below `revision` can be told any more."""
        self._start = self.end
        self._events, self._size, self.oldest = [], 0, revision

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._size += len(event.current.data)
        old = len(self._events) - self.limits.framed
        if old > 0:
            self._events[old - 1].forget_frames()

    def trim(self, now: float) -> None:
        """Drops what the limits no longer allow."""
        limits, events, count = self.limits, self._events, 0
        while len(events) - count > limits.least:
            first = events[count]
            if len(events) - count <= limits.most and self._size <= limits.size and now - first.at <= limits.seconds:
                break
            self._size -= len(first.current.data)
            count += 1
        if count:
            self.oldest = events[count - 1].revision
            del events[:count]
            self._start += count

    def since(self, position: int) -> Sequence[Event]:
        """Events from `position` on, which must not lie before `start`."""
        return self._events[position - self._start :]

    def after(self, revision: int) -> int:
        """The position of the first event with a greater revision."""
        return self._start + bisect_right(self._events, revision, key=lambda event: event.revision)
