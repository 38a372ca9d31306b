"""The watch cache of one kind: its part of the store in memory, kept up to date by one watch, handed out as bytes.

Nothing here looks at selectors, versions or HTTP: who reads decides what matches and how it is shown. Follows upstream's
storage/cacher: reads as fresh as asked for, a window of recent events, 410 Expired for what lies before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from itertools import islice

import msgspec
import orjson
from sortedcontainers import SortedDict

from kubetree.api.errors import Cause, Timeout
from kubetree.api.kinds import Kind
from kubetree.api.strategies import selectable_fields
from kubetree.apiserver.cache.audience import Audience, Show
from kubetree.apiserver.cache.entry import CacheEntry, DecodedObjects, FieldsOf
from kubetree.apiserver.cache.event import Event
from kubetree.apiserver.cache.indexes import Indexes, Name
from kubetree.apiserver.cache.outline import labels_of, outline_of
from kubetree.apiserver.cache.turns import Turns
from kubetree.apiserver.cache.watchers import Watchers, Watching, too_old
from kubetree.apiserver.cache.window import Window, WindowLimits
from kubetree.apiserver.encryption.transformers import UnreadableValue
from kubetree.apiserver.metrics.exposition import Histogram
from kubetree.apiserver.watch_cache import ADDED, DELETED, MODIFIED, Sent, WatchEnded
from kubetree.apiserver.wire.encoding import with_revision
from kubetree.store.protocol import Compacted, Entry, Page, Progress, Store, StoreEvent, StoreUnavailable, Watch

log = logging.getLogger(__name__)

FRESH_TIMEOUT = 3.0
_ASK_AGAIN = 0.1
_PAGE = 10_000
_SAMPLE = 32
_RETRY, _RETRY_KEY = 0.25, 2.0
_EXPECTED = 1024
"""Writes under way whose labels are known; those that fail are forgotten with the others."""
_NOT_EXPECTED: tuple[bytes, Mapping[str, str]] = (b"", {})
_WAITS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
HISTORY = 1000
"""Revisions of the past that a starting cache reads, to serve watches that were open on its predecessor."""


class Cacher:
    """See watch_cache.WatchCache. `run` keeps it up to date until it is cancelled; everything else is for the same event loop.

    `canonical` brings what is stored in the form in which it is kept here: custom resources follow their schema.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        *,
        fields_of: FieldsOf | None = None,
        canonical: Callable[[bytes], bytes] | None = None,
        limits: WindowLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = kind
        self._store, self._clock = store, clock
        self._prefix, self._canonical = kind.prefix, canonical
        outline = outline_of(kind) if fields_of is None else orjson.loads
        fields_of = fields_of or partial(selectable_fields, kind)
        self._decoded = DecodedObjects(outline, fields_of)
        self._fields = frozenset(name for name in fields_of({"metadata": {}}) if not name.startswith("metadata."))
        self._entries: SortedDict[str, CacheEntry] = SortedDict()
        self._indexes = Indexes()
        self._window = Window(limits or WindowLimits())
        self._watchers = Watchers(self._window, self._prefix, self._fields)
        self._filled = asyncio.Event()
        self._unreadable: UnreadableValue | None = None
        self._tried = asyncio.Event()
        self._moved: asyncio.Future[None] | None = None
        self._watch: Watch | None = None
        self._expected: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self.generation = 0
        """Changes with every change of an object."""
        self.fillings = self.reads = 0
        """How often it was filled; how many reads wanted to know that it is fresh, and had not to wait for that."""
        self.waits = Histogram(_WAITS)
        """How long the others waited, in seconds."""

    @property
    def revision(self) -> int:
        return self._watchers.revision

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def turns(self) -> Turns:
        return self._watchers.turns

    @property
    def watcher_count(self) -> int:
        return len(self._watchers)

    @property
    def size_estimate(self) -> int:
        """Bytes of the JSON of all objects; goes through all of them."""
        return sum(len(entry.data) for entry in self._entries.values())

    @property
    def size_guess(self) -> int:
        """About the same, from the first few."""
        count = len(self._entries)
        if count <= _SAMPLE:
            return self.size_estimate
        return sum(len(entry.data) for entry in islice(self._entries.values(), _SAMPLE)) * count // _SAMPLE

    @property
    def event_count(self) -> int:
        """Changes since the cache was made."""
        return self._window.end

    @property
    def window_capacity(self) -> int:
        """Events that are kept at most."""
        return self._window.limits.most

    async def run(self) -> None:
        """Fills the cache from the store and follows it, over lost connections and compactions."""
        while True:
            try:
                if not self._filled.is_set():
                    await self._fill()
                await self._follow()
            except Compacted as error:
                log.warning("the watch of %s starts anew: %s", self._prefix, error)
                self._filled.clear()
            except UnreadableValue as error:
                self._filled.clear()
                again, self._unreadable = self._unreadable is not None, error
                if again:
                    log.error("the watch of %s waits for a key: %s", self._prefix, error)
                    self._tried.set()
                    await asyncio.sleep(_RETRY_KEY)
            except StoreUnavailable as error:
                log.warning("the watch of %s waits for the store: %s", self._prefix, error)
                await asyncio.sleep(_RETRY)

    async def ready(self) -> None:
        """Returns as well when the store has a value that cannot be decrypted: the other kinds must not wait for it."""
        await self._tried.wait()

    async def fresh(self, revision: int = 0) -> int:
        """See watch_cache.WatchCache.fresh. Raises StoreUnavailable when the store cannot say how far it is."""
        if not self._filled.is_set():
            if self._unreadable is not None:
                raise self._unreadable
            await self._filled.wait()
        target = revision or await self._store.revision()
        if self.revision < target and self._watch is not None:
            with suppress(Compacted, StoreUnavailable):  # `run` gets it as well, and does what is to be done
                self._take(self._watch)
        if self.revision < target:
            started = self._clock()
            try:
                await self._wait_for(target)
            finally:
                self.waits.add(self._clock() - started)
        else:
            self.reads += 1
        return self.revision

    def get(self, key: str) -> CacheEntry | None:
        entry: CacheEntry | None = self._entries.get(key)
        return entry

    def expect(self, key: str, value: bytes, labels: Mapping[str, str]) -> None:
        """See watch_cache.WatchCache.expect."""
        if len(self._expected) >= _EXPECTED:
            self._expected.clear()
        self._expected[key] = value, dict(labels)

    def items(
        self, prefix: str = "", index: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None, after: str = ""
    ) -> Iterable[CacheEntry]:
        """See watch_cache.WatchCache.items. The answer must be read before the next await."""
        names = self._indexed(index or {}, labels or {})
        if names:
            found = min((self._indexes.find(name, value, self._entries.values()) for name, value in names.items()), key=len)
            if prefix and prefix != self._prefix:
                found = [entry for entry in found if entry.key.startswith(prefix)]
            return sorted((entry for entry in found if entry.key > after) if after else found, key=_key)
        if after:
            keys = self._entries.irange(max(after, prefix), _behind(prefix or self._prefix), (False, False))
            return map(self._entries.__getitem__, keys)
        if not prefix or prefix == self._prefix:
            everything: Iterable[CacheEntry] = self._entries.values()
            return everything
        return map(self._entries.__getitem__, self._entries.irange(prefix, _behind(prefix), (True, False)))

    def following(self, prefix: str, after: str) -> int:
        """See watch_cache.WatchCache.following."""
        count: int = self._entries.bisect_left(_behind(prefix)) - self._entries.bisect_right(after)
        return count

    def items_at(self, revision: int, prefix: str = "") -> list[CacheEntry] | None:
        """The items as they stood at a revision of the recent past; None when that is too long ago, compacted, or still to come."""
        if not max(self._window.oldest, self._store.oldest) <= revision <= self.revision:
            return None
        items = {entry.key: entry for entry in self.items(prefix)}
        undone = False
        for event in reversed(self._window.since(self._window.after(revision))):
            key = event.current.key
            if not key.startswith(prefix):
                continue
            if event.previous is None:
                del items[key]
            else:
                undone = undone or event.type == DELETED
                items[key] = event.previous
        return sorted(items.values(), key=_key) if undone else list(items.values())

    @contextmanager
    def watch(self, after: int, prefix: str = "", index: Mapping[str, str] | None = None) -> Iterator[Watching]:
        """See watch_cache.WatchCache.watch."""
        watch = self._watchers.open(after, prefix, index)
        try:
            yield watch
        finally:
            self._watchers.close(watch)

    def audience(
        self, key: Hashable, prefix: str, index: Mapping[str, str] | None, show: Show, sent: Sent
    ) -> AbstractContextManager[Audience]:
        """See watch_cache.WatchCache.audience."""
        return self._watchers.audience(key, prefix, index, show, sent)

    def end_watches(self) -> None:
        """Ends every watch: the kind is no longer served, or no longer so. What was sent holds."""
        self._watchers.end_all(WatchEnded())

    def _indexed(self, fields: Mapping[str, str], labels: Mapping[str, str]) -> dict[Name, str]:
        """The indexes that may be used, and the value to look up in each: of the kind's own fields and of labels."""
        found = {("field", name): value for name, value in fields.items() if name in self._fields}
        return found | {("label", name): value for name, value in labels.items()}

    async def _wait_for(self, revision: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FRESH_TIMEOUT
        while self.revision < revision:
            left = deadline - loop.time()
            if left <= 0:
                raise _too_large(revision, self.revision)
            if self._watch is not None:
                self._watch.request_progress(revision)
            if self._moved is None:
                self._moved = loop.create_future()
            await asyncio.wait((self._moved,), timeout=min(left, _ASK_AGAIN))

    async def _fill(self) -> None:
        """Reads all objects at one revision. A cache that was filled before ends its watches: what happened meanwhile is not known."""
        page = await self._first_page()
        entries = list(page.entries)
        while page.remaining:
            page = await self._store.range(self._prefix, after=entries[-1].key, limit=_PAGE, revision=page.revision)
            entries.extend(page.entries)
        decoded = (self._entry(e) for e in entries)
        self._entries = SortedDict((e.key, e) for e in decoded if e is not None)
        self._indexes.clear()
        before = self.revision
        self._window.reset(page.revision)
        if before:
            self._watchers.end_all(too_old(before, page.revision))
        self.generation += 1
        self.fillings += 1
        self._advance(page.revision)

    async def _first_page(self) -> Page:
        """From a little in the past, so that watches from before a restart of this server go on; from now when that was compacted, or
        when something of the past is encrypted with a key that has been thrown away since."""
        if self._unreadable is None:
            now = await self._store.revision()
            with suppress(Compacted, UnreadableValue):
                return await self._store.range(self._prefix, limit=_PAGE, revision=max(now - HISTORY, self.revision, 1))
        return await self._store.range(self._prefix, limit=_PAGE)

    async def _follow(self) -> None:
        async with self._store.watch(self._prefix, self.revision) as watch:
            self._watch = watch
            try:
                if not self._filled.is_set():
                    await self._catch_up(watch)
                while True:
                    await watch.wait()
                    self._take(watch)
            finally:
                self._watch = None

    async def _catch_up(self, watch: Watch) -> None:
        now = await self._store.revision()
        while self.revision < now:
            watch.request_progress(now)
            await watch.wait()
            self._take(watch)
        self._unreadable = None
        self._filled.set()
        self._tried.set()

    def _take(self, watch: Watch) -> None:
        """Applies what has come. No await: readers see whole batches only."""
        batch = watch.take()
        events: list[Event] = []
        revision, now = self.revision, self._clock()
        for change in batch:
            if isinstance(change, Progress):
                revision = max(revision, change.revision)
            elif change.revision > self.revision:
                revision = change.revision
                event = self._apply(change, now)
                if event is not None:
                    events.append(event)
                    self._window.add(event)
        if events:
            self.generation += 1
            self._window.trim(now)
        if revision > self.revision:
            self._advance(revision)
        if events:
            self._watchers.hand_out(events)

    def _apply(self, change: StoreEvent, now: float) -> Event | None:
        key, previous = change.key, self._entries.get(change.key)
        if change.value is None:
            if previous is None:
                return None
            del self._entries[key]
            self._indexes.replace(previous, None)
            return Event(DELETED, change.revision, previous.at(change.revision), previous, now)
        entry = self._entry(Entry(key, change.value, change.revision, change.created))
        if entry is None:
            return None
        self._entries[key] = entry
        self._indexes.replace(previous, entry)
        return Event(MODIFIED if previous is not None else ADDED, change.revision, entry, previous, now)

    def _entry(self, stored: Entry) -> CacheEntry | None:
        """None, with a line in the log, when the value is not an object's JSON."""
        try:
            value = stored.value if self._canonical is None else self._canonical(stored.value)
            written, labels = self._expected.pop(stored.key, _NOT_EXPECTED)
            if value != written:
                labels = labels_of(value)
            return CacheEntry(stored.key, stored.revision, with_revision(value, stored.revision), labels, self._decoded)
        except (msgspec.MsgspecError, ValueError, LookupError, TypeError) as error:
            log.error("what the store has at %s is no object and is left out: %s", stored.key, error)
            return None

    def _advance(self, revision: int) -> None:
        self._watchers.revision = revision
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None


def _behind(prefix: str) -> str:
    """The first key after all that start with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _key(entry: CacheEntry) -> str:
    return entry.key


def _too_large(revision: int, current: int) -> Timeout:
    return Timeout(
        f"Timeout: Too large resource version: {revision}, current: {current}",
        causes=[Cause("ResourceVersionTooLarge", "Too large resource version", "")],
        retry_after=1,
    )
