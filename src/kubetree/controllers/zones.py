"""How fast nodes may be declared dead: per zone, and not at all when everything seems dead, since then it is we who are cut off.

Follows upstream's zone states in nodelifecycle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.objects import labels

Object = dict[str, Any]

NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"
FRESH = 1.0
"""Seconds that the states of a large cluster are kept for."""
SMALL = 100


@dataclass(slots=True)
class Bucket:
    """One eviction at once, and `rate` a second after."""

    tokens: float = 1.0
    filled: float = 0.0

    def take(self, rate: float, now: float) -> bool:
        self.tokens = min(1.0, self.tokens + max(0.0, now - self.filled) * rate)
        self.filled = now
        if self.tokens < 1.0 - 1e-9 or rate <= 0:
            return False
        self.tokens -= 1.0
        return True


def zone_of(node: Object) -> str:
    """Region and zone as one key; "" where nodes have neither."""
    marked = labels(node)
    zone = marked.get("failure-domain.beta.kubernetes.io/zone", marked.get("topology.kubernetes.io/zone", ""))
    region = marked.get("failure-domain.beta.kubernetes.io/region", marked.get("topology.kubernetes.io/region", ""))
    return f"{region}:\x00:{zone}" if region or zone else ""


@dataclass(slots=True)
class Zones:
    """`rate` evictions a second and zone, `secondary_rate` in a large zone that is partly disrupted, none in a small one."""

    rate: float = 0.1
    secondary_rate: float = 0.01
    large: int = 50
    threshold: float = 0.55
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _states: dict[str, tuple[str, int]] = field(default_factory=dict)
    _seen: float = float("-inf")

    def look(self, nodes: Iterable[Object], now: float) -> None:
        """Takes in how the nodes stand; of a large cluster at most once a second."""
        listed = list(nodes)
        if len(listed) > SMALL and now - self._seen < FRESH:
            return
        self._seen = now
        health: dict[str, list[bool]] = {}
        for node in listed:
            health.setdefault(zone_of(node), []).append(is_ready(node))
        self._states = {zone: (self._state(ready), len(ready)) for zone, ready in health.items()}

    def _state(self, ready: list[bool]) -> str:
        sick = ready.count(False)
        if sick == len(ready):
            return FULL
        return PARTIAL if sick > 2 and sick / len(ready) >= self.threshold else NORMAL

    @property
    def all_dead(self) -> bool:
        """Whether no zone has a ready node left."""
        return bool(self._states) and all(state == FULL for state, _ in self._states.values())

    def may_evict(self, node: Object, now: float) -> bool:
        """Whether the next node of this one's zone may be declared dead now; counts it if so."""
        if self.all_dead:
            return False
        zone = zone_of(node)
        state, size = self._states.get(zone, (NORMAL, 1))
        rate = self.rate if state != PARTIAL else self.secondary_rate if size > self.large else 0.0
        return self._buckets.setdefault(zone, Bucket(filled=now)).take(rate, now)


def is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
