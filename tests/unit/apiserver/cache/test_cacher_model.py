"""Whatever is written and whenever a watch is opened: it tells what a list of all changes says it should, and lists agree with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from kubetree.api.kind_table import kind
from kubetree.apiserver.cache import Cacher
from kubetree.apiserver.watch_cache import DELETED, CacheEvent
from kubetree.store.memory import MemoryStore

POD = kind("v1", "Pod")
PREFIX = "/registry/pods/"
KEYS = (f"{PREFIX}a/x", f"{PREFIX}a/xy", f"{PREFIX}b/x")
VALUES = st.tuples(st.sampled_from(["", "n1", "n2"]), st.sampled_from([None, "web", "db"]))
WRITE = st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), VALUES))
WATCH = st.tuples(
    st.sampled_from(["", PREFIX, f"{PREFIX}a/", f"{PREFIX}a/x", f"{PREFIX}b/x"]),
    st.sampled_from([None, {"spec.nodeName": "n1"}, {"spec.nodeName": ""}, {"metadata.name": "x"}]),
    st.integers(0, 6),
)
STEP = st.one_of(st.tuples(st.just("write"), WRITE), st.tuples(st.just("watch"), WATCH), st.tuples(st.just("list"), WATCH))


def pod(key: str, node: str, app: str | None) -> bytes:
    _, _, _, namespace, name = key.split("/")
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if app is not None:
        metadata["labels"] = {"app": app}
    return orjson.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"nodeName": node}})


def concerns(event: CacheEvent, prefix: str, index: Mapping[str, str] | None) -> bool:
    """What must come to a watch: the cache may send more, which the reader drops as its selectors say."""
    if not (event.current.key == prefix or (event.current.key.startswith(prefix) and prefix.endswith("/")) or not prefix):
        return False
    states = [s for s in (event.current, event.previous) if s is not None]
    return any(all(state.fields[name] == value for name, value in (index or {}).items()) for state in states)


@dataclass
class Opened:
    prefix: str
    index: Mapping[str, str] | None
    after: int
    watch: Any


async def run(steps: list[tuple[str, Any]]) -> None:
    store = MemoryStore()
    cacher = Cacher(store, POD)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cacher.run())
        await cacher.ready()
        with cacher.watch(cacher.revision) as everything:
            changes: list[CacheEvent] = []
            states: dict[int, dict[str, bytes]] = {cacher.revision: {}}
            opened: list[Opened] = []
            closers = []
            for what, step in steps:
                if what == "write":
                    await write(store, *step)
                    await cacher.fresh()
                    changes.extend(everything.take())
                    states[cacher.revision] = {e.key: e.data for e in cacher.items()}
                elif what == "watch":
                    prefix, index, back = step
                    after = max(cacher.revision - back, 1)
                    context = cacher.watch(after, prefix, index)
                    opened.append(Opened(prefix, index, after, context.__enter__()))
                    closers.append(context)
                else:
                    check_lists(cacher, *step, states)
            for watching in opened:
                told = [e for e in watching.watch.take() if concerns(e, watching.prefix, watching.index)]
                expected = [e for e in changes if e.revision > watching.after and concerns(e, watching.prefix, watching.index)]
                assert told == expected
            for context in closers:
                context.__exit__(None, None, None)
            assert len(cacher._watchers) == 1
            check_changes(changes, states)
        running.cancel()


async def write(store: MemoryStore, key: str, value: tuple[str, str | None] | None) -> None:
    entry, _ = await store.get(key)
    if value is None:
        if entry is not None:
            await store.delete(key, entry.revision)
    elif entry is None:
        await store.create(key, pod(key, *value))
    else:
        await store.update(key, pod(key, *value), entry.revision)


def check_lists(cacher: Cacher, prefix: str, index: Mapping[str, str] | None, back: int, states: Mapping[int, Mapping[str, bytes]]) -> None:
    def wanted(entry: Any) -> bool:
        return all(entry.fields[name] == value for name, value in (index or {}).items()) and entry.labels.get("app") == "web"

    whole = sorted((e for e in cacher.items() if e.key.startswith(prefix)), key=lambda e: e.key)
    assert [e.key for e in cacher.items(prefix)] == [e.key for e in whole]
    assert [e for e in cacher.items(prefix, index, {"app": "web"}) if wanted(e)] == [e for e in whole if wanted(e)]
    revision = max(cacher.revision - back, 1)
    found = cacher.items_at(revision, prefix)
    assert found is not None
    known = max(r for r in states if r <= revision)
    assert [(e.key, e.data) for e in found] == [(k, v) for k, v in sorted(states[known].items()) if k.startswith(prefix)]


def check_changes(changes: list[CacheEvent], states: Mapping[int, Mapping[str, bytes]]) -> None:
    """Playing the changes in order gives the states."""
    state: dict[str, bytes] = {}
    for change in changes:
        key = change.current.key
        assert state.get(key) == (change.previous.data if change.previous is not None else None)
        if change.type == DELETED:
            del state[key]
        else:
            state[key] = change.current.data
        assert orjson.loads(change.current.data)["metadata"]["resourceVersion"] == str(change.revision)
        assert state == states[change.revision]


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_the_cache_is_as_the_changes_say(steps: list[tuple[str, Any]]) -> None:
    asyncio.run(run(steps))
