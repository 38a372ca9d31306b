"""Lists by a label or a field without looking at every object: indexes made when first asked for, then kept up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from kubetree.apiserver.cache.entry import CacheEntry

MAX_INDEXES = 16
"""For one cache; the one that was not asked for longest goes."""

Name = tuple[str, str]
"""("label", "app") or ("field", "spec.nodeName")."""


class Indexes:
    def __init__(self) -> None:
        self._by_name: OrderedDict[Name, dict[str, dict[str, CacheEntry]]] = OrderedDict()

    def clear(self) -> None:
        self._by_name.clear()

    def find(self, name: Name, value: str, entries: Iterable[CacheEntry]) -> Collection[CacheEntry]:
        """The entries with that value, in no order. `entries` are all there are, read when the index has to be made."""
        index = self._by_name.get(name)
        if index is None:
            index = self._by_name[name] = {}
            for entry in entries:
                _add(index, name, entry)
            if len(self._by_name) > MAX_INDEXES:
                self._by_name.popitem(last=False)
        else:
            self._by_name.move_to_end(name)
        found = index.get(value)
        return found.values() if found else ()

    def replace(self, old: CacheEntry | None, new: CacheEntry | None) -> None:
        for name, index in self._by_name.items():
            if old is not None:
                _remove(index, name, old)
            if new is not None:
                _add(index, name, new)


def _value(name: Name, entry: CacheEntry) -> str | None:
    return entry.labels.get(name[1]) if name[0] == "label" else entry.fields.get(name[1], "")


def _add(index: dict[str, dict[str, CacheEntry]], name: Name, entry: CacheEntry) -> None:
    value = _value(name, entry)
    if value is not None:
        index.setdefault(value, {})[entry.key] = entry


def _remove(index: dict[str, dict[str, CacheEntry]], name: Name, entry: CacheEntry) -> None:
    value = _value(name, entry)
    if value is not None:
        found = index[value]
        del found[entry.key]
        if not found:
            del index[value]
