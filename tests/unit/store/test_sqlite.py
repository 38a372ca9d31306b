"""What only the SQLite engine promises: what it acknowledged survives anything, one process at a time, a full disk is no disaster."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubetree.store import open_store
from kubetree.store.protocol import Compacted, Entry, StoreUnavailable
from kubetree.store.sqlite import SQLiteStore
from kubetree.store.sqlite import store as engine

WRITER = Path(__file__).with_name("acknowledging_writer.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.db"


async def test_everything_is_there_after_a_restart(path: Path) -> None:
    store = await SQLiteStore.open(path)
    one = await store.create("/a", b"1")
    two = await store.update("/a", b"2", one.revision)
    gone = await store.create("/b", b"1")
    deleted = await store.delete("/b", gone.revision)
    await store.close()
    store = await SQLiteStore.open(path)
    assert await store.revision() == deleted.revision
    assert (await store.get("/a"))[0] == Entry("/a", b"2", two.revision, one.revision)
    assert (await store.get("/a", one.revision))[0] == Entry("/a", b"1", one.revision, one.revision)
    assert (await store.create("/b", b"2")).revision == deleted.revision + 1
    await store.close()


async def test_revisions_go_on_after_the_last_was_compacted_away(path: Path) -> None:
    store = await SQLiteStore.open(path)
    created = await store.create("/a", b"1")
    deleted = await store.delete("/a", created.revision)
    await store.compact(deleted.revision)
    await store.close()
    store = await SQLiteStore.open(path)
    assert await store.revision() == deleted.revision
    with pytest.raises(Compacted):
        await store.get("/a", created.revision)
    assert (await store.create("/a", b"2")).revision == deleted.revision + 1
    await store.close()


async def test_what_is_due_expires_after_a_restart(path: Path) -> None:
    now = 1000.0
    store = await SQLiteStore.open(path, clock=lambda: now)
    await store.create("/short", b"", ttl=60)
    await store.create("/long", b"", ttl=6000)
    await store.close()
    now = 1100.0
    store = await SQLiteStore.open(path, clock=lambda: now)
    async with store.watch("/short", await store.revision()) as watch:
        await asyncio.wait_for(watch.wait(), 30)
    assert [e.key for e in (await store.range("/")).entries] == ["/long"]
    await store.close()


@pytest.mark.parametrize("attempt", range(4))
def test_kill_9_loses_no_acknowledged_write(path: Path, attempt: int) -> None:
    """Several lives on one file, each killed at a random moment; every acknowledged change must have happened, in order."""
    acknowledged: dict[str, int] = {}
    deleted: dict[str, int] = {}
    for life in range(3):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        arguments = [sys.executable, str(WRITER), str(path), f"{attempt}-{life}"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(random.uniform(0, 0.25))
            process.kill()
            lines = (first + process.stdout.read()).decode().splitlines()
        assert lines, "the writer did not start"
        for line in lines:
            verb, key, revision = line.split()
            (acknowledged if verb == "put" else deleted)[key] = int(revision)
    asyncio.run(_check_acknowledged(path, acknowledged, deleted))


async def _check_acknowledged(path: Path, acknowledged: dict[str, int], deleted: dict[str, int]) -> None:
    store = await SQLiteStore.open(path)
    standing = {e.key: e for e in (await store.range("/")).entries}
    assert await store.revision() >= max([*acknowledged.values(), *deleted.values()])
    for key, revision in acknowledged.items():
        if key in deleted:
            assert key not in standing
        elif key in standing:
            assert standing[key].revision >= revision
        else:  # deleted, but killed before it could say so
            assert int(key.rpartition("/")[2]) % 5 == 0
    await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_commits_reach_the_disk_before_they_are_acknowledged(path: Path) -> None:
    """kill -9 cannot show this, only a power cut: synchronous 2 is FULL, which syncs the log at every commit."""
    store = await SQLiteStore.open(path)
    assert store._write_connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._write_connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()


async def test_a_second_opener_is_told_who_has_it(path: Path) -> None:
    store = await SQLiteStore.open(path)
    with pytest.raises(StoreUnavailable, match=f"in use by process {os.getpid()}"):
        await SQLiteStore.open(path)
    await store.close()
    await (await SQLiteStore.open(path)).close()


async def test_the_files_are_for_the_owner_only(path: Path) -> None:
    store = await SQLiteStore.open(path)
    await store.create("/a", b"secret")
    modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    await store.close()


def limit_size(store: SQLiteStore, pages: int) -> None:
    """As if the disk ended there: SQLite gives the same error, SQLITE_FULL."""
    store._write_connection.execute(f"PRAGMA max_page_count = {pages}")


async def test_a_full_disk_fails_writes_and_nothing_else(path: Path) -> None:
    store = await SQLiteStore.open(path)
    kept = await store.create("/kept", b"1")
    limit_size(store, 1)
    async with store.watch("/", kept.revision) as watch:
        results = await asyncio.gather(
            store.update("/kept", b"x" * 100_000, kept.revision),
            store.create("/new", b"x" * 100_000),
            *(store.create(f"/more{n}", b"x" * 100_000) for n in range(300)),
            return_exceptions=True,
        )
        assert all(isinstance(r, StoreUnavailable) for r in results)
        assert "full" in str(results[0])
        assert (await store.get("/kept"))[0] == Entry("/kept", b"1", kept.revision, kept.revision)
        assert await store.revision() == kept.revision
        assert [e.key for e in (await store.range("/")).entries] == ["/kept"]
        limit_size(store, 1_000_000)
        updated = await store.update("/kept", b"2", kept.revision)
        assert updated.ok
        assert (await store.create("/new", b"2")).ok
        await watch.wait()
        assert [getattr(e, "value", None) for e in watch.take()][:2] == [b"2", b"2"]
    await store.close()
    store = await SQLiteStore.open(path)
    assert [e.value for e in (await store.range("/")).entries] == [b"2", b"2"]
    await store.close()


async def test_a_write_that_lost_to_one_on_its_way_is_answered_after_that_is_on_disk(path: Path) -> None:
    store = await SQLiteStore.open(path)
    limit_size(store, 1)
    winner, loser = await asyncio.gather(store.create("/k", b"x" * 100_000), store.create("/k", b"2"), return_exceptions=True)
    assert isinstance(winner, StoreUnavailable)
    assert isinstance(loser, StoreUnavailable), "nothing stands at /k, so it must not be told that something does"
    limit_size(store, 1_000_000)
    first, second = await asyncio.gather(store.create("/k", b"1"), store.create("/k", b"2"))
    assert first.ok
    assert second.current == Entry("/k", b"1", first.revision, first.revision)
    await store.close()


async def test_a_writer_that_goes_away_does_not_hold_up_the_others(path: Path) -> None:
    store = await SQLiteStore.open(path)
    impatient = asyncio.create_task(store.create("/a", b"1"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await store.create("/b", b"1")).ok
    assert [e.key for e in (await store.range("/")).entries] == ["/a", "/b"]
    await store.close()


async def test_close_answers_what_was_being_written(path: Path) -> None:
    store = await SQLiteStore.open(path)
    writes = [asyncio.create_task(store.create(f"/{n}", b"1")) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert all(w.ok for w in await asyncio.gather(*writes))
    with pytest.raises(StoreUnavailable):
        await store.create("/late", b"")
    store = await SQLiteStore.open(path)
    assert await store.count("/") == 300
    await store.close()


async def test_compaction_in_steps_makes_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "COMPACTION_STEP", 10)
    store = await SQLiteStore.open(path)
    revision = (await store.create("/k", b"0")).revision
    for n in range(100):
        revision = (await store.update("/k", b"%d" % n, revision)).revision
    await store.compact(revision)
    rows = store._point_connection.execute("SELECT count(*) FROM log").fetchone()
    assert rows == (1,)
    await store.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to be looked at as one" * 20, b"SQLite format 3\0" + b"\xff" * 4000]
)
async def test_a_file_that_is_no_store_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=str(path)):
        await SQLiteStore.open(path)
    assert path.read_bytes() == content


async def test_a_store_of_a_later_version_is_refused(path: Path) -> None:
    await (await SQLiteStore.open(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnavailable, match="format 99"):
        await SQLiteStore.open(path)


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file"):
        await SQLiteStore.open(tmp_path / "file" / "store.db")


async def test_open_store_knows_its_urls(path: Path) -> None:
    await (await open_store(f"sqlite://{path}")).close()
    assert path.exists()
    await (await open_store("memory://")).close()
    for wrong in ("", "mysql://x", "sqlite://relative", "/path"):
        with pytest.raises(ValueError, match="memory://"):
            await open_store(wrong)
