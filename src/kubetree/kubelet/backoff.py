"""Delays that double with each failure: for restarting containers and for pulling images. The clock is passed in."""

from __future__ import annotations

from dataclasses import dataclass

RESTART_INITIAL = 10.0
RESTART_MAX = 300.0


@dataclass(slots=True)
class _Entry:
    delay: float
    updated: float


class Backoff:
    """Follows client-go's flowcontrol.Backoff: an entry is forgotten after twice the longest delay. Seconds throughout."""

    def __init__(self, initial: float = RESTART_INITIAL, longest: float = RESTART_MAX) -> None:
        self.initial, self.longest = initial, longest
        self._entries: dict[str, _Entry] = {}

    def remaining(self, key: str, since: float, now: float) -> float:
        """How long from `now` the delay that counts from `since` still lasts; 0 when there is none."""
        entry = self._entries.get(key)
        if entry is None or since - entry.updated > 2 * self.longest:
            return 0.0
        return max(0.0, since + entry.delay - now)

    def delay(self, key: str) -> float:
        """The current delay of `key`, 0 when it never failed."""
        entry = self._entries.get(key)
        return entry.delay if entry else 0.0

    def updated(self, key: str) -> float:
        entry = self._entries.get(key)
        return entry.updated if entry else 0.0

    def next(self, key: str, since: float, now: float) -> None:
        """Lengthen the delay of `key` after a failure at `since`."""
        entry = self._entries.get(key)
        if entry is None or since - entry.updated > 2 * self.longest:
            self._entries[key] = _Entry(self.initial, now)
        else:
            entry.delay = min(entry.delay * 2, self.longest)
            entry.updated = now

    def forget(self, prefix: str) -> None:
        """Drop every key that starts with `prefix`: the pod is gone."""
        for key in [k for k in self._entries if k.startswith(prefix)]:
            del self._entries[key]
