"""What the API server counts, under upstream's metric names: plain dicts on the hot path, rendered only when scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from kubetree.api.kinds import Kinds
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.exposition import Histogram, Sample, family, labelled
from kubetree.apiserver.request_info import RequestInfo

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_SIZES = (1000.0, 10000.0, 100000.0, 1000000.0, 10000000.0, 100000000.0, 1000000000.0)
_TEXTS = {
    "requests": "[STABLE] Requests answered, by what they asked for and how they ended.",
    "durations": "[STABLE] How long requests took, in seconds.",
    "sli": "[BETA] How long requests took, in seconds, without what others are to blame for.",
    "sizes": "[STABLE] How large answers were, in bytes.",
    "longrunning": "[STABLE] Watches, connections and proxied requests that are open.",
    "inflight": "[STABLE] Requests that are being worked on, by kind.",
    "deprecated": "[STABLE] Deprecated versions that were asked for, and the release that is without them.",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"})
_CONNECTIONS = frozenset({"attach", "exec", "log", "portforward", "proxy"})
_LONG = frozenset({"WATCH", "CONNECT"})
Labels = tuple[str, ...]


class Metrics:
    """Counters of one API server. `gauges` are asked when scraped: name to (help, samples of labels and value); so are `sections`, which
    give lines of their own.

    Labels come from URLs: only what `kinds` serve is named, so that rubbish makes no new series.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._requests: dict[Labels, int] = {}
        self._durations: dict[Labels, Histogram] = {}
        self._longrunning: dict[Labels, int] = {}
        self.inflight = {"mutating": 0, "readOnly": 0}
        self._sizes: dict[Labels, Histogram] = {}
        self._deprecated: set[Labels] = set()
        self.gauges: dict[str, tuple[str, Callable[[], Iterable[Sample]]]] = {}
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

    def observe(self, key: Labels, status: int, seconds: float, size: int = -1, dry_run: str = "") -> None:
        """A request was answered with a body of `size` bytes (-1: not known). How long watches and connections last says nothing of
        latency, and is not counted as such."""
        group, resource, scope, subresource, verb, version = key
        labels = (str(status), dry_run, group, resource, scope, subresource, verb, version)
        self._requests[labels] = self._requests.get(labels, 0) + 1
        if verb in _LONG:
            return
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._durations[key] = Histogram(_BUCKETS)
            self._sizes[key] = Histogram(_SIZES)
        histogram.add(seconds)
        if size >= 0:
            self._sizes[key].add(size)

    def deprecated(self, info: RequestInfo, removed_release: str) -> None:
        """Somebody uses a version that will go."""
        self._deprecated.add((info.group, removed_release, info.resource, info.subresource, info.version))

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

    def reset(self) -> None:
        """Counts from nothing again, as DELETE /metrics asks; what is open stays counted."""
        for counted in (self._requests, self._durations, self._sizes):
            counted.clear()
        self._deprecated.clear()

    def render(self) -> str:
        """The Prometheus text format."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        names = ("code", "component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version")
        requests = [
            (labelled(names, (code, "apiserver", dry, group, resource, scope, sub, verb, version)), n)
            for (code, dry, group, resource, scope, sub, verb, version), n in sorted(self._requests.items())
        ]
        yield from family("apiserver_request_total", "counter", _TEXTS["requests"], requests)
        yield from self._histograms("apiserver_request_duration_seconds", "durations", self._durations, dry_run='dry_run="",')
        yield from self._histograms("apiserver_request_sli_duration_seconds", "sli", self._durations)
        yield from self._histograms("apiserver_response_sizes", "sizes", self._sizes)
        open_names = ("component", "group", "resource", "scope", "subresource", "verb", "version")
        long = [
            (labelled(open_names, ("apiserver", group, resource, scope, sub, verb, version)), n)
            for (group, resource, scope, sub, verb, version), n in sorted(self._longrunning.items())
        ]
        yield from family("apiserver_longrunning_requests", "gauge", _TEXTS["longrunning"], long)
        inflight = [(labelled(("request_kind",), (kind,)), n) for kind, n in self.inflight.items()]
        yield from family("apiserver_current_inflight_requests", "gauge", _TEXTS["inflight"], inflight)
        yield from family("apiserver_requested_deprecated_apis", "gauge", _TEXTS["deprecated"], self._deprecations())
        for name, (text, samples) in self.gauges.items():
            yield from family(name, "gauge", text, samples())
        for section in self.sections:
            yield from section()

    def _histograms(self, name: str, text: str, found: Mapping[Labels, Histogram], dry_run: str = "") -> Iterator[str]:
        if found:
            yield from (f"# HELP {name} {_TEXTS[text]}", f"# TYPE {name} histogram")
        for (group, resource, scope, sub, verb, version), histogram in sorted(found.items()):
            labels = f'component="apiserver",{dry_run}group="{group}",resource="{resource}",scope="{scope}",subresource="{sub}",'
            yield from histogram.lines(name, f'{labels}verb="{verb}",version="{version}"')

    def _deprecations(self) -> Iterator[Sample]:
        names = ("group", "removed_release", "resource", "subresource", "version")
        return ((labelled(names, found), 1) for found in sorted(self._deprecated))


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
