"""The SQLite engine: what is decided happens on the event loop against an index of where each key stands; threads only run SQL.

A write is decided at once (does the key stand at the expected revision?), gets its revision, and waits with all others that come while the
last group is being committed. One INSERT commits the group; then its events are published, in order, and its writes are answered. When the
commit fails, the group and everything decided after it is undone: nobody has seen any of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from kubetree.store.expiry import Expiry
from kubetree.store.fanout import MAX_PENDING, Hub, LocalWatch
from kubetree.store.memory import FIRST_REVISION
from kubetree.store.protocol import Compacted, Entry, Page, StoreEvent, StoreUnavailable, Written
from kubetree.store.sqlite import database
from kubetree.store.sqlite.database import MAX_BATCH, Row
from kubetree.store.sqlite.lock import FileLock
from kubetree.store.sqlite.worker import Worker

T = TypeVar("T")

COMPACTION_STEP = 2000
"""Revisions compacted in one transaction, so that writes get in between."""
_EXPIRY_RETRY = 1.0


@dataclass(slots=True)
class _Pending:
    """A decided write. `before` is where the key stood, for undoing it."""

    row: Row
    before: tuple[int, int] | None
    done: asyncio.Future[None]


class SQLiteStore:
    """Made by `open`. `clock` gives seconds since the epoch: expiry times outlive the process."""

    def __init__(self, path: Path, lock: FileLock, state: database.State, clock: Callable[[], float], max_pending: int) -> None:
        self._path, self._lock, self._clock = path, lock, clock
        self._heads = state.heads
        self._compacted = self._removed = state.compacted
        self._decided = state.revision
        self._hub = Hub(state.revision, max_pending)
        self._waiting: list[_Pending] = []
        self._committing: list[_Pending] = []
        self._scheduled = False
        self._writer, self._reader = Worker("store-writer"), ThreadPoolExecutor(1, "store-reader")
        self._write_connection = database.connect(path, cache=8192)
        self._read_connection, self._point_connection = database.connect(path), database.connect(path, cache=1024)
        self._expiry = Expiry(clock, self._expire)
        for key, revision, at in state.expiring:
            self._expiry.set(key, revision, at)
        self._compaction = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, path: Path | str, *, clock: Callable[[], float] = time.time, max_pending: int = MAX_PENDING) -> SQLiteStore:
        """Opens or makes the file. Raises StoreUnavailable when another process has it or it cannot be used."""
        path = Path(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(path)
        except OSError as error:
            raise StoreUnavailable(f"cannot open the store {path}: {error}") from error
        try:
            state = await asyncio.to_thread(database.prepare, path, FIRST_REVISION)
        except (StoreUnavailable, OSError) as error:
            lock.release()
            raise error if isinstance(error, StoreUnavailable) else StoreUnavailable(f"cannot open the store {path}: {error}") from error
        return cls(path, lock, state, clock, max_pending)

    async def revision(self) -> int:
        self._check_open()
        return self._hub.revision

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        at = self._read_revision(revision)
        return self._point(database.entry_at, key, at), at

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        at = self._read_revision(revision)
        start = max(prefix, after + "\0") if after else prefix
        entries, remaining = await self._read(database.page_at, start, _end_of(prefix), limit, at)
        self._check_compaction(at)
        return Page(entries, at, remaining)

    async def count(self, prefix: str) -> int:
        return await self._read(database.count_at, prefix, _end_of(prefix), self._hub.revision)

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        return await self._write(key, value, 0, ttl)

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        return await self._write(key, value, expected, ttl)

    async def delete(self, key: str, expected: int) -> Written:
        self._check_open()
        head = self._heads.get(key)
        if head is None or head[0] != expected:
            return await self._refuse(key)
        if expected > self._hub.revision:
            await self._settled(expected)
            return await self.delete(key, expected)
        current = Entry(key, self._point(database.value_of, head[0]), *head)
        pending = self._decide(key, None, head, 0)
        await pending.done
        return Written(True, pending.row.revision, current)

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[LocalWatch]:
        self._check_open()
        watch = self._hub.open(prefix, after)
        try:
            if after < self._compacted:
                watch.fail(Compacted(after, self._compacted))
            elif after < self._hub.revision:
                watch.replay(await self._read(database.changes, prefix, _end_of(prefix), after, self._hub.revision))
                if after < self._compacted:
                    watch.fail(Compacted(after, self._compacted))
            yield watch
        finally:
            self._hub.close(watch)

    @property
    def oldest(self) -> int:
        return self._compacted

    async def compact(self, revision: int) -> None:
        self._check_open()
        revision = min(revision, self._hub.revision)
        async with self._compaction:
            self._compacted = max(revision, self._compacted)
            while self._removed < revision:
                step = min(self._removed + COMPACTION_STEP, revision)
                await self._on_writer(database.compact, self._removed, step)
                self._removed = step

    async def size(self) -> int:
        """With what has not been folded into the file yet."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def close(self) -> None:
        """Answers what is being written, then lets the file go."""
        if self._closed:
            return
        self._closed = True
        self._expiry.close()
        while self._committing or self._waiting:
            await self._writer.run(int)
        self._hub.shut()
        await asyncio.to_thread(self._close_files)

    def _close_files(self) -> None:
        self._reader.shutdown()
        self._writer.stop()
        for connection in (self._read_connection, self._point_connection, self._write_connection):
            connection.close()
        self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _read_revision(self, revision: int) -> int:
        """What is published, not what is on disk: a read and a watch that goes on from it must agree."""
        self._check_open()
        if not revision:
            return self._hub.revision
        self._check_compaction(revision)
        if revision > self._hub.revision:
            raise ValueError(f"revision {revision} is in the future; the store is at {self._hub.revision}")
        return revision

    def _check_compaction(self, revision: int) -> None:
        if revision < self._compacted:
            raise Compacted(revision, self._compacted)

    def _point(self, read: Callable[..., T], *args: object) -> T:
        """A read of one row, on the loop: shorter than the way to a thread and back."""
        try:
            return read(self._point_connection, *args)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    async def _read(self, read: Callable[..., T], *args: object) -> T:
        self._check_open()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, read, self._read_connection, *args)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    async def _on_writer(self, write: Callable[..., None], *args: object) -> None:
        try:
            await self._writer.run(partial(write, self._write_connection, *args))
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        hint = "; free some space on that disk" if getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL") else ""
        return StoreUnavailable(f"the store {self._path} failed: {error}{hint}")

    async def _write(self, key: str, value: bytes, expected: int, ttl: int) -> Written:
        self._check_open()
        head = self._heads.get(key)
        if (head[0] if head is not None else 0) != expected:
            return await self._refuse(key)
        pending = self._decide(key, value, head, ttl)
        await pending.done
        return Written(True, pending.row.revision)

    async def _refuse(self, key: str) -> Written:
        """The answer to a write that came too late: how the key stands, once that is on disk."""
        head = self._heads.get(key)
        if head is not None and head[0] > self._hub.revision:
            await self._settled(head[0])
        elif head is None and self._decided > self._hub.revision:
            await self._settled(self._decided)
        return Written(False, self._hub.revision, self._point(database.entry_at, key, self._hub.revision))

    async def _settled(self, revision: int) -> None:
        """Waits until the fate of a decided write is known; raises what it failed with."""
        pending = next((p for p in (*self._committing, *self._waiting) if p.row.revision == revision), None)
        if pending is not None:
            await asyncio.shield(pending.done)

    def _decide(self, key: str, value: bytes | None, head: tuple[int, int] | None, ttl: int) -> _Pending:
        self._decided = revision = self._decided + 1
        created = 0 if value is None else head[1] if head is not None else revision
        expires = self._clock() + ttl if ttl else None
        row = Row(revision, key, created, head[0] if head is not None else 0, expires, value)
        if value is None:
            del self._heads[key]
        else:
            self._heads[key] = (revision, created)
        pending = _Pending(row, head, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        if not self._scheduled and not self._committing:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._commit)
        return pending

    def _commit(self) -> None:
        """Hands the next group to the writer thread."""
        self._scheduled = False
        self._committing, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        rows = [pending.row for pending in self._committing]
        self._writer.do(partial(database.insert, self._write_connection, rows), self._committed)

    def _committed(self, error: BaseException | None) -> None:
        if error is not None:
            self._undo(self._unavailable(error) if isinstance(error, sqlite3.Error) else error)
            return
        done, self._committing = self._committing, []
        self._hub.publish([StoreEvent(p.row.revision, p.row.key, p.row.value, p.row.created) for p in done])
        for pending in done:
            row = pending.row
            self._expiry.clear(row.key)
            if row.expires is not None:
                self._expiry.set(row.key, row.revision, row.expires)
            if not pending.done.done():
                pending.done.set_result(None)
        if self._waiting:
            self._commit()

    def _undo(self, error: BaseException) -> None:
        undone, self._committing, self._waiting = [*self._committing, *self._waiting], [], []
        for pending in reversed(undone):
            if pending.before is not None:
                self._heads[pending.row.key] = pending.before
            else:
                self._heads.pop(pending.row.key, None)
        self._decided = self._hub.revision
        for pending in undone:
            if not pending.done.done():
                pending.done.set_exception(error)

    def _expire(self, key: str, revision: int) -> None:
        head = self._heads.get(key)
        if head is not None and head[0] == revision:
            self._decide(key, None, head, 0).done.add_done_callback(lambda done: self._expired(key, revision, done))

    def _expired(self, key: str, revision: int, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is not None and not self._closed:
            self._expiry.set(key, revision, self._clock() + _EXPIRY_RETRY)


def _end_of(prefix: str) -> str:
    """The first key after all that start with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else database.END
