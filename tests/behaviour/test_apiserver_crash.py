"""An API server that is killed at any moment: what clients were told has happened, and their watches go on where they were."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

SERVER = Path(__file__).with_name("apiserver_process.py")
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
LIVES, WRITERS = 3, 8


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def server(database: Path, port: int) -> AsyncIterator[None]:
    """Killed with -9 at the end of the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), f"sqlite://{database}", str(port), stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        yield
    finally:
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


async def test_kill_9_of_the_api_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    told: dict[str, int] = {}
    database, port = tmp_path / "store.db", free_port()
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
