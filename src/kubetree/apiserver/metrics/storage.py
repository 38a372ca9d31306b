"""What /metrics says of stored objects, watch caches and watches: read from the caches when scraped, so that writes pay nothing for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubetree.apiserver.cache.cacher import Cacher
from kubetree.apiserver.cache.caches import Caches
from kubetree.apiserver.metrics.exposition import Histogram, Sample, family, heading, labelled, pairs

_NAMES = ("group", "resource")
_FAMILIES: tuple[tuple[str, str, str, Callable[[Cacher], float]], ...] = (
    (
        "apiserver_resource_objects",
        "gauge",
        "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
        len,
    ),
    (
        "apiserver_resource_size_estimate_bytes",
        "gauge",
        "[ALPHA] Estimated size of stored objects in database. Estimate is based on sum of last observed sizes of serialized objects. In "
        "case of a fetching error, the value will be -1.",
        lambda cache: cache.size_estimate,
    ),
    (
        "apiserver_watch_cache_resource_version",
        "gauge",
        "[ALPHA] Current resource version of watch cache broken by resource type. This is truncated to the 15 least significant digits.",
        lambda cache: cache.revision,
    ),
    (
        "apiserver_storage_events_received_total",
        "counter",
        "[BETA] Number of etcd events received split by kind.",
        lambda cache: cache.event_count,
    ),
    (
        "apiserver_watch_cache_events_received_total",
        "counter",
        "[ALPHA] Counter of events received in watch cache broken by resource type.",
        lambda cache: cache.event_count,
    ),
    (
        "apiserver_watch_cache_events_dispatched_total",
        "counter",
        "[ALPHA] Counter of events dispatched in watch cache broken by resource type.",
        lambda cache: cache.event_count,
    ),
    (
        "apiserver_watch_cache_initializations_total",
        "counter",
        "[ALPHA] Counter of watch cache initializations broken by resource type.",
        lambda cache: cache.fillings,
    ),
    (
        "watch_cache_capacity",
        "gauge",
        "[ALPHA] Total capacity of watch cache broken by resource type.",
        lambda cache: cache.window_capacity,
    ),
)
_WAITS = "apiserver_watch_cache_read_wait_seconds"


def storage_lines(caches: Caches, url: str, size: int) -> Iterator[str]:
    """`url` is the store's, `size` the bytes that it takes on disk."""
    found = sorted(caches, key=lambda c: (c.kind.group, c.kind.plural))
    old: list[Sample] = [(labelled(("resource",), (cache.kind.group_resource,)), len(cache)) for cache in found]
    text = (
        "[STABLE] [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split "
        "by kind. In case of a fetching error, the value will be -1."
    )
    yield from family("apiserver_storage_objects", "gauge", text, old)
    for name, type, text, value in _FAMILIES:
        samples: list[Sample] = [(labelled(_NAMES, (cache.kind.group, cache.kind.plural)), value(cache)) for cache in found]
        yield from family(name, type, text, samples)
    yield from heading(_WAITS, "histogram", "[ALPHA] Histogram of time spent waiting for a watch cache to become fresh.")
    for cache in found:
        at_once = Histogram(cache.waits.edges)
        at_once.add_least(cache.reads)
        yield from at_once.merged(cache.waits).lines(_WAITS, pairs(_NAMES, (cache.kind.group, cache.kind.plural)))
    sizes = [size] if size else []
    endpoint = url.partition("?")[0].replace("etcds://", "https://").replace("etcd://", "http://")
    text = "[STABLE] Size of the storage database file physically allocated in bytes."
    yield from family("apiserver_storage_size_bytes", "gauge", text, [('{storage_cluster_id="etcd-0"}', n) for n in sizes])
    text = "[ALPHA] Total size of the storage database file physically allocated in bytes."
    yield from family("apiserver_storage_db_total_size_in_bytes", "gauge", text, [(labelled(("endpoint",), (endpoint,)), n) for n in sizes])
