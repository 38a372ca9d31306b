"""Answers of other servers, kept for a while: what the webhook authorizer and the webhook authenticator know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
_LIMIT = 16384


class Expiring(Generic[V]):
    """Values by key, each until its time is over. `clock` gives seconds that only grow. There are at most 16,384: where more are still
    valid, all of them are forgotten, and asked for again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[float, V]] = {}

    def find(self, key: bytes) -> tuple[V] | None:
        """The value in a tuple, for None may be one; None where nothing is known any more."""
        known = self._known.get(key)
        if known is None:
            return None
        if known[0] > self._clock():
            return (known[1],)
        del self._known[key]
        return None

    def keep(self, key: bytes, value: V, seconds: float) -> None:
        if len(self._known) >= _LIMIT:
            now = self._clock()
            live = {known: item for known, item in self._known.items() if item[0] > now}
            self._known = live if len(live) < _LIMIT else {}
        self._known[key] = (self._clock() + seconds, value)
