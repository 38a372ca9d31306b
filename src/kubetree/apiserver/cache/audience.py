"""Watchers who are sent the same bytes: one reader of the cache and one encoding for all of them, and for each one call that writes.

Members have been sent everything up to `told`. A member that can take no more leaves, costs nothing meanwhile, and comes back by `since`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kubetree.apiserver.cache.event import Event
from kubetree.apiserver.watch_cache import Member, Sent, Write

if TYPE_CHECKING:
    from kubetree.apiserver.cache.watchers import Watchers

PIECE = 128 * 1024
"""Bytes, about, that a member is sent at once: what one that does not read may have pending beyond its connection's limit."""
STEP = 32
"""Members that are written to before somebody looks at the clock."""
Show = Callable[[Event], bytes]
Piece = tuple[bytes, int]
"""Frames, and the revision up to which a watcher that has got them is told."""


class Audience:
    """See watch_cache.Audience and WatchCache.audience."""

    __slots__ = (
        "_index",
        "_left",
        "_members",
        "_prefix",
        "_previous",
        "_running",
        "_sent",
        "_show",
        "_told",
        "_waiting",
        "_watch",
        "_watchers",
        "users",
    )

    def __init__(self, watchers: Watchers, prefix: str, index: Mapping[str, str] | None, show: Show, sent: Sent) -> None:
        self._watchers, self._prefix, self._index, self._show, self._sent = watchers, prefix, index, show, sent
        self._told = self._previous = watchers.revision
        self.users = 0
        """Watchers that hold it, members or not."""
        self._open()
        self._running = False
        self._members: dict[Member, Write] = {}
        self._left: dict[Member, Write] = {}
        self._waiting: dict[Member, None] = {}

    @property
    def told(self) -> int:
        return self._told if self._running else max(self._told, self._watch.revision)

    def reached(self, member: Member) -> int:
        if self._running:
            return self._previous if member in self._left else self._told
        return self.told

    def since(self, revision: int) -> Iterator[Piece]:
        told, watch = self.told, self._watchers.open(revision, self._prefix, self._index)
        try:
            events = [event for event in watch.take() if event.revision <= told]
        finally:
            self._watchers.close(watch)
        return self._pieces(events, told, 1)

    def join(self, member: Member, write: Write) -> None:
        self._waiting.pop(member, None)
        self._members[member] = write
        self._watch.weight = len(self._members)

    def leave(self, member: Member) -> int:
        if self._members.pop(member, None) is None:
            self._waiting.pop(member, None)
            return self.told
        self._watch.weight = len(self._members)
        return self._previous if self._left.pop(member, None) is not None else self.told

    def wait(self, member: Member) -> None:
        self._waiting[member] = None

    def close(self) -> None:
        self._watchers.close(self._watch)

    def _open(self) -> None:
        self._watch = self._watchers.open(self._told, self._prefix, self._index)
        self._watch.notify(self._turn)

    def _turn(self) -> Iterator[None]:
        """Writes what has come to everyone, a few at a time. What comes meanwhile has a turn of its own."""
        try:
            events = self._watch.take()
        except Exception as error:
            self._watchers.close(self._watch)
            self._told = self._watchers.revision
            self._open()
            self._fail(error)
            return
        upto = self._watch.revision
        self._watch.notify(self._turn)
        self._running = True
        try:
            for piece, revision in self._pieces(events, upto, len(self._members)) if self._members else ():
                self._previous, self._told = self._told, revision
                if piece:
                    yield from self._write(piece)
        except Exception as error:  # must not reach the cache, which has others to serve
            self._fail(error)
        self._running, self._told = False, upto
        waiting, self._waiting = self._waiting, {}
        for member in waiting:
            member.admitted()

    def _write(self, piece: bytes) -> Iterator[None]:
        left = self._left = dict(self._members)
        while left:
            for _ in range(min(STEP, len(left))):
                if not left:  # others may leave while one is written to
                    break
                left.popitem()[1](piece)
            yield

    def _pieces(self, events: Sequence[Event], upto: int, watches: int) -> Iterator[Piece]:
        """What is left of events after `show`, the last piece with the revision `upto`. Events of one revision are not parted."""
        frames: list[bytes] = []
        size, told = 0, 0
        for event in events:
            if size > PIECE and event.revision > told:
                self._sent(frames, size, watches)
                yield b"".join(frames), told
                frames, size = [], 0
            frame = self._show(event)
            if frame:
                frames.append(frame)
                size += len(frame)
            told = event.revision
        if frames:
            self._sent(frames, size, watches)
        yield frames[0] if len(frames) == 1 else b"".join(frames), upto

    def _fail(self, error: Exception) -> None:
        members, self._members, self._left, self._waiting = [*self._members, *self._waiting], {}, {}, {}
        self._watch.weight = 0
        for member in members:
            member.failed(error)
