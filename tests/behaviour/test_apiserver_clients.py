"""The PyPI `kubernetes` client, unchanged, and two API servers over one store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import kubernetes
import pytest

from behaviour.apiserver_harness import MAPS, Http, Reply, config_map, running_server
from storage_modes import Place


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server() as server:
        yield server


async def test_the_python_client_creates_lists_patches_watches_and_deletes(http: Http) -> None:
    def use() -> list[str]:
        configuration = kubernetes.client.Configuration(host=http.server.url)
        with kubernetes.client.ApiClient(configuration) as api:
            core = kubernetes.client.CoreV1Api(api)
            core.create_namespaced_config_map("default", {"metadata": {"name": "a"}, "data": {"k": "1"}})
            revision = core.list_namespaced_config_map("default").metadata.resource_version
            core.patch_namespaced_config_map("a", "default", {"data": {"k": "2"}})
            assert core.read_namespaced_config_map("a", "default").data == {"k": "2"}
            core.delete_namespaced_config_map("a", "default")
            stream = kubernetes.watch.Watch().stream(
                core.list_namespaced_config_map, "default", resource_version=revision, timeout_seconds=1
            )
            return [event["type"] for event in stream]

    assert await asyncio.to_thread(use) == ["MODIFIED", "DELETED"]


async def test_the_dynamic_client_finds_kinds_by_discovery(http: Http) -> None:
    def use() -> Any:
        configuration = kubernetes.client.Configuration(host=http.server.url)
        with kubernetes.client.ApiClient(configuration) as api:
            dynamic = kubernetes.dynamic.DynamicClient(api)
            leases = dynamic.resources.get(api_version="coordination.k8s.io/v1", kind="Lease")
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
            leases.server_side_apply(body=body, namespace="default", field_manager="test")
            return leases.get(name="l", namespace="default").metadata.managedFields[0].manager

    assert await asyncio.to_thread(use) == "test"


async def test_two_servers_over_one_store_agree(place: Place) -> None:
    async with running_server(place) as one, running_server(place) as two:
        async with two.watch(f"{MAPS}?watch=1") as events:
            for i in range(5):
                await one.post(MAPS, config_map(f"m{i}"))
                assert (await two.get(f"{MAPS}/m{i}")).status == 200
            assert [(await anext(events))["object"]["metadata"]["name"] for _ in range(5)] == [f"m{i}" for i in range(5)]
        stale = (await one.get(f"{MAPS}/m0")).json
        await two.patch(f"{MAPS}/m0", {"data": {"k": "v"}})
        assert (await one.put(f"{MAPS}/m0", stale)).status == 409


async def test_the_service_kubernetes_leads_to_every_server_that_lives(place: Place) -> None:
    def addresses(reply: Reply) -> list[str]:
        return [a["ip"] for subset in reply.json.get("subsets") or () for a in subset["addresses"]]

    path = "/api/v1/namespaces/default/endpoints/kubernetes"
    async with running_server(place, servers=1, advertise_address="10.1.0.1") as one:
        async with running_server(place, servers=1, advertise_address="10.1.0.2") as two:
            for http in (one, two):
                await http.everywhere(path, lambda reply: addresses(reply) == ["10.1.0.1", "10.1.0.2"])
        assert addresses(await one.get(path)) == ["10.1.0.1"]
        slices = (await one.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")).json
        assert [e["addresses"] for e in slices["endpoints"]] == [["10.1.0.1"]]


async def test_a_server_that_cannot_start_says_why_and_leaves_nothing(http: Http) -> None:
    tasks = asyncio.all_tasks()
    with pytest.raises(OSError, match="in use"):
        async with running_server(secure_port=http.server.port):
            pass
    async with asyncio.timeout(30):
        while not asyncio.all_tasks() <= tasks:
            await asyncio.sleep(0.01)


async def test_clients_that_leave_in_the_middle_are_no_errors(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    await http.post(MAPS, config_map("a", pad="x" * 900_000))
    for path in (f"{MAPS}?watch=1", MAPS, f"{MAPS}/a"):
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", http.server.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await asyncio.sleep(0)
            writer.transport.abort()
    await asyncio.sleep(0.2)
    assert not [r for r in caplog.records if r.levelname == "ERROR"]
    assert (await http.get(f"{MAPS}/a")).status == 200


async def test_a_client_that_waits_for_the_go_ahead_gets_it(http: Http) -> None:
    reader, writer = await http.connect()
    body = json.dumps(config_map("a")).encode()
    head = (
        f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 201 Created\r\n"
    writer.close()
