"""What `Retry-After` says to those who are refused: the longer a level has been refusing more than it serves, the later. Pure.

Follows apiserver/pkg/util/flowcontrol/dropped_requests_tracker.go.
"""

from __future__ import annotations

_LONGEST = 32


class Refusals:
    """Of one priority level; seconds are whole ones of a monotonic clock."""

    __slots__ = ("_changed", "_counts", "_second", "seconds")

    def __init__(self) -> None:
        self.seconds = 1
        self._second, self._changed = 0, 0
        self._counts: dict[int, int] = {}

    def add(self, second: int) -> int:
        """Counts one, gives the seconds to wait."""
        if second != self._second:
            self._second = second
            self._counts = {at: n for at, n in self._counts.items() if second - at <= _LONGEST}
            self._change(second)
        self._counts[second] = self._counts.get(second, 0) + 1
        return self.seconds

    def _change(self, second: int) -> None:
        """Doubles when three times as many were refused as the period has seconds, but not twice for one rush; one less when few were."""
        refused = sum(n for at, n in self._counts.items() if second - self.seconds <= at < second)
        if refused >= 3 * self.seconds and second - self._changed >= self.seconds:
            self.seconds, self._changed = min(self.seconds * 2, _LONGEST), second
        elif refused < self.seconds and self.seconds > 1:
            self.seconds -= 1
