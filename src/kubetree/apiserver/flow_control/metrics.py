"""What priority and fairness counts, under upstream's metric names: see levels.Traffic for what is counted as requests pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kubetree.apiserver.flow_control.bootstrap import EXEMPT
from kubetree.apiserver.flow_control.levels import LINES, WAITS, WIDTHS, Level, Levels, Traffic
from kubetree.apiserver.flow_control.retry_after import Refusals
from kubetree.apiserver.metrics.exposition import Histogram, Sample, family, heading, labelled, pairs

_PREFIX = "apiserver_flowcontrol_"
_BOTH = ("flow_schema", "priority_level")

_BY_LEVEL: tuple[tuple[str, str, Callable[[Level], float]], ...] = (
    (
        "request_concurrency_limit",
        "[ALPHA] Nominal number of execution seats configured for each priority level",
        lambda level: level.limits.nominal,
    ),
    (
        "nominal_limit_seats",
        "[BETA] Nominal number of execution seats configured for each priority level",
        lambda level: level.limits.nominal,
    ),
    (
        "lower_limit_seats",
        "[ALPHA] Configured lower bound on number of execution seats available to each priority level",
        lambda level: level.limits.least,
    ),
    (
        "upper_limit_seats",
        "[ALPHA] Configured upper bound on number of execution seats available to each priority level",
        lambda level: level.limits.most,
    ),
    (
        "current_limit_seats",
        "[ALPHA] current derived number of execution seats available to each priority level",
        lambda level: level.limits.nominal if level.exempt else level.queues.limit,
    ),
    ("demand_seats_smoothed", "[ALPHA] Smoothed seat demands", lambda level: level.queues.demand.smoothed),
    (
        "demand_seats_average",
        "[ALPHA] Time-weighted average, over last adjustment period, of demand_seats",
        lambda level: level.queues.demand.mean,
    ),
    (
        "demand_seats_stdev",
        "[ALPHA] Time-weighted standard deviation, over last adjustment period, of demand_seats",
        lambda level: level.queues.demand.deviation,
    ),
    (
        "demand_seats_high_watermark",
        "[ALPHA] High watermark, over last adjustment period, of demand_seats",
        lambda level: level.queues.demand.watermark,
    ),
    ("target_seats", "[ALPHA] Seat allocation targets", lambda level: max(level.limits.least, level.queues.demand.smoothed)),
    ("current_r", "[ALPHA] R(time of last change)", lambda level: level.queues.progress),
)
_SEATS = (
    "Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the "
    "API Priority and Fairness subsystem"
)
_NOW: tuple[tuple[str, str, Callable[[Traffic], float]], ...] = (
    (
        "current_executing_requests",
        "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness "
        "subsystem",
        lambda traffic: traffic.executing,
    ),
    ("current_executing_seats", f"[BETA] {_SEATS}", lambda traffic: traffic.seats),
    ("request_concurrency_in_use", f"[ALPHA] {_SEATS}", lambda traffic: traffic.seats),
    (
        "current_inqueue_requests",
        "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem",
        lambda traffic: traffic.waiting,
    ),
)


class FlowMetrics:
    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._refusals: dict[str, Refusals] = {}

    def retry_after(self, level: str, second: int) -> int:
        """Counts a refusal; gives what the client is told to wait, in seconds."""
        return self._refusals.setdefault(level, Refusals()).add(second)

    def lines(self) -> Iterator[str]:
        found = [self._levels.traffic[key] for key in sorted(self._levels.traffic)]
        passed = [(labelled(_BOTH, (t.schema, t.level)), _dispatched(t)) for t in found if _dispatched(t)]
        text = "[BETA] Number of requests executed by API Priority and Fairness subsystem"
        yield from family(f"{_PREFIX}dispatched_requests_total", "counter", text, passed)
        refused = [(labelled((*_BOTH, "reason"), (t.schema, t.level, why)), n) for t in found for why, n in sorted(t.rejected.items())]
        text = "[BETA] Number of requests rejected by API Priority and Fairness subsystem"
        yield from family(f"{_PREFIX}rejected_requests_total", "counter", text, refused)
        for name, text, value in _NOW:
            samples: list[Sample] = [(labelled(_BOTH, (t.schema, t.level)), value(t)) for t in found]
            yield from family(_PREFIX + name, "gauge", text, samples)
        yield from self._waiting_seats(found)
        levels = sorted(self._levels, key=lambda level: level.name)
        for name, text, of_level in _BY_LEVEL:
            yield from family(_PREFIX + name, "gauge", text, [(labelled(("priority_level",), (v.name,)), of_level(v)) for v in levels])
        yield from _times(found)

    def _waiting_seats(self, found: Iterable[Traffic]) -> Iterator[str]:
        seats = {(t.schema, t.level): 0 for t in found}
        for level in self._levels:
            for queue in level.queues.queues:
                for ticket in queue.waiting:
                    seats[ticket.schema, level.name] = seats.get((ticket.schema, level.name), 0) + ticket.seats
        text = "[ALPHA] Number of seats currently pending in queues of the API Priority and Fairness subsystem"
        samples: list[Sample] = [(labelled(_BOTH, key), n) for key, n in sorted(seats.items())]
        yield from family(f"{_PREFIX}current_inqueue_seats", "gauge", text, samples)


def _dispatched(traffic: Traffic) -> int:
    waited = traffic.waits.get(True)
    return traffic.entered + (waited.count if waited is not None else 0)


def _times(found: Iterable[Traffic]) -> Iterator[str]:
    waits: list[tuple[str, Histogram]] = []
    executions: list[tuple[str, Histogram]] = []
    widths: list[tuple[str, Histogram]] = []
    lines: list[tuple[str, Histogram]] = []
    for t in found:
        labels = pairs(_BOTH, (t.schema, t.level))
        at_once = Histogram(WAITS)
        at_once.add_least(t.entered)
        for executed, waited in {True: Histogram(WAITS), **t.waits}.items():
            waits.append((f'execute="{str(executed).lower()}",{labels}', waited.merged(at_once) if executed else waited))
        executions += [(f'{labels},type="{type}"', times) for type, times in (("regular", t.times), ("watch", t.watches))]
        narrow = Histogram(WIDTHS)
        narrow.add_least(_dispatched(t) - t.widths.count)
        narrow.sum = float(narrow.count)
        widths.append((labels, narrow.merged(t.widths)))
        alone = Histogram(LINES)
        if t.level != EXEMPT:
            alone.buckets[1], alone.sum = t.entered, float(t.entered)
        lines.append((labels, alone.merged(t.lines)))
    yield from _histograms("request_wait_duration_seconds", "[BETA] Length of time a request spent waiting in its queue", waits)
    text = "Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem"
    yield from _histograms("request_execution_seconds", f"[ALPHA] {text}", executions)
    text = "Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness"
    yield from _histograms("work_estimated_seats", f"[ALPHA] {text}", widths)
    text = "Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued"
    yield from _histograms("request_queue_length_after_enqueue", f"[ALPHA] {text}", lines)


def _histograms(name: str, text: str, found: Iterable[tuple[str, Histogram]]) -> Iterator[str]:
    used = [(labels, histogram) for labels, histogram in found if histogram.count]
    if used:
        yield from heading(_PREFIX + name, "histogram", text)
    for labels, histogram in used:
        yield from histogram.lines(_PREFIX + name, labels)
