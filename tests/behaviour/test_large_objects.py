"""What happens to objects that are nearly too large for the store: managedFields, which the server itself adds, are given up first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Refused, Written

LIMIT = 20_000
MANY = {f"key-with-a-long-name-{i:04}": "" for i in range(400)}


class SmallStore(MemoryStore):
    """Takes values up to a size, as etcd does."""

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        self._check(value)
        return await super().create(key, value, ttl=ttl)

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        self._check(value)
        return await super().update(key, value, expected, ttl=ttl)

    def _check(self, value: bytes) -> None:
        if b"key-with-a-long-name" in value and len(value) > LIMIT:
            raise Refused("etcdserver: request is too large")


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server(SmallStore(), servers=1) as server:
        yield server


@pytest.mark.one_store
async def test_managed_fields_are_given_up_where_they_are_one_too_many(http: Http) -> None:
    made = await http.post(MAPS, config_map("created", **MANY))
    assert (made.status, "managedFields" in made.json["metadata"]) == (201, False)
    for name, write in (("updated", http.put), ("patched", http.patch)):
        await http.post(MAPS, config_map(name))
        written = await write(f"{MAPS}/{name}", config_map(name, **MANY))
        assert (written.status, "managedFields" in written.json["metadata"]) == (200, False), name
        assert (await http.get(f"{MAPS}/{name}")).json["data"] == MANY


@pytest.mark.one_store
async def test_an_apply_needs_its_managed_fields(http: Http) -> None:
    await http.post(MAPS, config_map("applied", **MANY))
    body = config_map("applied")
    refused = await http.patch(f"{MAPS}/applied?fieldManager=me", body, type="apply-patch+yaml")
    assert (refused.status, refused.json["message"]) == (500, "etcdserver: request is too large")


@pytest.mark.one_store
async def test_what_is_too_large_by_itself_is_refused(http: Http) -> None:
    refused = await http.post(MAPS, config_map("huge", **MANY, more="x" * LIMIT))
    assert (refused.status, refused.json["message"]) == (500, "etcdserver: request is too large")
