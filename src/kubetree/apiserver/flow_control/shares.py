"""How many seats each priority level has: its share of the server's, what it lends, what it may borrow. Pure.

Follows apf_controller.go and conc_alloc.go of apiserver/pkg/util/flowcontrol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
_SMALLEST, _EPSILON = 0.001, 1e-7
_MOST_SEATS_SHARE = 0.15
_SMOOTHING = 0.977
"""Half of an old demand is forgotten after five minutes of adjustments each ten seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seats of a level: by its share, the least that lending leaves, the most that borrowing gives; and of one request of it."""

    nominal: int
    least: int
    most: int
    request: int = 0


def limits_of(levels: Mapping[str, Object], total: int) -> dict[str, Limits]:
    """`levels` are specs by name, `total` the server's seats."""
    shares = {name: (_commons(spec).get("nominalConcurrencyShares") or 0) for name, spec in levels.items()}
    whole = sum(shares.values()) or 1
    found = {}
    for name, spec in levels.items():
        common = _commons(spec)
        nominal = math.ceil(total * shares[name] / whole)
        lendable = round(nominal * (common.get("lendablePercent") or 0) / 100)
        borrowing = common.get("borrowingLimitPercent")
        most = nominal + (total if borrowing is None else round(nominal * borrowing / 100))
        found[name] = Limits(nominal, nominal - lendable, most, _request_seats(spec, nominal))
    return found


def _commons(spec: Object) -> Object:
    common: Object = spec.get("limited") or spec.get("exempt") or {}
    return common


def _request_seats(spec: Object, nominal: int) -> int:
    queuing = ((spec.get("limited") or {}).get("limitResponse") or {}).get("queuing")
    if not queuing:
        return 0
    return max(1, min(math.ceil(nominal * _MOST_SEATS_SHARE), nominal // max(queuing.get("handSize") or 1, 1)))


class Demand:
    """How many seats a level could have used: followed as it changes, read and begun anew at each adjustment."""

    __slots__ = ("_area", "_highest", "_now", "_since", "_squares", "_start", "deviation", "mean", "smoothed", "watermark")

    def __init__(self, now: float) -> None:
        self._now = self._highest = 0
        self._since = self._start = now
        self._area = self._squares = self.smoothed = 0.0
        self.mean = self.deviation = 0.0
        self.watermark = 0
        """With mean and deviation: what the last reading found."""

    def set(self, seats: int, now: float) -> None:
        passed = now - self._since
        self._area += self._now * passed
        self._squares += self._now * self._now * passed
        self._now, self._since = seats, now
        if seats > self._highest:
            self._highest = seats

    def read(self, now: float) -> int:
        """The highest demand since the last reading; updates `smoothed`, the envelope of mean and deviation."""
        self.set(self._now, now)
        span = now - self._start
        mean = self._area / span if span > 0 else float(self._now)
        deviation = math.sqrt(max(0.0, self._squares / span - mean * mean)) if span > 0 else 0.0
        envelope = mean + deviation
        self.smoothed = max(envelope, _SMOOTHING * self.smoothed + (1 - _SMOOTHING) * envelope)
        highest, self._highest = self._highest, self._now
        self.mean, self.deviation, self.watermark = mean, deviation, highest
        self._area = self._squares = 0.0
        self._start = now
        return highest


@dataclass(frozen=True, slots=True)
class Claim:
    """A level at an adjustment: what it must have, may have, and would fairly have."""

    least: float
    most: float
    target: float


def adjusted(limits: Mapping[str, Limits], highest: Mapping[str, int], smoothed: Mapping[str, float], exempt: str) -> dict[str, int]:
    """The seats of each level until the next adjustment: those that levels do not need go to levels that do."""
    taken = max(limits[exempt].least, highest[exempt]) if exempt in limits else 0
    others = [name for name in limits if name != exempt]
    lowest = {name: max(limits[name].least, min(limits[name].nominal, highest[name])) for name in others}
    nominal = sum(found.nominal for found in limits.values())
    remaining, least_of_all, lowest_of_all = nominal - taken, sum(limits[n].least for n in others), sum(lowest.values())
    out = {exempt: taken} if exempt in limits else {}
    if remaining <= least_of_all:
        return out | {name: limits[name].least for name in others}
    if remaining <= lowest_of_all:
        part = (remaining - least_of_all) / (lowest_of_all - least_of_all)
        return out | {name: limits[name].least + round((lowest[name] - limits[name].least) * part) for name in others}
    claims = [Claim(lowest[name], limits[name].most, max(lowest[name], smoothed[name])) for name in others]
    return out | dict(zip(others, (round(seats) for seats in shared_out(nominal, claims)), strict=True))


def shared_out(total: float, claims: Sequence[Claim]) -> list[float]:
    """`total` in proportion to the targets, within each claim's bounds. What cannot be brought about comes as near as bounds let it."""
    targets = [max(claim.target, _SMALLEST) for claim in claims]
    if total <= sum(c.least for c in claims) + _EPSILON:
        return [c.least for c in claims]
    if total >= sum(c.most for c in claims) - _EPSILON:
        return [c.most for c in claims]
    low, high = 0.0, max(c.most / target for c, target in zip(claims, targets, strict=True))
    for _ in range(100):  # the sum grows with the proportion, so halving finds it, to the last bit
        middle = (low + high) / 2
        if sum(_within(c, target * middle) for c, target in zip(claims, targets, strict=True)) < total:
            low = middle
        else:
            high = middle
    return [_within(c, target * high) for c, target in zip(claims, targets, strict=True)]


def _within(claim: Claim, seats: float) -> float:
    return max(claim.least, min(claim.most, seats))
