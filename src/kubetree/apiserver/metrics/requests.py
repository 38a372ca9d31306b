"""What the API server counts of requests, under upstream's metric names: plain numbers on the hot path, text only when scraped.

Follows apiserver's endpoints/metrics: what a filter answers (401, 403) is not counted, nor what is no resource and no health page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from aiohttp import web

from kubetree.api.kinds import Kinds
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.http.request import OrdinaryRequest
from kubetree.apiserver.metrics.choice import Choice
from kubetree.apiserver.metrics.exposition import Histogram, Sample, family, heading, labelled, pairs
from kubetree.apiserver.verbs.patch import APPLY
from kubetree.apiserver.wire.request_info import RequestInfo

_EDGES = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_LATENCY = _EDGES[2:]
_SIZES = (1000.0, 10000.0, 100000.0, 1000000.0, 10000000.0, 100000000.0, 1000000000.0)
_BODIES = tuple(50_000.0 + 100_000.0 * i for i in range(31))
_TEXTS = {
    "requests": "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, "
    "and HTTP response code.",
    "durations": "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, "
    "scope and component.",
    "sli": "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for "
    "each verb, group, version, resource, subresource, scope and component.",
    "sizes": "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
    "bodies": "[ALPHA] Apiserver request body size in bytes broken out by resource and verb.",
    "longrunning": "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and "
    "component. Not all requests are tracked this way.",
    "inflight": "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
    "inqueue": "[ALPHA] Maximal number of queued requests in this apiserver per request kind in last second.",
    "deprecated": "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and "
    "removed_release.",
    "terminations": "[ALPHA] Number of requests which apiserver terminated in self-defense.",
    "aborts": "[ALPHA] Number of requests which apiserver aborted possibly due to a timeout, for each group, version, verb, resource, "
    "subresource and scope",
    "validation": "[ALPHA] Response latency distribution in seconds for each field validation value",
    "handshakes": "[ALPHA] Number of requests dropped with 'TLS handshake error from' error",
}
_CONNECTIONS = frozenset({"attach", "exec", "log", "portforward", "proxy"})
_LONG = frozenset({"WATCH", "CONNECT"})
_READS = frozenset({"GET", "LIST"})
_PAGES = frozenset({"/healthz", "/livez", "/readyz"})
_DOCUMENTS = "/openapi/v3"
_VALIDATIONS = frozenset({"Ignore", "Strict", "Warn"})
_NAMES = ("component", "group", "resource", "scope", "subresource", "verb", "version")
Labels = tuple[str, ...]


class Row:
    """What is counted of requests that have `labels` in common: component, group, resource, scope, subresource, verb, version. Their
    bodies are counted under the verb `writes`, if any."""

    __slots__ = ("bodies", "codes", "dry", "labels", "long", "open", "sizes", "sli", "times", "writes")

    def __init__(self, labels: Labels, writes: str = "") -> None:
        self.labels, self.long = labels, labels[5] in _LONG
        self.open = 0
        self.codes: dict[int, int] = {}
        self.times = Histogram(_EDGES)
        self.dry: dict[str, tuple[dict[int, int], Histogram]] = {}
        self.sizes = Histogram(_SIZES) if labels[5] in _READS else None
        self.sli: tuple[Histogram, Histogram] | None = None
        """How long requests took that had to wait for others: as a whole, and without that."""
        self.bodies = Histogram(_BODIES)
        self.writes = writes


class Metrics:
    """Counters of one API server. `gauges` are asked when scraped: name to (help, samples of labels and value); so are `sections`, which
    give lines of their own.

    Labels come from URLs: only what `kinds` serve is named, so that rubbish makes no new series.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._rows: dict[Labels, Row] = {}
        self._nothing = Row(("",) * 7)
        self.inflight = {"mutating": 0, "readOnly": 0}
        self.inqueue = {"mutating": 0, "readOnly": 0}
        self._deprecated: set[Labels] = set()
        self._terminations: dict[Labels, int] = {}
        self._aborts: dict[Labels, int] = {}
        self._validation: dict[str, Histogram] = {"": Histogram(_LATENCY)}
        self.handshake_errors: Callable[[], int] = int
        """How many clients did not get through TLS."""
        self.gauges: dict[str, tuple[str, Callable[[], Iterable[Sample]]]] = {}
        self.sections: list[Callable[[], Iterable[str]]] = []
        self.choice = Choice()

    def begin(self, ctx: RequestContext) -> Row:
        """What `end` and `observe` take for this request."""
        info = ctx.info
        if info.is_resource:
            apply = ctx.method == "PATCH" and ctx.headers.get("Content-Type", "") == APPLY
            kind = "A" if apply else "R" if info.name else "N" if info.namespace else "C"
            row = self._rows.get((kind, info.verb, info.group, info.version, info.resource, info.subresource))
            if row is None:
                row = self._new_row(kind, info)
        elif info.path in _PAGES or info.path.startswith(_DOCUMENTS):
            row = self._page(info.path, ctx.method)
        else:
            return self._nothing
        if row.long:
            row.open += 1
        return row

    def end(self, row: Row) -> None:
        """The request is over, answered or not."""
        if row.long:
            row.open -= 1

    def observe(self, row: Row, ctx: RequestContext, status: int, seconds: float, size: int = -1) -> None:
        """A request was answered with a body of `size` bytes (-1: not known)."""
        if row.writes:
            row.bodies.add(_body_size(ctx.http))
        codes, times = row.codes, row.times
        if ctx.query:
            if "dryRun" in ctx.query:
                codes, times = row.dry.setdefault(_dry_run(ctx.query["dryRun"]), ({}, Histogram(_EDGES)))
            if "fieldValidation" in ctx.query:
                self._validated(ctx.query["fieldValidation"], seconds)
        codes[status] = codes.get(status, 0) + 1
        times.add(seconds)
        if size >= 0 and row.sizes is not None:
            row.sizes.add(size)
        if ctx.waits and times is row.times:
            if row.sli is None:
                row.sli = (Histogram(_EDGES), Histogram(_EDGES))
            row.sli[0].add(seconds)
            row.sli[1].add(max(0.0, seconds - sum(ctx.waits.values())))

    def deprecated(self, info: RequestInfo, removed_release: str) -> None:
        """Somebody uses a version that will go."""
        self._deprecated.add((info.group, removed_release, info.resource, info.subresource, info.version))

    def terminated(self, row: Row, info: RequestInfo, status: int, component: str = "apiserver") -> None:
        """The server ended a request to protect itself, or could not reach who was to answer it."""
        if row is self._nothing:
            known: Labels = (component, "", "", "", info.path, "GET", "")
        else:
            known = (component, *row.labels[1:])
        key = (str(status), *known)
        self._terminations[key] = self._terminations.get(key, 0) + 1

    def aborted(self, row: Row) -> None:
        """The client has gone before the answer, or an answer was broken off."""
        self._aborts[row.labels[1:]] = self._aborts.get(row.labels[1:], 0) + 1

    def dropped(self, row: Row) -> None:
        """A request was told to come again later."""
        row.codes[429] = row.codes.get(429, 0) + 1

    def _page(self, path: str, method: str) -> Row:
        shown = path if path in _PAGES else path[1:] if path.rstrip("/") == _DOCUMENTS else "openapi/v3/"
        key = ("P", shown)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row(("", "", "", "", shown, "GET", ""))
        return row if method in ("GET", "HEAD") else self._nothing

    def _new_row(self, kind: str, info: RequestInfo) -> Row:
        if not self._served(info):
            return self._nothing
        verb = "CONNECT" if info.subresource in _CONNECTIONS else "APPLY" if kind == "A" else _VERBS.get(info.verb, "OTHER")
        scope = "resource" if kind in "AR" or info.verb == "create" else "namespace" if kind == "N" else "cluster"
        labels = ("apiserver", info.group, info.resource, scope, info.subresource, verb, info.version)
        row = next((row for row in self._rows.values() if row.labels == labels), None) or Row(labels, _WRITES.get(info.verb, ""))
        self._rows[kind, info.verb, info.group, info.version, info.resource, info.subresource] = row
        return row

    def _served(self, info: RequestInfo) -> bool:
        row = self._kinds.by_resource(info.group, info.version, info.resource)
        return row is not None and (not info.subresource or row.subresource(info.subresource) is not None)

    def _validated(self, values: list[str], seconds: float) -> None:
        name = values[0] if len(values) == 1 and values[0] in _VALIDATIONS else "invalid"
        self._validation.setdefault(name, Histogram(_LATENCY)).add(seconds)

    def reset(self) -> None:
        """Counts from nothing again, as DELETE /metrics asks; what is open stays counted."""
        for row in self._rows.values():
            fresh = Row(row.labels)
            row.codes, row.times, row.dry, row.sizes, row.sli = fresh.codes, fresh.times, fresh.dry, fresh.sizes, None
            row.bodies = fresh.bodies
        for counted in (self._terminations, self._aborts):
            counted.clear()
        self._validation = {"": Histogram(_LATENCY)}
        self._deprecated.clear()

    def render(self) -> str:
        """The Prometheus text format."""
        return self.choice.render(self._lines())

    def _lines(self) -> Iterator[str]:
        rows = sorted({id(row): row for row in self._rows.values()}.values(), key=lambda row: row.labels)
        yield from family("apiserver_request_total", "counter", _TEXTS["requests"], _totals(rows))
        yield from _histograms("apiserver_request_duration_seconds", "durations", _durations(rows))
        for name in ("apiserver_request_sli_duration_seconds", "apiserver_request_slo_duration_seconds"):
            yield from _histograms(name, "sli", _indicators(rows), _LATENCY)
        sizes = ((pairs(_NAMES, row.labels), row.sizes) for row in rows if row.sizes is not None)
        yield from _histograms("apiserver_response_sizes", "sizes", sizes)
        yield from _histograms("apiserver_request_body_size_bytes", "bodies", _bodies(rows).items())
        long = [(labelled(_NAMES, row.labels), row.open) for row in rows if row.long]
        yield from family("apiserver_longrunning_requests", "gauge", _TEXTS["longrunning"], long)
        for what, now in (("inflight", self.inflight), ("inqueue", self.inqueue)):
            kinds = [(labelled(("request_kind",), (kind,)), n) for kind, n in now.items()]
            yield from family(f"apiserver_current_{what}_requests", "gauge", _TEXTS[what], kinds)
        yield from family("apiserver_requested_deprecated_apis", "gauge", _TEXTS["deprecated"], self._deprecations())
        ended = [(labelled(("code", *_NAMES), key), n) for key, n in sorted(self._terminations.items())]
        yield from family("apiserver_request_terminations_total", "counter", _TEXTS["terminations"], ended)
        gone = [(labelled(_NAMES[1:], key), n) for key, n in sorted(self._aborts.items())]
        yield from family("apiserver_request_aborts_total", "counter", _TEXTS["aborts"], gone)
        yield from _histograms(
            "field_validation_request_duration_seconds",
            "validation",
            ((pairs(("field_validation",), (value,)), found) for value, found in sorted(self._validation.items())),
            empty=True,
        )
        yield from family("apiserver_tls_handshake_errors_total", "counter", _TEXTS["handshakes"], [("", self.handshake_errors())])
        for name, (text, samples) in self.gauges.items():
            yield from family(name, "gauge", text, samples())
        for section in self.sections:
            yield from section()

    def _deprecations(self) -> Iterator[Sample]:
        names = ("group", "removed_release", "resource", "subresource", "version")
        return ((labelled(names, found), 1) for found in sorted(self._deprecated))


