"""An API server that is killed at any moment: what clients were told has happened, and their watches go on where they were."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import storage_modes
from ports import free_port

SERVER = Path(__file__).with_name("apiserver_process.py")
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
LIVES, WRITERS = 3, 8


@asynccontextmanager
async def server(storage: str, port: int, prefix: str = "/registry") -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed with -9 at the end of the block, if not before."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), storage, str(port), prefix, stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def write(session: aiohttp.ClientSession, url: str, prefix: str, told: dict[str, int]) -> None:
    """Creates objects until the server goes away; `told` gets what was acknowledged: name and resourceVersion."""
    try:
        for n in range(100):  # fewer than the revisions a starting cache looks back
            name = f"{prefix}-{n}"
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": str(n)}}
            async with session.post(url + CONFIG_MAPS, json=body) as response:
                created = await response.json()
                assert response.status == 201, created
                told[name] = int(created["metadata"]["resourceVersion"])
    except aiohttp.ClientError:
        return


async def watched(session: aiohttp.ClientSession, url: str, after: int, upto: int) -> dict[str, int]:
    """What a watch from a revision tells, until it has told of another."""
    found: dict[str, int] = {}
    async with session.get(f"{url}{CONFIG_MAPS}?watch=true&resourceVersion={after}") as response:
        async for line in response.content:
            event: dict[str, Any] = json.loads(line)
            assert event["type"] == "ADDED", event
            metadata = event["object"]["metadata"]
            found[metadata["name"]] = int(metadata["resourceVersion"])
            if found[metadata["name"]] >= upto:
                return found
    raise AssertionError("the watch ended")


@pytest.mark.one_store
async def test_kill_9_of_the_api_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    told: dict[str, int] = {}
    database, port = f"sqlite://{tmp_path / 'store.db'}", free_port()
    url = f"http://127.0.0.1:{port}"
    seen_upto = 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        for life in range(LIVES):
            async with asyncio.TaskGroup() as writers:
                async with server(database, port):
                    if life:
                        newest = max(told.values())
                        since = await asyncio.wait_for(watched(session, url, seen_upto, newest), 20)
                        assert {n: v for n, v in told.items() if v > seen_upto}.items() <= since.items()
                        seen_upto = newest - 3
                    for writer in range(WRITERS):
                        writers.create_task(write(session, url, f"{life}-{writer}", told))
                    while not any(name.startswith(f"{life}-") for name in told):
                        await asyncio.sleep(0.01)
                    seen_upto = seen_upto or min(told.values())
                    await asyncio.sleep(random.uniform(0, 0.3))
        async with server(database, port), session.get(url + CONFIG_MAPS) as response:
            listed = {i["metadata"]["name"]: int(i["metadata"]["resourceVersion"]) for i in (await response.json())["items"]}
    assert told.items() <= listed.items()


async def told(events: aiohttp.StreamReader, count: int) -> list[tuple[str, str, int]]:
    """Type, name and resourceVersion of the next events of a watch."""
    found = []
    while len(found) < count:
        event = json.loads(await asyncio.wait_for(events.readline(), 20))
        metadata = event["object"]["metadata"]
        found.append((event["type"], metadata.get("name", ""), int(metadata["resourceVersion"])))
    return found


@pytest.mark.one_store
@pytest.mark.skipif(bool(storage_modes.MODES["etcd"].lacking), reason=storage_modes.MODES["etcd"].lacking)
async def test_when_one_of_two_servers_dies_the_other_goes_on_where_it_was() -> None:
    """Watches, pages of lists and compare-and-swap: a resourceVersion or a continue token of the one is good at the other."""
    place, ports = storage_modes.Etcd(), (free_port(), free_port())
    one, two = (f"http://127.0.0.1:{port}{CONFIG_MAPS}" for port in ports)
    settings = place.settings["storage"], place.settings["etcd_prefix"]

    async def create(url: str, name: str) -> int:
        async with session.post(url, json={"metadata": {"name": name}}) as response:
            assert response.status == 201, await response.text()
            return int((await response.json())["metadata"]["resourceVersion"])

    try:
        async with (
            server(settings[0], ports[0], settings[1]) as first,
            server(settings[0], ports[1], settings[1]),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        ):
            written = [await create(url, f"m{n}") for n, url in enumerate((one, two, one, two, one))]
            async with session.get(f"{one}?limit=2") as response:
                page = await response.json()
            async with session.get(f"{one}?watch=1&resourceVersion={written[0]}") as watch:
                seen = await told(watch.content, 3)
                first.kill()
                await first.wait()
                with pytest.raises((aiohttp.ClientError, json.JSONDecodeError)):
                    await told(watch.content, 10)
            written.append(await create(two, "m5"))
            async with session.get(f"{two}?limit=9&continue={page['metadata']['continue']}") as response:
                rest = await response.json()
            assert [item["metadata"]["name"] for item in page["items"] + rest["items"]] == [f"m{n}" for n in range(5)]
            assert rest["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"]
            async with session.get(f"{two}?watch=1&resourceVersion={seen[-1][2]}&allowWatchBookmarks=true") as watch:
                seen += await told(watch.content, 2)
            assert seen == [("ADDED", f"m{n}", written[n]) for n in range(1, 6)]
            async with session.get(f"{two}/m5") as response:
                stale = await response.json()
            for status in (200, 409):
                async with session.put(f"{two}/m5", json=stale | {"data": {"k": str(status)}}) as response:
                    assert response.status == status
    finally:
        place.remove()
