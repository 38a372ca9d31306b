"""Work queue figures under upstream's names, for `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

_BUCKETS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_ADDS = Counter("workqueue_adds_total", "Total number of adds handled by workqueue", ["name"], registry=REGISTRY)
_RETRIES = Counter("workqueue_retries_total", "Total number of retries handled by workqueue", ["name"], registry=REGISTRY)
_DEPTH = Gauge("workqueue_depth", "Current depth of workqueue", ["name"], registry=REGISTRY)
_WORK = Histogram(
    "workqueue_work_duration_seconds",
    "How long in seconds processing an item from workqueue takes.",
    ["name"],
    buckets=_BUCKETS,
    registry=REGISTRY,
)


class QueueMetrics:
    """The figures of one duty's queue."""

    def __init__(self, name: str) -> None:
        self._adds, self._retries = _ADDS.labels(name), _RETRIES.labels(name)
        self._depth, self._work = _DEPTH.labels(name), _WORK.labels(name)

    def added(self) -> None:
        self._adds.inc()

    def retried(self) -> None:
        self._retries.inc()

    @contextmanager
    def working(self, depth: int) -> Iterator[None]:
        """Around the work on one key; `depth` is how many wait."""
        self._depth.set(depth)
        began = time.perf_counter()
        try:
            yield
        finally:
            self._work.observe(time.perf_counter() - began)
