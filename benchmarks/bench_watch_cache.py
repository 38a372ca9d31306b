"""Rates of the watch cache over the memory engine: `PYTHONPATH=src python benchmarks/bench_watch_cache.py [objects] [watchers]`."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import uvloop

from kubetree.api.kind_table import kind
from kubetree.api.selectors import parse_label_selector
from kubetree.apiserver.cache import Cacher
from kubetree.store.memory import MemoryStore

POD = kind("v1", "Pod")


def pod(n: int) -> dict[str, Any]:
    """About the size of a small running pod, 3.5 KB."""
    metadata = {
        "name": f"web-{n:06}",
        "namespace": f"ns-{n % 13}",
        "uid": f"00000000-0000-0000-0000-{n:012}",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"app": f"app-{n % 16}", "pod-template-hash": "5d4f8c7b9"},
        "managedFields": [{"manager": "kubetree", "operation": "Update", "fieldsV1": {f"f:field-{i}": {} for i in range(60)}}],
    }
    container = {"name": "web", "image": "busybox", "env": [{"name": f"E{i}", "value": f"value {i}"} for i in range(20)]}
    spec = {"nodeName": f"node-{n % 100}", "restartPolicy": "Always", "containers": [container]}
    conditions = [
        {"type": t, "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"} for t in ("Ready", "Initialized", "Scheduled")
    ]
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status}


@contextmanager
def timed(what: str, count: int = 1, unit: str = "us each") -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(f"{what:<60}{seconds * 1e3:>9.1f} ms{seconds / count * 1e6:>11.1f} {unit} {count / seconds:>12,.0f}/s", flush=True)


def resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main(objects: int, watchers: int) -> None:
    store = MemoryStore()
    values = [(POD.key(f"ns-{n % 13}", f"web-{n:06}"), orjson.dumps(pod(n))) for n in range(objects)]
    print(f"{objects:,} pods of {len(values[0][1]):,} bytes")
    before = resident()
    with timed("store: create", objects):
        revisions = [(await store.create(key, value)).revision for key, value in values]
    cacher = Cacher(store, POD)
    stored = resident()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cacher.run())
        with timed("fill", objects):
            await cacher.ready()
        print(f"store {stored - before:.0f} MiB, cache {resident() - stored:.0f} MiB")
        for _ in range(2):
            with timed("list everything: join the bytes", 1, "us"):
                b",".join([memoryview(e.data)[30:] for e in cacher.items()])
        with timed("list one namespace", 1, "us"):
            list(cacher.items("/registry/pods/ns-3/"))
        selector = parse_label_selector("app=app-3")
        for _ in range(2):
            with timed("list by label", 1, "us"):
                b",".join([e.data for e in cacher.items(labels={"app": "app-3"}) if selector.matches(e.labels)])
        for _ in range(2):
            with timed("list by node", 1, "us"):
                list(cacher.items(index={"spec.nodeName": "node-7"}))
        print(f"resident {resident():.0f} MiB")
        with timed("apply updates, no watcher", objects):
            for n, (key, value) in enumerate(values):
                revisions[n] = (await store.update(key, value, revisions[n])).revision
                if n % 32 == 0:
                    await cacher.fresh()
            await cacher.fresh()
        await fan_out(store, cacher, values, revisions, watchers, narrow=False)
        await fan_out(store, cacher, values, revisions, watchers * 5, narrow=True)
        running.cancel()
    print(f"resident {resident():.0f} MiB")


async def fan_out(
    store: MemoryStore, cacher: Cacher, values: list[tuple[str, bytes]], revisions: list[int], watchers: int, *, narrow: bool
) -> None:
    """`narrow`: every watch is for one object that does not change."""
    events, got, sent = 500, 0, 0
    done = asyncio.Event()
    expected = 0 if narrow else events * watchers

    async def watch(n: int) -> None:
        nonlocal got, sent
        prefix = f"/registry/pods/other/{n}" if narrow else ""
        with cacher.watch(cacher.revision, prefix) as changes:
            while await changes.wait(30.0):
                taken = changes.take()
                sent += len(b"".join([event.frame(event.type) for event in taken]))
                got += len(taken)
                if got == expected:
                    done.set()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(n)) for n in range(watchers)]
        await asyncio.sleep(0.1)
        what = f"{events} events to {watchers:,} watches " + ("of other single objects" if narrow else "of everything")
        with timed(what, events if narrow else expected):
            for n in range(events):
                revisions[n] = (await store.update(values[n][0], values[n][1], revisions[n])).revision
                if n % 8 == 0:
                    await asyncio.sleep(0)
            await cacher.fresh()
            if not narrow:
                await done.wait()
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    uvloop.run(main(*given) if given else main(13_000, 1_000))
