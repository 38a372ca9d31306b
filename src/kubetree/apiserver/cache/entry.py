"""An object in the watch cache: its bytes ready for the wire, what selectors ask of it, and its dict when somebody needs one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from kubetree.api import protobuf

Object = dict[str, Any]
FieldsOf = Callable[[Object], Mapping[str, str]]
"""`strategies.selectable_fields` of one kind."""

_METADATA = b'"metadata":{'
_NO_LABELS: Mapping[str, str] = {}


class DecodedObjects:
    """Keeps what was made of the entries that were asked for last: up to `limit` bytes of JSON as dicts, which take about seven times
    that, and up to `messages` bytes of protobuf.

    `outline` decodes as much of an object as `fields_of` reads.
    """

    def __init__(
        self,
        outline: Callable[[bytes], Object],
        fields_of: FieldsOf,
        limit: int = 4 * 1024 * 1024,
        messages: int = 64 * 1024 * 1024,
    ) -> None:
        self._outline, self._fields_of = outline, fields_of
        self.objects = _Recent(limit, CacheEntry.forget_object)
        self.messages = _Recent(messages, CacheEntry.forget_message)

    def fields(self, data: bytes) -> Mapping[str, str]:
        return self._fields_of(self._outline(data))


class _Recent:
    """The entries that something was made of last, up to `limit` bytes of it; `forget` is called for those that fall out."""

    def __init__(self, limit: int, forget: Callable[[CacheEntry], None]) -> None:
        self._limit, self._forget, self._size = limit, forget, 0
        self._entries: deque[tuple[CacheEntry, int]] = deque()

    def keep(self, entry: CacheEntry, size: int) -> None:
        self._entries.append((entry, size))
        self._size += size
        while self._size > self._limit and len(self._entries) > 1:
            oldest, size = self._entries.popleft()
            self._size -= size
            self._forget(oldest)


class CacheEntry:
    """An object as it stood at `revision`. `data` is its JSON in the storage version with metadata.resourceVersion in it."""

    __slots__ = ("_decoded", "_fields", "_message", "_obj", "data", "key", "labels", "revision")

    def __init__(self, key: str, revision: int, data: bytes, labels: Mapping[str, str], decoded: DecodedObjects) -> None:
        self.key, self.revision, self.data, self.labels = key, revision, data, labels or _NO_LABELS
        self._decoded = decoded
        self._obj: Object | None = None
        self._message: bytes | None = None
        self._fields: Mapping[str, str] | None = None

    @property
    def obj(self) -> Object:
        """`data` decoded; shared, never to be changed."""
        if self._obj is None:
            self._obj = orjson.loads(self.data)
            self._decoded.objects.keep(self, len(self.data))
        return self._obj

    @property
    def message(self) -> bytes:
        """The object's protobuf message without an envelope, encoded once and kept a while. Raises protobuf.ProtobufError."""
        if self._message is None:
            self._message = protobuf.message(self.obj)
            self._decoded.messages.keep(self, len(self._message))
        return self._message

    @property
    def fields(self) -> Mapping[str, str]:
        """What field selectors may ask for."""
        if self._fields is None:
            self._fields = self._decoded.fields(self.data)
        return self._fields

    def forget_object(self) -> None:
        self._obj = None

    def forget_message(self) -> None:
        self._message = None

    def at(self, revision: int) -> CacheEntry:
        """The same object with another resourceVersion: how a deleted one is shown."""
        old, new = b'"resourceVersion":"%d"' % self.revision, b'"resourceVersion":"%d"' % revision
        entry = CacheEntry(self.key, revision, self.data.replace(old, new, 1), self.labels, self._decoded)
        entry._fields = self._fields
        return entry
