"""What the API server counts, under upstream's metric names: plain dicts on the hot path, rendered only when scraped."""

from __future__ import annotations

import bisect
import resource as process
from collections.abc import Callable, Iterable

from kubetree.api.kinds import Kinds
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.request_info import RequestInfo

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_SHORT = _BUCKETS[0]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"})
_CONNECTIONS = frozenset({"attach", "exec", "log", "portforward", "proxy"})
_LONG = frozenset({"WATCH", "CONNECT"})
Labels = tuple[str, ...]


class _Histogram:
    __slots__ = ("buckets", "count", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BUCKETS) + 1)
        self.count, self.sum = 0, 0.0

    def add(self, value: float) -> None:
        self.buckets[0 if value <= _SHORT else bisect.bisect_left(_BUCKETS, value)] += 1
        self.count += 1
        self.sum += value


class Metrics:
    """Counters of one API server. `gauges` are asked when scraped: name to (help, samples of labels and value); so are `sections`, which
    give lines of their own.

    Labels come from URLs: only what `kinds` serve is named, so that rubbish makes no new series.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._requests: dict[Labels, int] = {}
        self._durations: dict[Labels, _Histogram] = {}
        self._longrunning: dict[Labels, int] = {}
        self.inflight = {"mutating": 0, "readOnly": 0}
        self.gauges: dict[str, tuple[str, Callable[[], Iterable[tuple[str, float]]]]] = {}
        self.sections: list[Callable[[], Iterable[str]]] = []

    def begin(self, ctx: RequestContext) -> Labels:
        """What `end` and `observe` take for this request."""
        key = self._labels(ctx)
        if key[4] in _LONG:
            self._longrunning[key] = self._longrunning.get(key, 0) + 1
        return key

    def end(self, key: Labels) -> None:
        """The request is over, answered or not."""
        if key[4] in _LONG:
            self._longrunning[key] -= 1

    def observe(self, key: Labels, status: int, seconds: float) -> None:
        """A request was answered. How long watches and connections last says nothing of latency, and is not counted as such."""
        group, resource, scope, subresource, verb, version = key
        labels = (str(status), "", group, resource, scope, subresource, verb, version)
        self._requests[labels] = self._requests.get(labels, 0) + 1
        if verb in _LONG:
            return
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._durations[key] = _Histogram()
        histogram.add(seconds)

    def _labels(self, ctx: RequestContext) -> Labels:
        info = ctx.info
        if not info.is_resource or not self._served(info):
            return ("", "", "", "", ctx.method if ctx.method in _METHODS else "OTHER", "")
        scope = "resource" if info.name else ("namespace" if info.namespace else "cluster")
        verb = "CONNECT" if info.subresource in _CONNECTIONS else _VERBS.get(info.verb, "OTHER")
        return (info.group, info.resource, scope, info.subresource, verb, info.version)

    def _served(self, info: RequestInfo) -> bool:
        row = self._kinds.by_resource(info.group, info.version, info.resource)
        return row is not None and (not info.subresource or row.subresource(info.subresource) is not None)

    def render(self) -> str:
        """The Prometheus text format."""
        lines = [
            "# HELP apiserver_request_total [STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
            "# TYPE apiserver_request_total counter",
        ]
        for (code, dry, group, resource, scope, sub, verb, version), n in sorted(self._requests.items()):
            lines.append(
                f'apiserver_request_total{{code="{code}",component="apiserver",dry_run="{dry}",group="{group}",resource="{resource}",'
                f'scope="{scope}",subresource="{sub}",verb="{verb}",version="{version}"}} {n}'
            )
        lines += self._render_durations()
        lines += [
            "# HELP apiserver_longrunning_requests [STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.",
            "# TYPE apiserver_longrunning_requests gauge",
        ]
        for (group, resource, scope, sub, verb, version), n in sorted(self._longrunning.items()):
            lines.append(
                f'apiserver_longrunning_requests{{component="apiserver",group="{group}",resource="{resource}",scope="{scope}",'
                f'subresource="{sub}",verb="{verb}",version="{version}"}} {n}'
            )
        name = "apiserver_current_inflight_requests"
        lines += [f"# HELP {name} [STABLE] Requests being worked on, by kind of request.", f"# TYPE {name} gauge"]
        lines += [f'{name}{{request_kind="{kind}"}} {n}' for kind, n in self.inflight.items()]
        for name, (text, samples) in self.gauges.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *(f"{name}{labels} {value:g}" for labels, value in samples())]
        for section in self.sections:
            lines += section()
        used = process.getrusage(process.RUSAGE_SELF)
        lines += [
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.2f}",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {resident_bytes()}",
        ]
        return "\n".join(lines) + "\n"

    def _render_durations(self) -> Iterable[str]:
        name = "apiserver_request_duration_seconds"
        yield f"# HELP {name} [STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component."
        yield f"# TYPE {name} histogram"
        for (group, resource, scope, sub, verb, version), histogram in sorted(self._durations.items()):
            labels = (
                f'component="apiserver",dry_run="",group="{group}",resource="{resource}",scope="{scope}",subresource="{sub}",'
                f'verb="{verb}",version="{version}"'
            )
            total = 0
            for edge, n in zip((*_BUCKETS, float("inf")), histogram.buckets, strict=True):
                total += n
                yield f'{name}_bucket{{{labels},le="{"+Inf" if edge == float("inf") else format(edge, "g")}"}} {total}'
            yield f"{name}_sum{{{labels}}} {histogram.sum:.6f}"
            yield f"{name}_count{{{labels}}} {histogram.count}"


def resident_bytes() -> int:
    """This process's resident memory now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * process.getpagesize()


_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
}
