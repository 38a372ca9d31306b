"""A change as watchers get it, encoded once for all of them."""

from __future__ import annotations

from kubetree.apiserver.cache.entry import CacheEntry
from kubetree.apiserver.watch_cache import DELETED, Form


class Event:
    """`at` is the cache's clock when it came, for the window of recent events."""

    __slots__ = ("_frames", "at", "current", "previous", "revision", "type")

    def __init__(self, type: str, revision: int, current: CacheEntry, previous: CacheEntry | None, at: float) -> None:
        self.type, self.revision, self.current, self.previous, self.at = type, revision, current, previous, at
        self._frames: dict[str | tuple[Form, str], bytes] = {}

    def frame(self, type: str) -> bytes:
        """`{"type":"MODIFIED","object":{...}}\\n` as one HTTP chunk. `type` is as the watcher sees it: see watch_cache.CacheEvent."""
        frame = self._frames.get(type)
        if frame is None:
            line = b'{"type":"%b","object":%b}\n' % (type.encode(), self.shown(type).data)
            frame = self._frames[type] = b"%x\r\n%b\r\n" % (len(line), line)
        return frame

    def frame_as(self, form: Form, type: str) -> bytes:
        """See watch_cache.CacheEvent."""
        frame = self._frames.get((form, type))
        if frame is None:
            frame = self._frames[form, type] = form.frame(type, self.shown(type))
        return frame

    def shown(self, type: str) -> CacheEntry:
        """See watch_cache.CacheEvent."""
        if type == DELETED and self.type != DELETED and self.previous is not None:
            return self.previous.at(self.revision)
        return self.current

    def forget_frames(self) -> None:
        self._frames.clear()
