"""A Store whose keys lie below another prefix of the inner one, so that several clusters share an etcd: kube-apiserver's --etcd-prefix.

Whoever uses it sees keys that start with `/registry`. Revisions, compaction and progress are the inner store's, of all its keys.
"""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from kubetree.store.protocol import Entry, Page, Progress, Store, StoreEvent, Watch, Written

ROOT = "/registry"
"""What every key starts with, unless told otherwise."""


def normal(prefix: str) -> str:
    """As upstream reads it: absolute, without `..` and without a slash at its end ('' for the root)."""
    return posixpath.normpath("/" + prefix.lstrip("/")).rstrip("/")


class PrefixedStore:
    """`prefix` takes the place of `root`."""

    def __init__(self, inner: Store, prefix: str, root: str = ROOT) -> None:
        self._inner, self._prefix, self._root = inner, normal(prefix), root
        self.revision, self.compact, self.size, self.close = inner.revision, inner.compact, inner.size, inner.close

    def key(self, key: str) -> str:
        """What a key is called in the inner store."""
        return self._prefix + key[len(self._root) :] if key else self._prefix + "/"

    @property
    def oldest(self) -> int:
        return self._inner.oldest

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        entry, at = await self._inner.get(self.key(key), revision)
        return self._shown(entry), at

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        page = await self._inner.range(self.key(prefix), after=self.key(after) if after else "", limit=limit, revision=revision)
        return Page([self._entry(entry) for entry in page.entries], page.revision, page.remaining)

    async def count(self, prefix: str) -> int:
        return await self._inner.count(self.key(prefix))

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        return self._written(await self._inner.create(self.key(key), value, ttl=ttl))

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        return self._written(await self._inner.update(self.key(key), value, expected, ttl=ttl))

    async def delete(self, key: str, expected: int) -> Written:
        return self._written(await self._inner.delete(self.key(key), expected))

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[Watch]:
        return self._watch(self.key(prefix), after)

    @asynccontextmanager
    async def _watch(self, prefix: str, after: int) -> AsyncIterator[Watch]:
        async with self._inner.watch(prefix, after) as watch:
            yield _PrefixedWatch(watch, len(self._prefix), self._root)

    def _entry(self, entry: Entry) -> Entry:
        return Entry(self._root + entry.key[len(self._prefix) :], entry.value, entry.revision, entry.created, entry.stale)

    def _shown(self, entry: Entry | None) -> Entry | None:
        return self._entry(entry) if entry is not None else None

    def _written(self, written: Written) -> Written:
        return Written(written.ok, written.revision, self._shown(written.current)) if written.current is not None else written


class _PrefixedWatch:
    """Takes `cut` letters off each key and puts `root` in their place."""

    def __init__(self, inner: Watch, cut: int, root: str) -> None:
        self._inner, self._cut, self._root = inner, cut, root
        self.wait, self.request_progress = inner.wait, inner.request_progress

    def take(self) -> Sequence[StoreEvent | Progress]:
        return [event if isinstance(event, Progress) else self._event(event) for event in self._inner.take()]

    def _event(self, event: StoreEvent) -> StoreEvent:
        return StoreEvent(event.revision, self._root + event.key[self._cut :], event.value, event.created)

    async def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent | Progress]]:
        while True:
            await self.wait()
            yield self.take()
