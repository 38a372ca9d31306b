"""What the verbs need of the watch cache (`cache/` implements it): one cache a stored kind, every object encoded once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class WatchEnded(Exception):
    """The cache is no more: a watch ends as if its time were up."""


class Cached(Protocol):
    """An object as it stood at `revision`. Shared by every reader: never changed."""

    @property
    def key(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def data(self) -> bytes:
        """Its JSON in the storage version with metadata.resourceVersion in it: what is spliced into answers."""
        ...

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def fields(self) -> Mapping[str, str]:
        """What field selectors may ask for: `strategies.selectable_fields`."""
        ...

    @property
    def obj(self) -> dict[str, Any]:
        """`data` decoded (once, kept)."""
        ...

    @property
    def message(self) -> bytes:
        """The same as a protobuf message without an envelope (encoded once, kept a while)."""
        ...


class CacheEvent(Protocol):
    """A change. For DELETED `current` is the last state, its resourceVersion that of the delete. `previous` is None for ADDED."""

    @property
    def type(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def current(self) -> Cached: ...
    @property
    def previous(self) -> Cached | None: ...

    def frame(self, type: str) -> bytes:
        """`{"type":"MODIFIED","object":{...}}\\n` as one HTTP chunk, encoded once for all watchers. `type` may differ from the
        event's own, since an object that enters or leaves a selector is ADDED or DELETED to that watcher (then the frame of
        DELETED has the object as it was before, with the event's resourceVersion)."""
        ...

    def frame_as(self, form: Form, type: str) -> bytes:
        """The same in another form, encoded once for all watchers of that form."""
        ...

    def shown(self, type: str) -> Cached:
        """The object that a watcher sees who is told of the event as `type`."""
        ...


class Form(Protocol):
    """How events are written for watchers that want something else than whole objects in JSON. Equal forms write equal bytes."""

    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...
    def frame(self, type: str, entry: Cached) -> bytes:
        """An event as one HTTP chunk."""
        ...


class CacheWatch(Protocol):
    """An open watch: call `take` for what has come, `wait` for more to come."""

    def take(self) -> Sequence[CacheEvent]:
        """Everything since the last call, in revision order. Raises Expired when this watcher fell out of the ring."""
        ...

    async def wait(self, timeout: float) -> bool:
        """True as soon as there is something to take; False after `timeout` seconds or when woken with nothing to take."""
        ...

    def notify(self, callback: Callable[[], Iterable[None] | None]) -> None:
        """`wait` without a task: calls `callback` once, as soon as there is something to take. It must not raise and may `take`."""
        ...

    def wake(self, something: bool = True) -> None:
        """Ends a `wait` or a `notify`: the client has gone, or the server stops."""
        ...

    @property
    def revision(self) -> int:
        """Every event at or below it has been taken: what a bookmark may say."""
        ...


Write = Callable[[bytes], object]
Sent = Callable[[Sequence[bytes], int, int], object]
"""Told of frames that are being sent, of how many bytes they are together, and to how many watches."""


class Member(Protocol):
    """A watcher that goes with an Audience. Neither call may raise."""

    def admitted(self) -> None:
        """It waited for the audience to come as far as it is itself, and may look again."""
        ...

    def failed(self, error: Exception) -> None:
        """There is no more to come: Expired, WatchEnded, or what encoding raised."""
        ...


class Audience(Protocol):
    """Watchers that are sent the same bytes. Who is told up to `told` may join; who is behind reads `since` first, who is ahead waits."""

    @property
    def told(self) -> int:
        """The revision up to which members have been told."""
        ...

    def reached(self, member: Member) -> int:
        """Nothing at or below it is still to be told to this member: what a bookmark may say."""
        ...

    def since(self, revision: int) -> Iterable[tuple[bytes, int]]:
        """What was told after `revision`, in pieces, each with the revision that it reaches to. Raises Expired."""
        ...

    def join(self, member: Member, write: Write) -> None:
        """From now on `write` is called with what comes, in turns. It must not raise."""
        ...

    def leave(self, member: Member) -> int:
        """Nothing more is written to it, and it no longer waits. Gives the revision up to which a member was told."""
        ...

    def wait(self, member: Member) -> None:
        """Calls `admitted` when more has been told."""
        ...


class Turns(Protocol):
    writing: int
    """Requests under way that write: counted by whoever answers them."""

    @property
    def crowded(self) -> bool:
        """Many watchers are still to be told of what has happened."""
        ...

    async def over(self) -> None:
        """Returns once they have been, as far as they could take it."""
        ...


class WatchCache(Protocol):
    """One prefix of the store, held in memory and kept up to date by one watch of the store."""

    @property
    def revision(self) -> int:
        """The store's revision that the cache is known to reflect (moves with progress notifications as well)."""
        ...

    def __len__(self) -> int: ...

    @property
    def size_guess(self) -> int:
        """About how many bytes the objects have all together."""
        ...

    @property
    def watcher_count(self) -> int: ...

    @property
    def turns(self) -> Turns:
        """When its watchers are told."""
        ...

    async def ready(self) -> None:
        """Returns once the cache has been filled."""
        ...

    async def fresh(self, revision: int = 0) -> int:
        """Waits until the cache reflects `revision`, 0: every write acknowledged before the call. Returns the cache's revision.
        Raises Timeout with upstream's "Too large resource version" when a revision of the future does not come."""
        ...

    def get(self, key: str) -> Cached | None: ...

    def expect(self, key: str, value: bytes, labels: Mapping[str, str]) -> None:
        """`value` is about to be written, and these are its labels: they need not be read from it when it comes. Whether it comes is of
        no importance."""
        ...

    def items(
        self, prefix: str = "", index: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None, after: str = ""
    ) -> Iterable[Cached]:
        """In key order, keys that start with `prefix` and come after the key `after`; to be read before the next await. `index` are fields and `labels` labels that
        must have just this value: the cache narrows by the one that fewest objects have, the caller still checks every object."""
        ...

    def following(self, prefix: str, after: str) -> int:
        """How many keys that start with `prefix` come after the key `after`, which does."""
        ...

    def items_at(self, revision: int, prefix: str = "") -> Sequence[Cached] | None:
        """The items in key order as they stood at a revision of the recent past (what the window of events reaches back to,
        and what the store has not compacted), else None."""
        ...

    def watch(self, after: int, prefix: str = "", index: Mapping[str, str] | None = None) -> AbstractContextManager[CacheWatch]:
        """Events with a revision greater than `after`, of keys that start with `prefix` (one that does not end in a slash is a whole
        key). `index` are fields that must have just this value: only events whose object has it now or had it before need come.
        Raises Expired: "too old resource version: 5 (10)"."""
        ...

    def audience(
        self, key: Hashable, prefix: str, index: Mapping[str, str] | None, show: Callable[[Any], bytes], sent: Sent
    ) -> AbstractContextManager[Audience]:
        """The watchers that have the same `key`, which says all that makes a difference. `show` gives the frame of a CacheEvent, empty
        for what they are not to see; it may raise, which ends all of them. `prefix` and `index` are those of `watch`."""
        ...
