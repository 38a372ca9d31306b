"""What /metrics says of stored objects, watch caches and watches: read from the caches when scraped, so that writes pay nothing for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from kubetree.apiserver.cache.caches import Caches
from kubetree.apiserver.exposition import Sample, family, labelled


def storage_lines(caches: Caches, url: str) -> Iterator[str]:
    """`url` is the store's."""
    old: list[Sample] = []
    objects: list[Sample] = []
    sizes: list[Sample] = []
    watchers: list[Sample] = []
    revisions: list[Sample] = []
    capacities: list[Sample] = []
    events: list[Sample] = []
    for cache in sorted(caches, key=lambda c: (c.kind.group, c.kind.plural)):
        kind = cache.kind
        labels = labelled(("group", "resource"), (kind.group, kind.plural))
        old.append((labelled(("resource",), (kind.group_resource,)), len(cache)))
        objects.append((labels, len(cache)))
        sizes.append((labels, cache.size_estimate))
        revisions.append((labels, cache.revision))
        events.append((labels, cache.event_count))
        capacities.append((labels, cache.window_capacity))
        if cache.watcher_count:
            named = labelled(("group", "version", "resource"), (kind.group, kind.version, kind.plural))
            watchers.append((named, cache.watcher_count))
    yield from family("apiserver_storage_objects", "gauge", "[STABLE] Stored objects of a kind.", old)
    yield from family("apiserver_resource_objects", "gauge", "[BETA] Stored objects of a kind.", objects)
    yield from family(
        "apiserver_resource_size_estimate_bytes", "gauge", "[ALPHA] About how large the objects of a kind are, all together.", sizes
    )
    yield from family("apiserver_registered_watchers", "gauge", "[ALPHA] Open watches of a kind.", watchers)
    yield from family("apiserver_watch_cache_resource_version", "gauge", "[ALPHA] The revision that a watch cache reflects.", revisions)
    size = [('{storage_cluster_id="etcd-0"}', float(n)) for n in _size(url)]
    yield from family("apiserver_storage_size_bytes", "gauge", "[STABLE] How large the store's file is.", size)
    yield from family("apiserver_watch_cache_events_received_total", "counter", "[ALPHA] Changes that a watch cache was told of.", events)
    yield from family("watch_cache_capacity", "gauge", "[ALPHA] Events that a watch cache keeps at most.", capacities)


def _size(url: str) -> Iterator[int]:
    """Of a store that is a file, with what has not been folded into it yet."""
    path = url.removeprefix("sqlite://")
    if path != url and os.path.exists(path):
        yield sum(os.path.getsize(path + end) for end in ("", "-wal") if os.path.exists(path + end))
