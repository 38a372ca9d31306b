"""What clients see while the store is away, and that everything is as it was when it is back."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.store.sqlite import SQLiteStore
from storage_modes import MODES, Place
from unit.store.etcd_server import EtcdServer

needs_etcd = pytest.mark.skipif(bool(MODES["etcd"].lacking), reason=MODES["etcd"].lacking)


class Elsewhere(Place):
    """A store that is somebody else's to keep."""

    def __init__(self, url: str) -> None:
        self.settings = {"storage": url}

    @asynccontextmanager
    async def for_servers(self) -> AsyncIterator[None]:
        yield None


@pytest.fixture
def etcd() -> AsyncIterator[EtcdServer]:
    server = EtcdServer()
    server.start()
    yield server
    server.remove()


async def until_written(http: Http, name: str) -> None:
    """A client that tries again, as they all do."""
    async with asyncio.timeout(20):
        while (await http.post(MAPS, config_map(name))).status not in (201, 409):
            await asyncio.sleep(0.05)


@pytest.mark.one_store
@needs_etcd
async def test_while_etcd_is_away_writes_are_refused_and_watches_go_on_when_it_is_back(etcd: EtcdServer) -> None:
    async with running_server(Elsewhere(f"etcd://{etcd.address}"), servers=2) as http:
        await until_written(http, "before")
        await http.caught_up()
        async with http.watch(f"{MAPS}?watch=1&resourceVersion=0") as events:
            assert (await anext(events))["object"]["metadata"]["name"] == "before"
            etcd.kill()
            for server in http.servers:
                one = http.of(server)
                refused = await one.post(f"{MAPS}?timeout=5s", config_map("lost"))
                assert (refused.status, refused.json["reason"]) in ((503, "ServiceUnavailable"), (504, "Timeout"))
                assert (await one.get(f"{MAPS}/before?timeout=5s")).status in (503, 504)
                old = await one.get(f"{MAPS}?resourceVersion=0")
                assert [item["metadata"]["name"] for item in old.json["items"]] == ["before"]
                assert (await one.get("/livez/etcd")).status == 500
            etcd.start()
            await until_written(http, "after")
            names = []
            while "after" not in names:
                event = await asyncio.wait_for(anext(events), 20)
                assert event["type"] == "ADDED", event
                names.append(event["object"]["metadata"]["name"])
        for server in http.servers:
            listed = (await http.of(server).get(MAPS)).json["items"]
            assert {item["metadata"]["name"] for item in listed} - {"lost"} == {"before", "after"}
            assert (await http.of(server).get("/livez/etcd")).status == 200


@pytest.mark.one_store
@needs_etcd
async def test_an_etcd_that_says_nothing_costs_requests_their_time_and_no_more(etcd: EtcdServer) -> None:
    async with running_server(Elsewhere(f"etcd://{etcd.address}"), servers=1) as http:
        await until_written(http, "before")
        assert etcd._process is not None
        etcd._process.send_signal(signal.SIGSTOP)
        try:
            replies = await asyncio.gather(http.post(f"{MAPS}?timeout=1s", config_map("x")), http.get(f"{MAPS}/before?timeout=1s"))
            for reply in replies:
                message = "Timeout: request did not complete within the allotted timeout"
                assert (reply.status, reply.json["reason"], reply.json["message"]) == (504, "Timeout", message)
                assert ("kind" in reply.json, reply.headers["Content-Type"]) == (False, "text/plain; charset=utf-8")
            assert (await http.get(f"{MAPS}/before?resourceVersion=0")).status == 200
        finally:
            etcd._process.send_signal(signal.SIGCONT)
        await until_written(http, "after")
        assert (await http.get(f"{MAPS}/before")).status == 200


@pytest.mark.one_store
async def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path: Path) -> None:
    place = SharedSQLite(tmp_path / "store.db")
    async with running_server(place, servers=1) as http:
        await http.post(MAPS, config_map("kept"))
        place.limit(1)
        async with http.watch(f"{MAPS}?watch=1&resourceVersion=0") as events:
            assert (await anext(events))["object"]["metadata"]["name"] == "kept"
            refused = await http.post(MAPS, config_map("new", pad="x" * 500_000))
            assert (refused.status, refused.json["reason"], refused.headers["Retry-After"]) == (503, "ServiceUnavailable", "1")
            assert "full" in refused.json["message"]
            assert [item["metadata"]["name"] for item in (await http.get(MAPS)).json["items"]] == ["kept"]
            place.limit(1_000_000)
            assert (await http.post(MAPS, config_map("new", pad="x" * 500_000))).status == 201
            assert (await anext(events))["object"]["metadata"]["name"] == "new"


class SharedSQLite(Place):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SQLiteStore]:
        store = await SQLiteStore.open(self._path)
        self._connection = store._write_connection
        try:
            yield store
        finally:
            await store.close()

    def limit(self, pages: int) -> None:
        """The file may grow to so many pages, or not at all when it has more."""
        assert self._connection is not None
        self._connection.execute(f"PRAGMA max_page_count={pages}")
