"""The scheduling queue: pods ready to be tried, pods that wait out a back-off, and pods that wait for the cluster to change.

Follows upstream's: by priority, then by age; a failed pod backs off 1 s doubling to 10 s once something has happened that may help it,
and is tried again after five minutes whatever happens. A clock is passed in; nothing here waits.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from kubetree.scheduler.pod_info import PodInfo

Key = tuple[str, str]

FIRST_BACKOFF, LAST_BACKOFF = 1.0, 10.0
LONGEST_WAIT = 300.0
ALL = "*"
"""Stands for every plugin: an event that may help any pod."""


@dataclass(slots=True)
class Queued:
    """A pod in the queue. `since` is when it first came (seconds of the clock passed in), `plugins` what refused it last."""

    info: PodInfo
    since: float
    attempts: int = 0
    failed_at: float = 0.0
    plugins: frozenset[str] = frozenset()
    moved_while_tried: bool = field(default=False)

    def backoff_until(self) -> float:
        if not self.attempts:
            return 0.0
        return float(self.failed_at + min(FIRST_BACKOFF * 2.0 ** (self.attempts - 1), LAST_BACKOFF))


class SchedulingQueue:
    """Each pod is in one of: active (heap), backing off (heap), waiting (dict), in hand (being tried)."""

    def __init__(self) -> None:
        self._pods: dict[Key, Queued] = {}
        self._active: list[tuple[int, float, int, Key]] = []
        self._backoff: list[tuple[float, int, Key]] = []
        self._waiting: dict[Key, Queued] = {}
        self._in_hand: set[Key] = set()
        self._state: dict[Key, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._pods)

    def counts(self) -> dict[str, int]:
        """Pods by state, as upstream's pending_pods metric."""
        in_backoff = sum(self._state.get(key) == number for _, number, key in self._backoff)
        active = sum(self._state.get(key) == number for _, _, number, key in self._active)
        return {"active": active, "backoff": in_backoff, "unschedulable": len(self._waiting)}

    def add(self, info: PodInfo, now: float) -> None:
        """A pod that is new, or whose spec changed: it is tried at once."""
        queued = self._pods.get(info.key)
        if queued is None or queued.info.uid != info.uid:
            self.remove(info.key)
            queued = self._pods[info.key] = Queued(info, now)
        queued.info = info
        if info.key in self._in_hand:
            queued.moved_while_tried = True
        else:
            self._activate(queued)

    def remove(self, key: Key) -> None:
        self._pods.pop(key, None)
        self._waiting.pop(key, None)
        self._state.pop(key, None)
        self._in_hand.discard(key)

    def pop(self, now: float) -> Queued | None:
        """The next pod to try, which then is in hand until `placed` or `failed`; None when none is ready."""
        self._release(now)
        while self._active:
            _, _, number, key = heapq.heappop(self._active)
            if self._state.get(key) == number:
                queued = self._pods[key]
                self._in_hand.add(key)
                self._state.pop(key)
                queued.moved_while_tried = False
                queued.attempts += 1
                return queued
        return None

    def next_due(self) -> float | None:
        """When the next pod ends its back-off or its longest wait; None when nothing is due at a known time."""
        while self._backoff and self._state.get(self._backoff[0][2]) != self._backoff[0][1]:
            heapq.heappop(self._backoff)
        times = [self._backoff[0][0]] if self._backoff else []
        times += [queued.failed_at + LONGEST_WAIT for queued in self._waiting.values()]
        return min(times, default=None)

    def placed(self, info: PodInfo) -> None:
        """The pod in hand is bound. One of the same name that came since is another pod and stays."""
        if self._is_queued(info):
            self.remove(info.key)

    def failed(self, info: PodInfo, plugins: frozenset[str], now: float) -> None:
        """The pod in hand found no node (or binding failed, with no plugins): it waits for an event, or just backs off."""
        if not self._is_queued(info):
            return
        key, queued = info.key, self._pods[info.key]
        self._in_hand.discard(key)
        queued.failed_at, queued.plugins = now, plugins
        if queued.moved_while_tried or not plugins:
            self._back_off(queued, now)
        else:
            self._waiting[key] = queued

    def _is_queued(self, info: PodInfo) -> bool:
        queued = self._pods.get(info.key)
        return queued is not None and queued.info.uid == info.uid

    def happened(self, plugins: frozenset[str], now: float) -> None:
        """Something changed that may change the answer of these plugins (ALL: of any): pods they refused are tried again."""
        for key in self._in_hand:
            if key in self._pods:
                self._pods[key].moved_while_tried = True
        for queued in [q for q in self._waiting.values() if ALL in plugins or ALL in q.plugins or q.plugins & plugins]:
            del self._waiting[queued.info.key]
            self._back_off(queued, now)

    def _release(self, now: float) -> None:
        while self._backoff and self._backoff[0][0] <= now:
            _, number, key = heapq.heappop(self._backoff)
            if self._state.get(key) == number:
                self._activate(self._pods[key])
        for queued in [q for q in self._waiting.values() if now >= q.failed_at + LONGEST_WAIT]:
            self._activate(queued)

    def _back_off(self, queued: Queued, now: float) -> None:
        until = queued.backoff_until()
        if until <= now:
            self._activate(queued)
            return
        self._count += 1
        self._state[queued.info.key] = self._count
        heapq.heappush(self._backoff, (until, self._count, queued.info.key))

    def _activate(self, queued: Queued) -> None:
        key = queued.info.key
        self._waiting.pop(key, None)
        self._count += 1
        self._state[key] = self._count
        heapq.heappush(self._active, (-queued.info.priority, queued.since, self._count, key))
