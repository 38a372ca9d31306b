"""An object in the watch cache: its bytes ready for the wire, what selectors ask of it, and its dict when somebody needs one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson

Object = dict[str, Any]
FieldsOf = Callable[[Object], Mapping[str, str]]
"""`strategies.selectable_fields` of one kind."""

_METADATA = b'"metadata":{'
_NO_LABELS: Mapping[str, str] = {}


def splice_revision(value: bytes, revision: int) -> bytes:
    """A stored value as clients see it: metadata.resourceVersion is the revision that wrote it.

    Relies on stored values having kind, apiVersion and metadata first. Raises ValueError when there is no metadata.
    """
    at = value.index(_METADATA) + len(_METADATA)
    comma = b"" if value[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], revision, comma, value[at:])


class DecodedObjects:
    """Keeps the dicts of the entries decoded last, up to `limit` bytes of JSON: a dict takes about seven times its JSON.

    `outline` decodes as much of an object as `fields_of` reads.
    """

    def __init__(self, outline: Callable[[bytes], Object], fields_of: FieldsOf, limit: int = 4 * 1024 * 1024) -> None:
        self._outline, self._fields_of = outline, fields_of
        self._limit, self._size = limit, 0
        self._entries: deque[CacheEntry] = deque()

    def fields(self, data: bytes) -> Mapping[str, str]:
        return self._fields_of(self._outline(data))

    def keep(self, entry: CacheEntry) -> None:
        self._entries.append(entry)
        self._size += len(entry.data)
        while self._size > self._limit and len(self._entries) > 1:
            oldest = self._entries.popleft()
            self._size -= len(oldest.data)
            oldest.forget_object()


class CacheEntry:
    """An object as it stood at `revision`. `data` is its JSON in the storage version with metadata.resourceVersion in it."""

    __slots__ = ("_decoded", "_fields", "_obj", "data", "key", "labels", "revision")

    def __init__(self, key: str, revision: int, data: bytes, labels: Mapping[str, str], decoded: DecodedObjects) -> None:
        self.key, self.revision, self.data, self.labels = key, revision, data, labels or _NO_LABELS
        self._decoded = decoded
        self._obj: Object | None = None
        self._fields: Mapping[str, str] | None = None

    @property
    def obj(self) -> Object:
        """`data` decoded; shared, never to be changed."""
        if self._obj is None:
            self._obj = orjson.loads(self.data)
            self._decoded.keep(self)
        return self._obj

    @property
    def fields(self) -> Mapping[str, str]:
        """What field selectors may ask for."""
        if self._fields is None:
            self._fields = self._decoded.fields(self.data)
        return self._fields

    def forget_object(self) -> None:
        self._obj = None

    def at(self, revision: int) -> CacheEntry:
        """The same object with another resourceVersion: how a deleted one is shown."""
        old, new = b'"resourceVersion":"%d"' % self.revision, b'"resourceVersion":"%d"' % revision
        entry = CacheEntry(self.key, revision, self.data.replace(old, new, 1), self.labels, self._decoded)
        entry._fields = self._fields
        return entry
