"""What priority and fairness counts, under upstream's metric names."""

from __future__ import annotations

from collections.abc import Iterator

from kubetree.apiserver.exposition import Histogram, Sample, family, labelled
from kubetree.apiserver.flow_control.levels import Levels
from kubetree.apiserver.flow_control.queues import Ticket
from kubetree.apiserver.flow_control.retry_after import Refusals

_WAITS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_BOTH, _REASON = ("flow_schema", "priority_level"), ("flow_schema", "priority_level", "reason")
Pair = tuple[str, str]


class FlowMetrics:
    """`entered` counts requests that did not have to wait: their waits, which are none, are added when somebody looks."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._entered: dict[Pair, int] = {}
        self._rejected: dict[tuple[str, str, str], int] = {}
        self._waits: dict[tuple[str, bool], Histogram] = {}
        self._refusals: dict[str, Refusals] = {}

    def entered(self, schema: str, level: str) -> None:
        key = (schema, level)
        self._entered[key] = self._entered.get(key, 0) + 1

    def waited(self, schema: str, seconds: float, *, executed: bool) -> None:
        self._waits.setdefault((schema, executed), Histogram(_WAITS)).add(seconds)

    def rejected(self, schema: str, level: str, reason: str) -> None:
        key = (schema, level, reason)
        self._rejected[key] = self._rejected.get(key, 0) + 1

    def retry_after(self, level: str, second: int) -> int:
        """Counts a refusal; gives what the client is told to wait, in seconds."""
        return self._refusals.setdefault(level, Refusals()).add(second)

    def lines(self) -> Iterator[str]:
        dispatched = dict(self._entered)
        level_of = {s["metadata"]["name"]: s["spec"]["priorityLevelConfiguration"]["name"] for s in self._levels.schemas}
        for (schema, executed), waits in self._waits.items():
            if executed:
                key = (schema, level_of.get(schema, ""))
                dispatched[key] = dispatched.get(key, 0) + waits.count
        prefix = "apiserver_flowcontrol"
        counted = [(labelled(_BOTH, key), n) for key, n in sorted(dispatched.items())]
        yield from family(f"{prefix}_dispatched_requests_total", "counter", "[BETA] Requests that were worked on.", counted)
        refused = [(labelled(_REASON, key), n) for key, n in sorted(self._rejected.items())]
        yield from family(f"{prefix}_rejected_requests_total", "counter", "[BETA] Requests that were refused, and why.", refused)
        yield from self._now(prefix)
        yield from self._seats(prefix)
        yield from self._waiting_times(f"{prefix}_request_wait_duration_seconds", dispatched)

    def _now(self, prefix: str) -> Iterator[str]:
        waiting: dict[Pair, list[Ticket]] = {}
        for level in self._levels:
            for queue in level.queues.queues:
                for ticket in queue.waiting:
                    waiting.setdefault((ticket.schema, level.name), []).append(ticket)
        samples = [(labelled(_BOTH, key), float(len(tickets))) for key, tickets in sorted(waiting.items())]
        yield from family(f"{prefix}_current_inqueue_requests", "gauge", "[BETA] Requests that wait.", samples)
        executing = [(labelled(("priority_level",), (level.name,)), float(level.queues.executing)) for level in self._levels]
        yield from family(f"{prefix}_current_executing_requests", "gauge", "[BETA] Requests that are worked on.", executing)

    def _seats(self, prefix: str) -> Iterator[str]:
        def each(name: str, text: str, value: dict[str, float]) -> Iterator[str]:
            samples: list[Sample] = [(labelled(("priority_level",), (level,)), n) for level, n in sorted(value.items())]
            yield from family(f"{prefix}_{name}", "gauge", text, samples)

        levels = list(self._levels)
        yield from each("current_executing_seats", "[BETA] Seats in use.", {v.name: v.queues.seats_in_use for v in levels})
        yield from each("nominal_limit_seats", "[BETA] Seats by share.", {v.name: v.limits.nominal for v in levels})
        yield from each("lower_limit_seats", "[ALPHA] Seats that are never lent.", {v.name: v.limits.least for v in levels})
        yield from each("upper_limit_seats", "[ALPHA] Seats with all that may be borrowed.", {v.name: v.limits.most for v in levels})
        limits = {v.name: float(v.limits.nominal if v.exempt else v.queues.limit) for v in levels}
        yield from each("current_limit_seats", "[ALPHA] Seats at present.", limits)
        smoothed = {v.name: v.queues.demand.smoothed for v in levels}
        yield from each("demand_seats_smoothed", "[ALPHA] Seats that were wanted lately.", smoothed)

    def _waiting_times(self, name: str, dispatched: dict[Pair, int]) -> Iterator[str]:
        found = dict(self._waits)
        for (schema, _), n in self._entered.items():
            whole, waited = Histogram(_WAITS), found.get((schema, True))
            if waited is not None:
                whole.buckets, whole.count, whole.sum = list(waited.buckets), waited.count, waited.sum
            whole.buckets[0] += n
            whole.count += n
            found[schema, True] = whole
        levels = dict(dispatched)
        if found:
            yield from (f"# HELP {name} [BETA] How long requests waited for a seat, in seconds.", f"# TYPE {name} histogram")
        for (schema, executed), histogram in sorted(found.items()):
            level = next((level for known, level in levels if known == schema), "")
            labels = labelled(("execute", *_BOTH), (str(executed).lower(), schema, level))[1:-1]
            yield from histogram.lines(name, labels)
