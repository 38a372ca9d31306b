"""What verbs and plugins count besides requests: lists, events of watches, expressions. Plain numbers; text when scraped.

One per API server, at `Registry.counters`. Nothing here looks at a request.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TypeVar

from kubetree.api.kinds import Kind
from kubetree.apiserver.metrics.exposition import Counter, Distribution, Histogram, Sample, family, heading, labelled, pairs

T = TypeVar("T")
_DAY = 86400.0
_LIFETIMES = (0.0, 1800.0, 3600.0, 7200.0, 21600.0, 43200.0, *(days * _DAY for days in (1, 2, 4, 7, 30, 90, 180, 360)))
_ACCOUNT_TOKENS = {
    "invalid_legacy_auto_token_uses": "invalid auto-generated legacy tokens",
    "legacy_auto_token_uses": "auto-generated legacy tokens",
    "legacy_manual_token_uses": "manually created legacy tokens",
    "legacy_tokens": "legacy service account tokens",
    "stale_tokens": "stale projected service account tokens",
    "valid_tokens": "valid projected service account tokens",
}
_EVENT_SIZES = (1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131072.0)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Events(Histogram):
    """The events that watches of one row were sent, by their size in bytes."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_EVENT_SIZES)

    def sent(self, frames: Sequence[bytes], size: int, watches: int = 1) -> None:
        """`size`: of all of them together; each was sent to so many. A batch is sorted once rather than looked at frame by frame."""
        self.sum += size * watches
        if len(frames) == 1:
            self.buckets[0 if size <= 1024 else bisect.bisect_left(self.edges, size)] += watches
            return
        sizes, before = sorted(map(len, frames)), 0
        for at, edge in enumerate(self.edges):
            until = bisect.bisect_right(sizes, edge, before)
            self.buckets[at] += (until - before) * watches
            if until == len(sizes):
                return
            before = until
        self.buckets[-1] += (len(sizes) - before) * watches


class Calls:
    """What the server asks of others, as client-go counts it, and what it thinks of their certificates."""

    def __init__(self) -> None:
        sizes = (64.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0)
        self._requests = Counter(
            "rest_client_requests_total",
            "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
            *("code", "host", "method"),
        )
        self._times = Distribution(
            "rest_client_request_duration_seconds",
            "[ALPHA] Request latency in seconds. Broken down by verb, and host.",
            (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0),
            *("host", "verb"),
        )
        self._sent = Distribution(
            "rest_client_request_size_bytes", "[ALPHA] Request size in bytes. Broken down by verb and host.", sizes, "host", "verb"
        )
        self._got = Distribution(
            "rest_client_response_size_bytes", "[ALPHA] Response size in bytes. Broken down by verb and host.", sizes, "host", "verb"
        )
        self.nameless = Counter(
            "apiserver_webhooks_x509_missing_san_total",
            f"[ALPHA] {_X509.format('missing SAN extension', 'the lack of x509 certificate SAN extension missing')}",
        )
        self.weak = Counter(
            "apiserver_webhooks_x509_insecure_sha1_total",
            f"[ALPHA] {_X509.format('with insecure SHA1 signatures', 'the insecure SHA1 signatures')}",
        )
        self.families = (self._requests, self._times, self._sent, self._got, self.nameless, self.weak)

    def add(self, host: str, method: str, code: str, seconds: float, sent: int, got: int) -> None:
        """`code` is <error> where there was no answer; `got` -1: nothing was."""
        self._requests.add(code, host, method)
        self._times.add(seconds, host, method)
        self._sent.add(sent, host, method)
        if got >= 0:
            self._got.add(got, host, method)


_X509 = (
    "Counts the number of requests to servers {} in their serving certificate OR the number of connection failures due to {} (either/or, "
    "based on the runtime environment)"
)