def _totals(rows: Iterable[Row]) -> Iterator[Sample]:
    for row in rows:
        for dry_run, codes in (("", row.codes), *((value, found[0]) for value, found in sorted(row.dry.items()))):
            for code, n in sorted(codes.items()):
                yield labelled(("code", "dry_run", *_NAMES), (str(code), dry_run, *row.labels)), n


def _durations(rows: Iterable[Row]) -> Iterator[tuple[str, Histogram]]:
    for row in rows:
        for dry_run, times in (("", row.times), *((value, found[1]) for value, found in sorted(row.dry.items()))):
            yield pairs(("dry_run", *_NAMES), (dry_run, *row.labels)), times


def _indicators(rows: Iterable[Row]) -> Iterator[tuple[str, Histogram]]:
    for row in rows:
        times = row.times if row.sli is None else row.times.merged(row.sli[0], -1).merged(row.sli[1])
        yield pairs(_NAMES, row.labels), times


def _bodies(rows: Iterable[Row]) -> Mapping[str, Histogram]:
    found: dict[str, Histogram] = {}
    for row in rows:
        if row.writes:
            labels = pairs(("group", "resource", "verb"), (row.labels[1], row.labels[2], row.writes))
            found[labels] = found[labels].merged(row.bodies) if labels in found else row.bodies
    return found


def _histograms(
    name: str, text: str, found: Iterable[tuple[str, Histogram]], edges: tuple[float, ...] | None = None, *, empty: bool = False
) -> Iterator[str]:
    used = [(labels, histogram) for labels, histogram in found if empty or histogram.count]
    if used:
        yield from heading(name, "histogram", _TEXTS[text])
    for labels, histogram in used:
        yield from histogram.lines(name, labels, edges)


def _body_size(http: web.BaseRequest) -> int:
    return len(http.received) if isinstance(http, OrdinaryRequest) else http.content_length or 0


def _dry_run(values: list[str]) -> str:
    return "All" if set(values) == {"All"} else "invalid"


_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_WRITES = {"create": "create", "update": "update", "patch": "patch", "delete": "delete", "deletecollection": "delete_collection"}
