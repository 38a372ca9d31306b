"""A watch cache over one store watch (until cacher.py): everything the verbs need, without indexes or shared frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sortedcontainers import SortedDict

from kubetree.api.errors import Expired, Timeout
from kubetree.api.kinds import Kind
from kubetree.api.strategies import selectable_fields
from kubetree.apiserver.encoding import decode, with_revision
from kubetree.apiserver.watch_cache import ADDED, DELETED, MODIFIED
from kubetree.store.protocol import Progress, Store


class Item:
    def __init__(self, kind: Kind, key: str, revision: int, value: bytes) -> None:
        self.kind, self.key, self.revision, self.value = kind, key, revision, value
        self.data = with_revision(value, revision)
        self.obj: dict[str, Any] = decode(self.data)
        self.labels: Mapping[str, str] = self.obj["metadata"].get("labels") or {}
        self.fields: Mapping[str, str] = selectable_fields(kind, self.obj)

    def at(self, revision: int) -> Item:
        return Item(self.kind, self.key, revision, self.value)


class Event:
    def __init__(self, type: str, current: Item, previous: Item | None) -> None:
        self.type, self.current, self.previous, self.revision = type, current, previous, current.revision
        self._frames: dict[str, bytes] = {}

    def frame(self, type: str) -> bytes:
        if type not in self._frames:
            item = self.previous.at(self.revision) if type == DELETED and self.type != DELETED and self.previous else self.current
            line = b'{"type":"%b","object":%b}\n' % (type.encode(), item.data)
            self._frames[type] = b"%x\r\n%b\r\n" % (len(line), line)
        return self._frames[type]


class Watcher:
    def __init__(self, prefix: str, events: Iterable[Event], revision: int) -> None:
        self.prefix, self.pending = prefix, [e for e in events if e.current.key.startswith(prefix)]
        self.wake = asyncio.Event()
        self.revision = revision
        self.seen = revision

    def take(self) -> Sequence[Event]:
        found, self.pending = self.pending, []
        self.wake.clear()
        self.revision = self.seen
        return found

    async def wait(self, timeout: float) -> bool:
        if self.pending:
            return True
        try:
            async with asyncio.timeout(timeout):
                await self.wake.wait()
        except TimeoutError:
            return False
        return True


class SimpleCache:
    def __init__(self, store: Store, kind: Kind, tasks: asyncio.TaskGroup) -> None:
        self._store, self._kind = store, kind
        self._items: SortedDict[str, Item] = SortedDict()
        self._ring: deque[Event] = deque(maxlen=5000)
        self._oldest = 0
        self._watchers: set[Watcher] = set()
        self._changed: set[asyncio.Future[None]] = set()
        self._filled = asyncio.Event()
        self.revision = 0
        self.task = tasks.create_task(self._run())

    async def _run(self) -> None:
        page = await self._store.range(self._kind.prefix)
        for e in page.entries:
            self._items[e.key] = Item(self._kind, e.key, e.revision, e.value)
        self.revision = self._oldest = page.revision
        self._filled.set()
        async with self._store.watch(self._kind.prefix, page.revision) as changes:
            async for batch in changes:
                for event in batch:
                    if isinstance(event, Progress):
                        self.revision = max(self.revision, event.revision)
                        continue
                    previous = self._items.get(event.key)
                    if event.value is None:
                        if previous is None:
                            continue
                        del self._items[event.key]
                        self._add(Event(DELETED, previous.at(event.revision), previous))
                    else:
                        item = Item(self._kind, event.key, event.revision, event.value)
                        self._items[event.key] = item
                        self._add(Event(MODIFIED if previous else ADDED, item, previous))
                for future in list(self._changed):
                    if not future.done():
                        future.set_result(None)

    def _add(self, event: Event) -> None:
        if len(self._ring) == self._ring.maxlen:
            self._oldest = self._ring[0].revision
        self._ring.append(event)
        self.revision = event.revision
        for watcher in self._watchers:
            watcher.seen = event.revision
            if event.current.key.startswith(watcher.prefix):
                watcher.pending.append(event)
                watcher.wake.set()

    async def ready(self) -> None:
        await self._filled.wait()

    async def fresh(self, revision: int = 0) -> int:
        await self._filled.wait()
        wanted = revision or await self._store.revision()
        for _ in range(3000):
            if self.revision >= wanted:
                return self.revision
            if await self._store.revision() >= wanted:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if self.revision < wanted:
                    self.revision = wanted
                return self.revision
            await asyncio.sleep(0.001)
        raise Timeout(f"Too large resource version: {wanted}, current: {self.revision}", retry_after=1)

    def get(self, key: str) -> Item | None:
        found: Item | None = self._items.get(key)
        return found

    def items(self, prefix: str = "", index: Mapping[str, str] | None = None) -> Iterable[Item]:
        for key in self._items.irange(prefix):
            if not key.startswith(prefix):
                return
            yield self._items[key]

    @contextmanager
    def watch(self, after: int, prefix: str = "") -> Iterator[Watcher]:
        if after < self._oldest:
            raise Expired(f"too old resource version: {after} ({self._oldest})")
        watcher = Watcher(prefix, [e for e in self._ring if e.revision > after], max(after, self.revision))
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)


CacheFactory = Callable[[Kind], SimpleCache]
