"""Rates of a store engine: `PYTHONPATH=src python benchmarks/bench_store.py [memory://|sqlite:///tmp/bench.db|etcd://127.0.0.1:2379]`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from kubetree.store import open_store

COUNT, VALUE = 20_000, os.urandom(1750).hex().encode()


async def timed(what: str, concurrency: int, count: int, step: Callable[[int], Awaitable[object]]) -> None:
    todo = iter(range(count))

    async def work() -> None:
        for n in todo:
            await step(n)

    start, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{what:<22}{concurrency:>5} at once {count / seconds:>10,.0f}/s {cpu / count * 1e6:>8.1f} us CPU each", flush=True)


async def main(url: str) -> None:
    store = await open_store(url)
    run = f"/bench/{time.time_ns()}"
    for concurrency, count in ((1, 2000), (32, COUNT), (256, COUNT)):
        base, revisions = f"{run}/{concurrency}/", dict[int, int]()

        async def create(n: int, base: str = base, revisions: dict[int, int] = revisions) -> None:
            revisions[n] = (await store.create(f"{base}{n:08}", VALUE)).revision

        async def update(n: int, base: str = base, revisions: dict[int, int] = revisions) -> None:
            revisions[n] = (await store.update(f"{base}{n:08}", VALUE, revisions[n])).revision

        async def delete(n: int, base: str = base, revisions: dict[int, int] = revisions) -> None:
            await store.delete(f"{base}{n:08}", revisions[n])

        await timed("create", concurrency, count, create)
        await timed("get", concurrency, count, lambda n, base=base: store.get(f"{base}{n:08}"))
        await timed("update", concurrency, count, update)
        start = time.perf_counter()
        page = await store.range(base)
        print(f"range of {len(page.entries):,}: {(time.perf_counter() - start) * 1e3:.0f} ms")
        start = time.perf_counter()
        await store.range(base, limit=500)
        print(f"first 500 of it: {(time.perf_counter() - start) * 1e3:.1f} ms")
        await timed("delete", concurrency, count, delete)
    start = time.perf_counter()
    await store.compact(await store.revision())
    print(f"compaction: {time.perf_counter() - start:.2f} s")
    await store.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1] if len(sys.argv) > 1 else "memory://"))
