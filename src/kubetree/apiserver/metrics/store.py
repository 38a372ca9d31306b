"""Counts and times what the server asks of its store, under etcd's names in upstream: dashboards look for them whatever the store is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from kubetree.api.kinds import Kinds
from kubetree.apiserver.metrics.exposition import Histogram, family, heading, labelled
from kubetree.store.protocol import Entry, Page, Store, StoreUnavailable, Written

_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_START = len("/registry/")
_NAMES = ("operation", "group", "resource")
_LISTED = {
    "evaluated": "Number of objects tested in the course of serving a LIST request from storage",
    "fetched": "Number of objects read from storage in the course of serving a LIST request",
    "returned": "Number of objects returned for a LIST request from storage",
}
Labels = tuple[str, str, str]
"""Operation, group, resource."""


class MeasuredStore:
    """A Store over another. What is not timed is the other's own."""

    def __init__(self, inner: Store, kinds: Kinds, clock: Callable[[], float] = time.perf_counter) -> None:
        self._inner, self._kinds, self._clock = inner, kinds, clock
        self.revision, self.count, self.watch = inner.revision, inner.count, inner.watch
        self.compact, self.size, self.close = inner.compact, inner.size, inner.close
        self._times: dict[Labels, Histogram] = {}
        self._errors: dict[Labels, int] = {}
        self._lists: dict[tuple[str, str], list[int]] = {}
        """By group and resource: how many lists, how many objects in them."""
        self._quick: dict[tuple[str, str], Histogram] = {}
        self._resources: dict[str, tuple[str, str]] = {}
        self._changed()
        kinds.on_change(self._changed)

    def _changed(self) -> None:
        """The table of kinds: by the first one or two parts of a key below /registry."""
        self._quick.clear()
        self._resources = {
            kind.prefix.removeprefix("/registry/").rstrip("/"): (kind.group, kind.plural) for kind in self._kinds if kind.stored
        }

    @property
    def oldest(self) -> int:
        return self._inner.oldest

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        started = self._clock()
        try:
            answer = await self._inner.get(key, revision)
        except StoreUnavailable:
            self._failed("get", key)
            raise
        self._took("get", key, self._clock() - started)
        return answer

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        started = self._clock()
        try:
            answer = await self._inner.range(prefix, after=after, limit=limit, revision=revision)
        except StoreUnavailable:
            self._failed("list", prefix)
            raise
        self._took("list", prefix, self._clock() - started)
        _, group, resource = self._labels("list", prefix)
        lists = self._lists.setdefault((group, resource), [0, 0])
        lists[0] += 1
        lists[1] += len(answer.entries)
        return answer

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        started = self._clock()
        try:
            answer = await self._inner.create(key, value, ttl=ttl)
        except StoreUnavailable:
            self._failed("create", key)
            raise
        self._took("create", key, self._clock() - started)
        return answer

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        started = self._clock()
        try:
            answer = await self._inner.update(key, value, expected, ttl=ttl)
        except StoreUnavailable:
            self._failed("update", key)
            raise
        self._took("update", key, self._clock() - started)
        return answer

    async def delete(self, key: str, expected: int) -> Written:
        started = self._clock()
        try:
            answer = await self._inner.delete(key, expected)
        except StoreUnavailable:
            self._failed("delete", key)
            raise
        self._took("delete", key, self._clock() - started)
        return answer

    def _took(self, operation: str, key: str, seconds: float) -> None:
        """The first part of a key is that of most kinds; where it is a group's, the second one counts as well."""
        end = key.find("/", _START)
        histogram = self._quick.get((operation, key[_START:end]))
        if histogram is None:
            labels = self._labels(operation, key)
            histogram = self._times.setdefault(labels, Histogram(_BUCKETS))
            if key[_START:end] in self._resources:
                self._quick[operation, key[_START:end]] = histogram
        histogram.add(seconds)

    def _labels(self, operation: str, key: str) -> Labels:
        parts = key.split("/", 4)
        found = self._resources.get(parts[2]) if len(parts) > 2 else None
        if found is None and len(parts) > 3:
            found = self._resources.get(f"{parts[2]}/{parts[3]}")
        return (operation, *(found or ("", "other")))

    def _failed(self, operation: str, key: str) -> None:
        labels = self._labels(operation, key)
        self._errors[labels] = self._errors.get(labels, 0) + 1

    def metrics(self) -> Iterator[str]:
        found = sorted(self._times.items())
        name = "etcd_request_duration_seconds"
        yield from heading(name, "histogram", "[ALPHA] Etcd request latency in seconds for each operation and object type.")
        for labels, histogram in found:
            yield from histogram.lines(name, labelled(_NAMES, labels).strip("{}"))
        totals = [(labelled(_NAMES, labels), histogram.count) for labels, histogram in found]
        yield from family("etcd_requests_total", "counter", "[ALPHA] Etcd request counts for each operation and object type.", totals)
        failed = [(labelled(_NAMES, labels), n) for labels, n in sorted(self._errors.items())]
        yield from family(
            "etcd_request_errors_total", "counter", "[ALPHA] Etcd failed request counts for each operation and object type.", failed
        )
        names = ("group", "resource")
        lists = [(labelled(names, key), counts) for key, counts in sorted(self._lists.items())]
        text = "[ALPHA] Number of LIST requests served from storage"
        yield from family("apiserver_storage_list_total", "counter", text, [(labels, counts[0]) for labels, counts in lists])
        for what, text in _LISTED.items():
            shown = [(labels, counts[1]) for labels, counts in lists]
            yield from family(f"apiserver_storage_list_{what}_objects_total", "counter", f"[ALPHA] {text}", shown)
