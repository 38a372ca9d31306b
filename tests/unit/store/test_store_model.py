"""Any sequence of writes, compactions and restarts leaves an engine as a plain list of changes says it should be."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubetree.store.protocol import Compacted, Entry, Store, StoreEvent
from unit.store.engines import ENGINES

KEYS = ("/a/1", "/a/2", "/a/20", "/a", "/b/1", "/b/é")
PREFIXES = ("/", "/a/", "/a", "/b/", "/a/2", "/c/")

key = st.sampled_from(KEYS)
value = st.binary(max_size=8)
step = st.one_of(
    st.tuples(st.just("create"), key, value),
    st.tuples(st.just("update"), key, value, st.booleans()),
    st.tuples(st.just("delete"), key, st.booleans()),
    st.tuples(st.just("compact"), st.integers(0, 5)),
    st.tuples(st.just("restart")),
)


@dataclass
class Model:
    """All changes ever, and how far they were compacted."""

    base: int
    changes: list[StoreEvent] = field(default_factory=list)
    compacted: int = 0

    @property
    def revision(self) -> int:
        return self.changes[-1].revision if self.changes else self.base

    def at(self, revision: int) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for change in self.changes:
            if change.revision <= revision:
                if change.value is None:
                    del found[change.key]
                else:
                    found[change.key] = Entry(change.key, change.value, change.revision, change.created)
        return {k: found[k] for k in sorted(found)}

    def put(self, key: str, value: bytes | None) -> None:
        standing = self.at(self.revision).get(key)
        revision = self.revision + 1
        created = 0 if value is None else standing.created if standing else revision
        self.changes.append(StoreEvent(revision, key, value, created))


async def apply(store: Store, model: Model, action: tuple[object, ...]) -> None:
    match action:
        case ("create", str(key), bytes(value)):
            standing = model.at(model.revision).get(key)
            written = await store.create(key, value)
            assert (written.ok, written.current) == (standing is None, standing)
            if written.ok:
                model.put(key, value)
        case ("update", str(key), bytes(value), bool(stale)):
            standing = model.at(model.revision).get(key)
            written = await store.update(key, value, (standing.revision if standing else model.base) + 1000 * stale)
            assert written.ok == (standing is not None and not stale)
            if written.ok:
                model.put(key, value)
            else:
                assert written.current == standing
        case ("delete", str(key), bool(stale)):
            standing = model.at(model.revision).get(key)
            written = await store.delete(key, (standing.revision if standing else model.base) + 1000 * stale)
            assert written.ok == (standing is not None and not stale)
            assert written.current == standing
            if written.ok:
                model.put(key, None)
        case ("compact", int(back)):
            revision = model.revision - back
            if revision > model.base:
                await store.compact(revision)
                model.compacted = max(model.compacted, revision)
    assert await store.revision() == model.revision


async def check_reads(store: Store, model: Model) -> None:
    for revision in range(max(model.base, model.compacted), model.revision + 1):
        expected = model.at(revision)
        for key in KEYS:
            assert (await store.get(key, revision))[0] == expected.get(key)
        for prefix in PREFIXES:
            entries = [e for k, e in expected.items() if k.startswith(prefix)]
            assert list((await store.range(prefix, revision=revision)).entries) == entries
            page = await store.range(prefix, limit=1, after="/a/1", revision=revision)
            rest = [e for e in entries if e.key > "/a/1"]
            assert (list(page.entries), page.remaining) == (rest[:1], max(len(rest) - 1, 0))
    now = model.at(model.revision)
    for prefix in PREFIXES:
        assert await store.count(prefix) == sum(k.startswith(prefix) for k in now)
    for revision in range(model.base + 1, model.compacted):
        with pytest.raises(Compacted):
            await store.get("/a/1", revision)


async def check_watches(store: Store, model: Model) -> None:
    for prefix in ("/", "/a/"):
        for after in range(max(model.base, model.compacted), model.revision + 1):
            expected = [c for c in model.changes if c.revision > after and c.key.startswith(prefix)]
            seen: list[StoreEvent] = []
            async with store.watch(prefix, after) as watch:
                while len(seen) < len(expected):
                    await asyncio.wait_for(watch.wait(), 30)
                    seen.extend(e for e in watch.take() if isinstance(e, StoreEvent))
            assert seen == expected


async def run(engine: str, steps: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(ENGINES[engine](Path(directory)))
            model = Model(await store.revision())
            for action in steps:
                if action[0] == "restart":
                    if engine == "sqlite":
                        await stack.aclose()
                        store = await stack.enter_async_context(ENGINES[engine](Path(directory)))
                else:
                    await apply(store, model, action)
            await check_reads(store, model)
            await check_watches(store, model)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_engine_is_as_the_model_says(engine: str) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

    @settings(max_examples=60 if engine == "memory" else 25, deadline=None, suppress_health_check=checks)
    @given(st.lists(step, min_size=1, max_size=12))
    def check(steps: list[tuple[object, ...]]) -> None:
        asyncio.run(run(engine, steps))

    check()