class Counters:
    """`clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.watch_lists = Distribution(
            "apiserver_watch_list_duration_seconds",
            "[BETA] Response latency distribution in seconds for watch list requests broken by group, version, resource and scope.",
            (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
            *("group", "version", "resource", "scope"),
        )
        self.pod_security = Counter(
            "pod_security_evaluations_total",
            "[ALPHA] Number of policy evaluations that occurred, not counting ignored or exempt requests.",
            *("decision", "policy_level", "policy_version", "mode", "request_operation", "resource", "subresource"),
        )
        self.pod_security_exemptions = Counter(
            "pod_security_exemptions_total",
            "[ALPHA] Number of exempt requests, not counting ignored or out of scope requests.",
            *("request_operation", "resource", "subresource"),
        )
        for operation in ("create", "update"):  # upstream has these from the start
            self.pod_security.add("allow", "privileged", "latest", "enforce", operation, "pod", "", count=0)
            for resource in ("pod", "controller"):
                self.pod_security_exemptions.add(operation, resource, "", count=0)
        self.calls = Calls()
        self.stored_bytes = 0
        """How large the store was when it was last looked at; 0: it is not on a disk."""
        self.addresses = Counter(
            "kube_apiserver_clusterip_allocator_allocation_total",
            "[ALPHA] Number of Cluster IPs allocations",
            *("cidr", "scope"),
        )
        self.certificates = Histogram(_LIFETIMES)
        """Seconds that certificates were still good for as requests came with them."""
        self.account_tokens = dict.fromkeys(_ACCOUNT_TOKENS, 0)
        """Uses of service-account tokens, by what `_ACCOUNT_TOKENS` knows."""
        self._events: dict[tuple[str, str, str], Events] = {}
        self._lists: dict[tuple[str, str, str], list[int]] = {}
        """By group, index and resource: how many lists, objects looked at, objects given."""
        self.init_events = Counter(
            "apiserver_init_events_total",
            "[ALPHA] Counter of init events processed in watch cache broken by resource type.",
            *("group", "resource"),
        )
        self.compilations = Distribution("apiserver_cel_compilation_duration_seconds", "[BETA] CEL compilation time in seconds.", _SECONDS)
        self.evaluations = Distribution("apiserver_cel_evaluation_duration_seconds", "[BETA] CEL evaluation time in seconds.", _SECONDS)
        self.conversions = Counter(
            "apiserver_conversion_webhook_request_total",
            "[ALPHA] Counter for conversion webhook requests with success/failure and failure error type",
            *("failure_type", "result"),
        )
        self.conversion_times = Distribution(
            "apiserver_conversion_webhook_duration_seconds",
            "[ALPHA] Conversion webhook request latency",
            (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0),
            *("failure_type", "result"),
        )
        self.definition_conversions = Distribution(
            "apiserver_crd_conversion_webhook_duration_seconds",
            "[ALPHA] CRD webhook conversion duration in seconds",
            tuple(0.001 * 2**i for i in range(15)),
            *("crd_name", "from_version", "to_version", "succeeded"),
        )

    def events(self, kind: Kind) -> Events:
        """To be kept by a watch of that row."""
        key = (kind.group, kind.plural, kind.version)
        found = self._events.get(key)
        if found is None:
            found = self._events[key] = Events()
        return found

    def listed(self, kind: Kind, index: str, fetched: int, returned: int) -> None:
        """A list was answered from the watch cache of `kind`; `index` is what it was narrowed by."""
        found = self._lists.get((kind.group, index, kind.plural))
        if found is None:
            found = self._lists[kind.group, index, kind.plural] = [0, 0, 0]
        found[0] += 1
        found[1] += fetched
        found[2] += returned

    def compiled(self, compile: Callable[[], T]) -> T:
        """`compile`, with its time counted."""
        started = self._clock()
        try:
            return compile()
        finally:
            self.compilations.add(self._clock() - started)

    def converted(self, definition: str, versions: tuple[str, str], failure: str, seconds: float) -> None:
        """A conversion webhook was asked for objects at the second version that are at the first; `failure` '' where it did its work."""
        labels = (failure, "failure" if failure else "success")
        self.conversions.add(*labels)
        self.conversion_times.add(seconds, *labels)
        self.definition_conversions.add(seconds, definition, *versions, str(not failure).lower())

    def evaluated(self, evaluate: Callable[[], T]) -> T:
        """`evaluate`, with its time counted."""
        started = self._clock()
        try:
            return evaluate()
        finally:
            self.evaluations.add(self._clock() - started)

    def lines(self) -> Iterator[str]:
        yield from self._list_lines()
        events, names = sorted(self._events.items()), ("group", "resource", "version")
        total: list[Sample] = [(labelled(names, key), found.count) for key, found in events if found.count]
        yield from family("apiserver_watch_events_total", "counter", "[ALPHA] Number of events sent in watch clients", total)
        if total:
            yield from heading("apiserver_watch_events_sizes", "histogram", "[ALPHA] Watch event size distribution in bytes")
        for key, found in events:
            if found.count:
                yield from found.lines("apiserver_watch_events_sizes", pairs(names, key))
        name = "apiserver_client_certificate_expiration_seconds"
        text = "[ALPHA] Distribution of the remaining lifetime on the certificate used to authenticate a request."
        yield from heading(name, "histogram", text)
        yield from self.certificates.lines(name, "")
        for what, text in _ACCOUNT_TOKENS.items():
            yield from family(
                f"serviceaccount_{what}_total", "counter", f"[ALPHA] Cumulative {text} used", [("", self.account_tokens[what])]
            )
        for metric in (
            *self.calls.families,
            self.addresses,
            self.pod_security,
            self.pod_security_exemptions,
            self.watch_lists,
            self.init_events,
            self.compilations,
            self.evaluations,
            self.conversions,
            self.conversion_times,
            self.definition_conversions,
        ):
            yield from metric.render()

    def _list_lines(self) -> Iterator[str]:
        by_index = [(labelled(("group", "index", "resource"), key), found) for key, found in sorted(self._lists.items())]
        returned: dict[tuple[str, str], int] = {}
        for (group, _, resource), found in self._lists.items():
            returned[group, resource] = returned.get((group, resource), 0) + found[2]
        name, text = "apiserver_cache_list_total", "[ALPHA] Number of LIST requests served from watch cache"
        yield from family(name, "counter", text, [(labels, found[0]) for labels, found in by_index])
        name = "apiserver_cache_list_fetched_objects_total"
        text = "[ALPHA] Number of objects read from watch cache in the course of serving a LIST request"
        yield from family(name, "counter", text, [(labels, found[1]) for labels, found in by_index])
        name, text = "apiserver_cache_list_returned_objects_total", "[ALPHA] Number of objects returned for a LIST request from watch cache"
        yield from family(name, "counter", text, [(labelled(("group", "resource"), key), n) for key, n in sorted(returned.items())])
