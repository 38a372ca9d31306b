"""The scheduler's figures under upstream's names, for /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = tuple(0.001 * 2**n for n in range(15))


class Metrics:
    """A registry of its own for each scheduler, so that several fit in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = Counter(
            "scheduler_schedule_attempts",
            "Number of attempts to schedule pods, by the result.",
            ["result", "profile"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "scheduler_scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds (scheduling algorithm and binding).",
            ["result", "profile"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._pending = Gauge("scheduler_pending_pods", "Number of pending pods, by the queue type.", ["queue"], registry=self.registry)

    def attempt(self, result: str, seconds: float) -> None:
        """`result` is scheduled, unschedulable or error."""
        self._attempts.labels(result, "default-scheduler").inc()
        self._duration.labels(result, "default-scheduler").observe(seconds)

    def text(self, pending: dict[str, int]) -> bytes:
        for queue, count in pending.items():
            self._pending.labels(queue).set(count)
        return generate_latest(self.registry)
