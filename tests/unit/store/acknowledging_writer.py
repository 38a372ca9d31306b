"""A process that writes as fast as it can and says what was acknowledged: `acknowledging_writer.py <database> <run>`; meant to be killed."""

from __future__ import annotations

import asyncio
import os
import sys

from kubetree.store.sqlite import SQLiteStore


async def main(path: str, run: str) -> None:
    store = await SQLiteStore.open(path)

    async def write(worker: int) -> None:
        n = 0
        while True:
            key = f"/{run}/{worker}/{n}"
            created = await store.create(key, b"x" * 2000)
            os.write(1, f"put {key} {created.revision}\n".encode())
            if n % 3 == 0:
                updated = await store.update(key, b"y" * 10, created.revision)
                os.write(1, f"put {key} {updated.revision}\n".encode())
            if n % 5 == 0:
                entry, _ = await store.get(key)
                assert entry is not None
                deleted = await store.delete(key, entry.revision)
                os.write(1, f"del {key} {deleted.revision}\n".encode())
            if n % 50 == 49:
                await store.compact(created.revision)
            n += 1

    async with asyncio.TaskGroup() as group:
        for worker in range(8):
            group.create_task(write(worker))


asyncio.run(main(sys.argv[1], sys.argv[2]))
