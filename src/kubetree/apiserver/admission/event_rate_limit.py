"""EventRateLimit: so many events a second and no more, from the whole server, a namespace, a user or about one object.

Follows plugin/pkg/admission/eventratelimit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.errors import TooManyRequests
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest

Object = dict[str, Any]
_CACHE_SIZE = 4096


def _about(request: AdmissionRequest) -> str:
    event = request.obj or {}
    source, about = event.get("source") or {}, event.get("involvedObject") or {}
    parts = [source.get("component"), source.get("host")]
    parts += [about.get(name) for name in ("kind", "namespace", "name", "uid", "apiVersion")]
    return "".join(part or "" for part in parts)


_KEYS: dict[str, Callable[[AdmissionRequest], str]] = {
    "Server": lambda request: "",
    "Namespace": lambda request: request.namespace,
    "User": lambda request: request.user.name,
    "SourceAndObject": _about,
}


@dataclass(slots=True)
class _Limit:
    """A bucket of tokens for each key, the least used of them forgotten."""

    type: str
    qps: float
    burst: int
    size: int = _CACHE_SIZE
    buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    """Tokens left, and when that was."""

    def take(self, key: str, now: float) -> bool:
        tokens, then = self.buckets.pop(key, (float(self.burst), now))
        tokens = min(float(self.burst), tokens + (now - then) * self.qps)
        allowed = tokens >= 1
        self.buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self.buckets) > self.size:
            self.buckets.popitem(last=False)
        return allowed


class EventRateLimit(Plugin):
    """`limits` as the configuration's; `clock` gives seconds that only grow."""

    name = "EventRateLimit"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"events", "events.events.k8s.io"})
    subresources = frozenset({""})
    validates = True

    def __init__(self, limits: Sequence[Object], clock: Callable[[], float]) -> None:
        """Raises ValueError for limits that are none."""
        self._limits, self._clock = [_limit(i, given) for i, given in enumerate(limits)], clock
        if not limits:
            raise ValueError("EventRateLimit: limits: Invalid value: []: must not be empty")

    async def validate(self, request: AdmissionRequest) -> None:
        if request.dry_run:
            return
        now, reached = self._clock(), []
        for limit in self._limits:
            key = _KEYS[limit.type](request)
            if not limit.take(key, now):
                reached.append(f"limit reached on type {limit.type} for key {key}")
        if reached:
            raise TooManyRequests(reached[0] if len(reached) == 1 else f"[{', '.join(reached)}]")


def _limit(index: int, given: Object) -> _Limit:
    sort, qps, burst, size = given.get("type"), given.get("qps") or 0, given.get("burst") or 0, given.get("cacheSize") or 0
    at = f"EventRateLimit: limits[{index}]"
    if sort not in _KEYS:
        raise ValueError(f'{at}.type: Unsupported value: "{sort}": supported values: {", ".join(sorted(_KEYS))}')
    for name, value in (("burst", burst), ("qps", qps)):
        if value <= 0:
            raise ValueError(f"{at}.{name}: Invalid value: {value}: must be positive")
    if size < 0 or (sort == "Server" and size):
        raise ValueError(f"{at}.cacheSize: Invalid value: {size}: must not be negative")
    return _Limit(sort, float(qps), int(burst), size or _CACHE_SIZE)
