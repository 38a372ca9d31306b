"""The watch cache over the memory engine: what readers and watchers of one kind see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from kubetree.api.errors import Expired, Timeout
from kubetree.api.kind_table import kind
from kubetree.apiserver.cache import Cacher, WindowLimits
from kubetree.apiserver.cache import cacher as cacher_module
from kubetree.apiserver.watch_cache import Cached, CacheEvent, CacheWatch
from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import StoreUnavailable

POD = kind("v1", "Pod")
PREFIX = "/registry/pods/"


def pod(name: str, namespace: str = "default", labels: Mapping[str, str] | None = None, node: str = "", note: str = "") -> bytes:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    if note:
        metadata["annotations"] = {"note": note}
    return orjson.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"nodeName": node}})


def key(name: str, namespace: str = "default") -> str:
    return POD.key(namespace, name)


class Rig:
    """A store, its cacher, and writes by name."""

    def __init__(self, limits: WindowLimits | None = None, max_pending: int = 100_000) -> None:
        self.now = 0.0
        self.store = MemoryStore(max_pending=max_pending)
        self.cacher = Cacher(self.store, POD, limits=limits, clock=lambda: self.now)

    async def put(self, name: str, namespace: str = "default", **kw: Any) -> int:
        """Creates or replaces a pod, and waits until the cache has it."""
        at, value = key(name, namespace), pod(name, namespace, **kw)
        entry, _ = await self.store.get(at)
        written = await (self.store.create(at, value) if entry is None else self.store.update(at, value, entry.revision))
        assert written.ok
        return await self.cacher.fresh(written.revision)

    async def delete(self, name: str, namespace: str = "default") -> int:
        entry, _ = await self.store.get(key(name, namespace))
        assert entry is not None
        return await self.cacher.fresh((await self.store.delete(key(name, namespace), entry.revision)).revision)


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    task = asyncio.create_task(rig.cacher.run())
    try:
        await asyncio.wait_for(rig.cacher.ready(), 30)
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(Rig()) as started:
        yield started


def told(events: Sequence[CacheEvent]) -> list[tuple[str, str]]:
    return [(e.type, e.current.key.rpartition("/")[2]) for e in events]


async def follow(watch: CacheWatch, count: int) -> list[CacheEvent]:
    events: list[CacheEvent] = []
    while len(events) < count:
        assert await watch.wait(5), f"only {told(events)} came"
        events.extend(watch.take())
    return events


def names(entries: Any) -> list[str]:
    return [e.key.removeprefix(PREFIX) for e in entries]


async def test_what_was_there_before_it_started_is_there() -> None:
    rig = Rig()
    written = await rig.store.create(key("a"), pod("a"))
    async with running(rig):
        assert len(rig.cacher) == 1
        entry = rig.cacher.get(key("a"))
        assert entry is not None
        assert entry.revision == written.revision
        assert rig.cacher.revision == written.revision


async def test_bytes_carry_the_resource_version_and_are_otherwise_as_stored(rig: Rig) -> None:
    revision = await rig.put("a", labels={"app": "web"})
    entry = rig.cacher.get(key("a"))
    assert entry is not None
    expected = orjson.loads(pod("a", labels={"app": "web"}))
    expected["metadata"]["resourceVersion"] = str(revision)
    assert orjson.loads(entry.data) == expected == entry.obj
    assert entry.data.startswith(b'{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":')
    assert entry.labels == {"app": "web"}
    assert entry.fields["metadata.name"] == "a"
    assert entry.obj is entry.obj


async def test_a_write_is_seen_by_the_read_after_it(rig: Rig) -> None:
    await rig.store.create(key("a"), pod("a"))
    await rig.cacher.fresh()
    assert rig.cacher.get(key("a")) is not None


async def test_the_revision_moves_with_writes_of_other_kinds(rig: Rig) -> None:
    written = await rig.store.create("/registry/configmaps/default/x", b"{}")
    assert await rig.cacher.fresh() == written.revision


async def test_a_revision_that_does_not_come_times_out_as_upstream(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cacher_module, "FRESH_TIMEOUT", 0.05)
    with pytest.raises(Timeout) as failure:
        await rig.cacher.fresh(1000)
    assert failure.value.message == "Timeout: Too large resource version: 1000, current: 1"
    assert failure.value.causes[0].reason == "ResourceVersionTooLarge"


async def test_items_are_in_key_order_and_by_namespace(rig: Rig) -> None:
    for name, namespace in (("b", "two"), ("a", "two"), ("z", "one"), ("a", "two-more")):
        await rig.put(name, namespace)
    assert names(rig.cacher.items()) == ["one/z", "two-more/a", "two/a", "two/b"]
    assert names(rig.cacher.items(PREFIX + "two/")) == ["two/a", "two/b"]
    assert names(rig.cacher.items(PREFIX + "none/")) == []


async def test_items_as_they_stood_a_moment_ago() -> None:
    async with running(Rig(WindowLimits(least=5, most=5))) as rig:
        past: dict[int, list[bytes]] = {}
        for write in (
            rig.put("a"),
            rig.put("b", "other"),
            rig.put("a", note="x"),
            rig.delete("a"),
            rig.put("a"),
            rig.delete("b", "other"),
            rig.put("c"),
        ):
            revision = await write
            past[revision] = [e.data for e in rig.cacher.items()]
        first, second, *recent = past
        assert rig.cacher.items_at(first) is None
        for revision in (second, *recent):
            found = rig.cacher.items_at(revision)
            assert found is not None
            assert [e.data for e in found] == past[revision]
        assert names(rig.cacher.items_at(second, PREFIX + "other/")) == ["other/b"]
        assert rig.cacher.items_at(max(past) + 1) is None
        await rig.store.compact(recent[-1])
        assert rig.cacher.items_at(second) is None, "upstream answers 410 for what was compacted, however long ago"
        assert rig.cacher.items_at(recent[-1]) is not None


async def test_a_watch_goes_on_over_a_restart_of_the_server() -> None:
    before = Rig()
    async with running(before):
        seen = await before.put("a")
        await before.put("a", note="x")
        await before.delete("a")
        await before.put("b")
    after = Rig()
    after.store, after.cacher = before.store, Cacher(before.store, POD)
    async with running(after):
        assert names(after.cacher.items()) == ["default/b"]
        with after.cacher.watch(seen) as watch:
            assert told(watch.take()) == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]


async def test_after_a_compaction_a_restarted_server_starts_from_now() -> None:
    rig = Rig()
    await rig.store.create(key("a"), pod("a"))
    written = await rig.store.create(key("b"), pod("b"))
    await rig.store.compact(written.revision)
    async with running(rig):
        assert names(rig.cacher.items()) == ["default/a", "default/b"]
        with pytest.raises(Expired), rig.cacher.watch(written.revision - 1):
            pass


async def test_indexes_follow_changes(rig: Rig) -> None:
    await rig.put("a", labels={"app": "web"}, node="n1")
    await rig.put("b", labels={"app": "db"}, node="n1")
    by_label = {"labels": {"app": "web"}}
    by_node = {"index": {"spec.nodeName": "n1"}}
    assert names(rig.cacher.items(**by_label)) == ["default/a"]
    assert names(rig.cacher.items(**by_node)) == ["default/a", "default/b"]
    await rig.put("b", labels={"app": "web"}, node="n2")
    await rig.put("c", "other", labels={"app": "web"})
    await rig.delete("a")
    assert names(rig.cacher.items(**by_label)) == ["default/b", "other/c"]
    assert names(rig.cacher.items(PREFIX + "other/", **by_label)) == ["other/c"]
    assert names(rig.cacher.items(**by_node)) == []


async def test_of_several_indexes_the_one_that_narrows_most_is_used(rig: Rig) -> None:
    for name in "abc":
        await rig.put(name, labels={"tier": "front", "app": name}, node="n1")
    for labels in ({"tier": "front", "app": "b"}, {"app": "b", "tier": "front"}):
        assert names(rig.cacher.items("", {"spec.nodeName": "n1"}, labels)) == ["default/b"]
    assert names(rig.cacher.items("", {"spec.nodeName": "n1"}, {"app": "none"})) == []


async def test_closed_watches_of_a_quiet_kind_leave_nothing_behind(rig: Rig) -> None:
    for prefix in ("", key("a"), PREFIX + "default/"):
        with rig.cacher.watch(rig.cacher.revision, prefix) as watch:
            watch.notify(lambda: None)
    assert len(rig.cacher._watchers) == 0
    assert not rig.cacher._watchers._sleepers
    assert not rig.cacher._watchers._routes


async def test_fields_without_an_index_do_not_narrow(rig: Rig) -> None:
    await rig.put("a")
    assert names(rig.cacher.items(index={"metadata.name": "b"})) == ["default/a"]
    assert names(rig.cacher.items(index={"spec.host": "b"})) == ["default/a"]


async def test_a_watch_tells_every_change_with_the_state_before(rig: Rig) -> None:
    with rig.cacher.watch(rig.cacher.revision) as watch:
        created = await rig.put("a")
        changed = await rig.put("a", note="new")
        gone = await rig.delete("a")
        events = await follow(watch, 3)
    assert told(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert [e.revision for e in events] == [created, changed, gone]
    assert events[0].previous is None
    assert [e.previous and e.previous.revision for e in events] == [None, created, changed]
    last = orjson.loads(events[2].current.data)
    assert last["metadata"]["resourceVersion"] == str(gone)
    assert last["metadata"]["annotations"] == {"note": "new"}


async def test_a_frame_is_one_chunk_encoded_once(rig: Rig) -> None:
    with rig.cacher.watch(rig.cacher.revision) as watch:
        revision = await rig.put("a")
        (event,) = await follow(watch, 1)
    frame = event.frame("ADDED")
    size, _, rest = frame.partition(b"\r\n")
    line, end = rest[: int(size, 16)], rest[int(size, 16) :]
    assert end == b"\r\n"
    assert line.endswith(b"}\n")
    assert orjson.loads(line)["type"] == "ADDED"
    assert orjson.loads(line)["object"]["metadata"]["resourceVersion"] == str(revision)
    assert event.frame("ADDED") is frame


async def test_an_object_that_leaves_a_selector_is_shown_as_it_was_with_the_new_revision(rig: Rig) -> None:
    await rig.put("a", note="old")
    with rig.cacher.watch(rig.cacher.revision) as watch:
        revision = await rig.put("a", note="new")
        (event,) = await follow(watch, 1)
    shown = orjson.loads(event.frame("DELETED").split(b"\r\n")[1])["object"]
    assert shown["metadata"]["annotations"] == {"note": "old"}
    assert shown["metadata"]["resourceVersion"] == str(revision)
    assert orjson.loads(event.frame("MODIFIED").split(b"\r\n")[1])["object"]["metadata"]["annotations"] == {"note": "new"}


async def test_a_watch_starts_in_the_past(rig: Rig) -> None:
    first = await rig.put("a")
    await rig.put("b")
    await rig.put("c", "other")
    with rig.cacher.watch(first) as everything, rig.cacher.watch(first, PREFIX + "other/") as narrow:
        assert told(everything.take()) == [("ADDED", "b"), ("ADDED", "c")]
        assert told(narrow.take()) == [("ADDED", "c")]


async def test_a_watch_from_the_future_skips_what_lies_before(rig: Rig) -> None:
    with rig.cacher.watch(rig.cacher.revision + 1) as everything, rig.cacher.watch(rig.cacher.revision + 1, key("b")) as narrow:
        await rig.put("a")
        await rig.put("b")
        assert told(everything.take()) == [("ADDED", "b")]
        assert told(narrow.take()) == [("ADDED", "b")]


async def test_narrow_watches_get_what_concerns_them_only(rig: Rig) -> None:
    start = rig.cacher.revision
    with (
        rig.cacher.watch(start, key("a")) as one,
        rig.cacher.watch(start, PREFIX + "default/") as namespace,
        rig.cacher.watch(start, index={"spec.nodeName": "n1"}) as node,
        rig.cacher.watch(start, PREFIX) as everything,
    ):
        await rig.put("a")
        await rig.put("aa")
        await rig.put("a", "other")
        await rig.put("a", node="n1")
        await rig.put("a", node="n2")
        await rig.put("a", note="x", node="n2")
        assert [e.type for e in one.take()] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED"]
        assert len(namespace.take()) == 5
        assert [e.current.fields["spec.nodeName"] for e in node.take()] == ["n1", "n2"]
        assert len(everything.take()) == 6


async def test_waiting_ends_with_an_event_or_with_the_time(rig: Rig) -> None:
    with rig.cacher.watch(rig.cacher.revision) as everything, rig.cacher.watch(rig.cacher.revision, key("a")) as narrow:
        assert not await everything.wait(0.01)
        assert not await narrow.wait(0.01)
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(watch.wait(5)) for watch in (everything, narrow)]
            await asyncio.sleep(0)
            await rig.put("a")
        assert [wait.result() for wait in waits] == [True, True]


async def test_the_revision_of_a_watch_is_what_was_taken(rig: Rig) -> None:
    with rig.cacher.watch(rig.cacher.revision) as everything, rig.cacher.watch(rig.cacher.revision, key("a")) as narrow:
        start = rig.cacher.revision
        first = await rig.put("a")
        last = await rig.put("b")
        assert (everything.revision, narrow.revision) == (start, start)
        everything.take()
        assert everything.revision == last
        assert [e.revision for e in narrow.take()] == [first]
        assert narrow.revision == last
        other = await rig.store.create("/registry/configmaps/default/x", b"{}")
        await rig.cacher.fresh()
        assert everything.revision == narrow.revision == other.revision


async def test_a_start_before_the_window_is_expired() -> None:
    async with running(Rig(WindowLimits(least=2, most=3))) as rig:
        revisions = [await rig.put(str(n)) for n in range(6)]
        with rig.cacher.watch(revisions[2]) as watch:
            assert told(watch.take()) == [("ADDED", "3"), ("ADDED", "4"), ("ADDED", "5")]
        with pytest.raises(Expired) as failure, rig.cacher.watch(revisions[1]):
            pass
        assert failure.value.message == f"too old resource version: {revisions[1]} ({revisions[2]})"


async def test_old_events_leave_the_window_and_a_least_number_stays() -> None:
    async with running(Rig(WindowLimits(seconds=60, least=2))) as rig:
        for n in range(4):
            await rig.put(str(n))
        rig.now = 100.0
        last = await rig.put("4")
        with rig.cacher.watch(last - 2) as watch:
            assert told(watch.take()) == [("ADDED", "3"), ("ADDED", "4")]
        with pytest.raises(Expired), rig.cacher.watch(last - 3):
            pass


async def test_a_slow_watch_of_everything_ends_when_the_window_passes_it() -> None:
    async with running(Rig(WindowLimits(least=2, most=3))) as rig:
        with rig.cacher.watch(rig.cacher.revision) as watch:
            for n in range(5):
                await rig.put(str(n))
            with pytest.raises(Expired):
                watch.take()


async def test_a_slow_narrow_watch_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubetree.apiserver.cache.watchers.MAX_PENDING", 3)
    with rig.cacher.watch(rig.cacher.revision, key("a")) as watch:
        for n in range(5):
            await rig.put("a", note=str(n))
        with pytest.raises(Expired):
            watch.take()


async def test_frames_of_old_events_are_encoded_again() -> None:
    async with running(Rig(WindowLimits(framed=1))) as rig:
        with rig.cacher.watch(rig.cacher.revision) as watch:
            await rig.put("a")
            (event,) = watch.take()
            frame = event.frame("ADDED")
            await rig.put("b")
            assert event.frame("ADDED") is not frame
            assert event.frame("ADDED") == frame


async def test_after_a_gap_watches_end_and_the_cache_is_right_again() -> None:
    async with running(Rig(max_pending=10)) as rig:
        await rig.put("old")
        with rig.cacher.watch(rig.cacher.revision) as watch:
            entry, _ = await rig.store.get(key("old"))
            assert entry is not None
            await rig.store.delete(key("old"), entry.revision)
            for n in range(20):
                await rig.store.create(key(f"new{n}"), pod(f"new{n}"))
            assert await asyncio.wait_for(watch.wait(5), 30)
            with pytest.raises(Expired):
                watch.take()
        await rig.cacher.fresh()
        assert rig.cacher.get(key("old")) is None
        assert len(rig.cacher) == 20
        with rig.cacher.watch(rig.cacher.revision) as watch:
            await rig.put("more")
            assert told(await follow(watch, 1)) == [("ADDED", "more")]


async def test_garbage_in_the_store_is_left_out_and_hurts_nothing_else(rig: Rig) -> None:
    await rig.store.create(key("bad"), b"\x00garbage")
    await rig.store.create(key("array"), b'["metadata"]')
    await rig.put("good")
    assert names(rig.cacher.items()) == ["default/good"]


async def test_generation_changes_with_every_change(rig: Rig) -> None:
    seen = {rig.cacher.generation}
    await rig.put("a")
    seen.add(rig.cacher.generation)
    await rig.put("a", note="x")
    seen.add(rig.cacher.generation)
    await rig.delete("a")
    seen.add(rig.cacher.generation)
    assert len(seen) == 4
    before = rig.cacher.generation
    await rig.store.create("/registry/configmaps/default/x", b"{}")
    await rig.cacher.fresh()
    assert rig.cacher.generation == before


async def test_decoded_dicts_are_kept_within_a_limit(rig: Rig) -> None:
    await rig.put("a")
    await rig.put("b")
    one, two = rig.cacher.get(key("a")), rig.cacher.get(key("b"))
    assert one is not None and two is not None
    rig.cacher._decoded.objects._limit = len(one.data)
    kept = one.obj
    assert one.obj is kept
    assert two.obj == orjson.loads(two.data)
    assert one.obj is not kept


async def test_protobuf_is_encoded_once_and_kept_within_a_limit(rig: Rig) -> None:
    await rig.put("a")
    await rig.put("b")
    one, two = rig.cacher.get(key("a")), rig.cacher.get(key("b"))
    assert one is not None and two is not None
    rig.cacher._decoded.messages._limit = len(one.message)
    kept = one.message
    assert one.message is kept
    assert two.message != kept
    assert one.message is not kept and one.message == kept


async def test_a_frame_is_made_once_for_all_watchers_of_a_form(rig: Rig) -> None:
    made = []

    class Short:
        def frame(self, type: str, entry: Cached) -> bytes:
            made.append(type)
            return f"{type} {entry.key}".encode()

    with rig.cacher.watch(rig.cacher.revision) as watch:
        await rig.put("a")
        await watch.wait(1)
        (event,) = watch.take()
    form = Short()
    assert event.frame_as(form, "ADDED") == f"ADDED {key('a')}".encode()
    assert event.frame_as(form, "ADDED") is event.frame_as(form, "ADDED")
    assert made == ["ADDED"]


async def test_a_read_of_a_closed_store_says_so(rig: Rig) -> None:
    await rig.store.close()
    with pytest.raises(StoreUnavailable):
        await rig.cacher.fresh()


async def test_labels_that_were_told_beforehand_are_those_of_that_value_only(rig: Rig) -> None:
    value = pod("a", labels={"app": "x"})
    for name, labels in (("a", {"app": "told"}), ("b", {"app": "told"})):
        rig.cacher.expect(key(name), value, labels)
    await rig.put("a", labels={"app": "x"})
    await rig.put("b", labels={"app": "another"})
    await rig.put("a", labels={"app": "x"}, note="again")
    found = {name: rig.cacher.get(key(name)) for name in "ab"}
    assert [dict(entry.labels) for entry in found.values() if entry is not None] == [{"app": "x"}, {"app": "another"}]


async def test_labels_that_were_told_beforehand_need_not_be_read(rig: Rig) -> None:
    rig.cacher.expect(key("a"), pod("a", labels={"app": "x"}), {"app": "told"})
    await rig.put("a", labels={"app": "x"})
    entry = rig.cacher.get(key("a"))
    assert entry is not None and dict(entry.labels) == {"app": "told"}
