"""What the store Protocol promises, checked on every engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kubetree.store.protocol import Compacted, Entry, Progress, Store, StoreEvent, Watch

DEADLINE = 10.0


async def collect(watch: Watch, count: int) -> list[StoreEvent]:
    """The next `count` events; progress is left out."""
    events: list[StoreEvent] = []

    async def read() -> None:
        async for batch in watch:
            events.extend(e for e in batch if isinstance(e, StoreEvent))
            if len(events) >= count:
                return

    await asyncio.wait_for(read(), DEADLINE)
    return events


def summary(events: Sequence[StoreEvent]) -> list[tuple[str, bytes | None]]:
    return [(e.key, e.value) for e in events]


async def test_create_then_get(store: Store) -> None:
    before = await store.revision()
    written = await store.create("/registry/pods/a/x", b"1")
    assert written.ok
    assert written.revision > before
    entry, revision = await store.get("/registry/pods/a/x")
    assert entry == Entry("/registry/pods/a/x", b"1", written.revision, written.revision)
    assert revision == written.revision == await store.revision()


async def test_get_of_a_missing_key(store: Store) -> None:
    assert (await store.get("/registry/none"))[0] is None


async def test_create_of_an_existing_key_fails_and_tells_what_is_there(store: Store) -> None:
    first = await store.create("/k", b"1")
    second = await store.create("/k", b"2")
    assert not second.ok
    assert second.current == Entry("/k", b"1", first.revision, first.revision)
    assert await store.revision() == first.revision


async def test_update_compares_the_revision(store: Store) -> None:
    created = await store.create("/k", b"1")
    updated = await store.update("/k", b"2", created.revision)
    assert updated.ok
    stale = await store.update("/k", b"3", created.revision)
    assert not stale.ok
    assert stale.current == Entry("/k", b"2", updated.revision, created.revision)
    missing = await store.update("/none", b"3", created.revision)
    assert not missing.ok
    assert missing.current is None


async def test_delete_compares_the_revision_and_returns_what_it_deleted(store: Store) -> None:
    created = await store.create("/k", b"1")
    updated = await store.update("/k", b"2", created.revision)
    assert not (await store.delete("/k", created.revision)).ok
    deleted = await store.delete("/k", updated.revision)
    assert deleted.ok
    assert deleted.current == Entry("/k", b"2", updated.revision, created.revision)
    assert deleted.revision > updated.revision
    assert (await store.get("/k"))[0] is None
    assert not (await store.delete("/k", updated.revision)).ok


async def test_a_key_can_be_created_again(store: Store) -> None:
    first = await store.create("/k", b"1")
    await store.delete("/k", first.revision)
    again = await store.create("/k", b"2")
    assert again.ok
    assert (await store.get("/k"))[0] == Entry("/k", b"2", again.revision, again.revision)


async def test_reads_at_a_revision_of_the_past(store: Store) -> None:
    one = await store.create("/k", b"1")
    two = await store.update("/k", b"2", one.revision)
    three = await store.delete("/k", two.revision)
    await store.create("/l", b"1")
    assert (await store.get("/k", one.revision))[0] == Entry("/k", b"1", one.revision, one.revision)
    assert (await store.get("/k", two.revision))[0] == Entry("/k", b"2", two.revision, one.revision)
    assert (await store.get("/k", three.revision))[0] is None
    page = await store.range("/", revision=two.revision)
    assert [e.value for e in page.entries] == [b"2"]
    assert page.revision == two.revision


async def test_range_is_in_key_order_and_bounded_by_the_prefix(store: Store) -> None:
    for key in ("/a/2", "/a/1", "/b/1", "/a0", "/a/10", "/a/\u00e9", "/a"):
        await store.create(key, key.encode())
    page = await store.range("/a/")
    assert [e.key for e in page.entries] == ["/a/1", "/a/10", "/a/2", "/a/\u00e9"]
    assert page.remaining == 0
    assert await store.count("/a/") == 4
    assert await store.count("/") == 7
    assert await store.count("/c") == 0


async def test_range_in_pages_at_one_revision(store: Store) -> None:
    for n in range(7):
        await store.create(f"/a/{n}", b"")
    first = await store.range("/a/", limit=3)
    assert ([e.key for e in first.entries], first.remaining) == (["/a/0", "/a/1", "/a/2"], 4)
    await store.create("/a/35", b"late")
    await store.delete("/a/6", (await store.get("/a/6"))[0].revision)  # type: ignore[union-attr]
    second = await store.range("/a/", after="/a/2", limit=3, revision=first.revision)
    assert ([e.key for e in second.entries], second.remaining) == (["/a/3", "/a/4", "/a/5"], 1)
    third = await store.range("/a/", after="/a/5", limit=3, revision=first.revision)
    assert ([e.key for e in third.entries], third.remaining) == (["/a/6"], 0)


async def test_concurrent_creates_of_one_key_have_one_winner(store: Store) -> None:
    results = await asyncio.gather(*(store.create("/k", b"%d" % n) for n in range(20)))
    assert [r.ok for r in results].count(True) == 1


async def test_concurrent_increments_lose_nothing(store: Store) -> None:
    await store.create("/n", b"0")

    async def add() -> None:
        while True:
            entry, _ = await store.get("/n")
            assert entry is not None
            if (await store.update("/n", b"%d" % (int(entry.value) + 1), entry.revision)).ok:
                return

    await asyncio.gather(*(add() for _ in range(10)))
    assert (await store.get("/n"))[0].value == b"10"  # type: ignore[union-attr]


async def test_watch_sees_every_change_below_its_prefix_in_order(store: Store) -> None:
    start = await store.revision()
    async with store.watch("/a/", start) as watch:
        one = await store.create("/a/1", b"1")
        await store.create("/b/1", b"x")
        two = await store.update("/a/1", b"2", one.revision)
        three = await store.delete("/a/1", two.revision)
        events = await collect(watch, 3)
    assert events == [
        StoreEvent(one.revision, "/a/1", b"1", one.revision),
        StoreEvent(two.revision, "/a/1", b"2", one.revision),
        StoreEvent(three.revision, "/a/1", None),
    ]
    assert [e.is_create for e in events] == [True, False, False]
    assert [e.deleted for e in events] == [False, False, True]


async def test_watch_replays_history_then_goes_on(store: Store) -> None:
    one = await store.create("/a/1", b"1")
    two = await store.update("/a/1", b"2", one.revision)
    await store.delete("/a/1", two.revision)
    async with store.watch("/a/", one.revision) as watch:
        await store.create("/a/2", b"new")
        events = await collect(watch, 3)
    assert summary(events) == [("/a/1", b"2"), ("/a/1", None), ("/a/2", b"new")]


async def test_watch_from_the_future_skips_what_lies_before(store: Store) -> None:
    start = await store.revision()
    async with store.watch("/a/", start + 2) as watch:
        for n in range(4):
            await store.create(f"/a/{n}", b"")
        events = await collect(watch, 2)
    assert [e.key for e in events] == ["/a/2", "/a/3"]


async def test_a_requested_progress_passes_every_event_before_it(store: Store) -> None:
    async with store.watch("/a/", await store.revision()) as watch:
        await store.create("/a/1", b"")
        other = await store.create("/b/1", b"")
        seen: list[StoreEvent | Progress] = []

        async def read() -> None:
            while not any(isinstance(e, Progress) and e.revision >= other.revision for e in seen):
                watch.request_progress(other.revision)
                await watch.wait()
                seen.extend(watch.take())

        await asyncio.wait_for(read(), DEADLINE)
    reached = [isinstance(e, Progress) and e.revision >= other.revision for e in seen].index(True)
    assert "/a/1" in [e.key for e in seen[:reached] if isinstance(e, StoreEvent)]


async def test_compaction_forgets_the_past_and_keeps_the_present(store: Store) -> None:
    one = await store.create("/k", b"1")
    two = await store.update("/k", b"2", one.revision)
    await store.create("/l", b"1")
    gone = await store.create("/gone", b"1")
    deleted = await store.delete("/gone", gone.revision)
    last = await store.update("/k", b"3", two.revision)
    await store.compact(deleted.revision)
    assert store.oldest == deleted.revision
    with pytest.raises(Compacted):
        await store.get("/k", one.revision)
    with pytest.raises(Compacted):
        await store.range("/", revision=two.revision)
    assert (await store.get("/k", deleted.revision))[0] == Entry("/k", b"2", two.revision, one.revision)
    assert [e.key for e in (await store.range("/")).entries] == ["/k", "/l"]
    assert (await store.get("/k"))[0] == Entry("/k", b"3", last.revision, one.revision)
    assert (await store.create("/gone", b"2")).ok


async def test_watch_from_a_compacted_revision_says_so(store: Store) -> None:
    one = await store.create("/k", b"1")
    revision = one.revision
    for n in range(5):
        revision = (await store.update("/k", b"%d" % n, revision)).revision
    await store.compact(revision)
    with pytest.raises(Compacted):
        async with store.watch("/", one.revision) as watch:
            await collect(watch, 1)
    async with store.watch("/", revision) as watch:
        await store.create("/l", b"")
        assert summary(await collect(watch, 1)) == [("/l", b"")]


async def test_compacting_twice_and_backwards_is_harmless(store: Store) -> None:
    one = await store.create("/k", b"1")
    two = await store.update("/k", b"2", one.revision)
    await store.compact(two.revision)
    await store.compact(two.revision)
    await store.compact(one.revision)
    assert (await store.get("/k"))[0].value == b"2"  # type: ignore[union-attr]


async def test_expiry_is_a_delete_that_watchers_see(store: Store) -> None:
    async with store.watch("/", await store.revision()) as watch:
        kept = await store.create("/kept", b"1", ttl=1)
        await store.update("/kept", b"2", kept.revision)
        await store.create("/short", b"1", ttl=1)
        events = await collect(watch, 4)
    assert summary(events)[-1] == ("/short", None)
    assert [e.key for e in (await store.range("/")).entries] == ["/kept"]


async def test_a_write_renews_the_expiry(store: Store) -> None:
    short = await store.create("/renewed", b"1", ttl=1)
    await store.update("/renewed", b"2", short.revision, ttl=600)
    async with store.watch("/", await store.revision()) as watch:
        await store.create("/other", b"1", ttl=1)
        assert summary(await collect(watch, 2)) == [("/other", b"1"), ("/other", None)]
    assert (await store.get("/renewed"))[0] is not None


async def test_empty_and_large_and_binary_values(store: Store) -> None:
    large = bytes(range(256)) * 4096
    for key, value in {"/empty": b"", "/large": large, "/nul": b"\0\0"}.items():
        await store.create(key, value)
        assert (await store.get(key))[0].value == value  # type: ignore[union-attr]


async def test_watches_opened_amid_writes_see_everything_once_and_in_order(store: Store) -> None:
    """Several writers and, started at any moment from any revision of the past, several watchers."""
    start = await store.revision()
    truth: list[tuple[int, str, bytes | None]] = []

    async def write(worker: int) -> None:
        for n in range(25):
            key = f"/w/{worker}/{n % 3}"
            entry, _ = await store.get(key)
            if entry is None:
                written = await store.create(key, b"%d" % n)
                truth.append((written.revision, key, b"%d" % n))
            elif n % 5 == 4:
                written = await store.delete(key, entry.revision)
                truth.append((written.revision, key, None))
            else:
                written = await store.update(key, b"%d" % n, entry.revision)
                truth.append((written.revision, key, b"%d" % n))
            assert written.ok

    async def follow(after: int) -> list[StoreEvent]:
        async with store.watch("/w/", after) as watch:
            seen: list[StoreEvent] = []
            while True:
                await watch.wait()
                seen.extend(e for e in watch.take() if isinstance(e, StoreEvent))
                if seen and seen[-1].key == "/w/end":
                    return seen[:-1]

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(w)) for w in range(4)]
        followers = []
        for n in range(8):
            followers.append((start + n * 5, group.create_task(follow(start + n * 5))))
            await asyncio.sleep(0.002)
        await asyncio.gather(*writers)
        await store.create("/w/end", b"")
    truth.sort()
    for after, follower in followers:
        assert [(e.revision, e.key, e.value) for e in follower.result()] == [t for t in truth if t[0] > after]


async def test_the_size_is_that_of_the_disk(store: Store) -> None:
    await store.create("/registry/pods/a/x", b"x" * 10_000)
    size = await store.size()
    assert size == 0 if type(store).__name__ in ("MemoryStore", "PrefixedStore") else size > 10_000
