"""Cluster IPs and node ports: one owner each, also with two servers on one store, also after a crash."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.errors import InternalError, Invalid
from kubetree.apiserver.allocators.cluster_ips import IP_ADDRESS, AllocationError, ClusterIPs
from kubetree.apiserver.allocators.ip_ranges import IPRange
from kubetree.apiserver.allocators.node_ports import NodePorts, PortSet
from kubetree.apiserver.allocators.repair import Repair
from kubetree.apiserver.allocators.service_fields import init_ip_families
from kubetree.apiserver.allocators.services import ServiceAllocation
from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Store
from listed_objects import ListedObjects

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def service(name: str = "s", old: Object | None = None, **spec: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "ns"}, "spec": {"type": "ClusterIP", **spec}}


class Server:
    """One API server's allocation over shared objects and a shared store."""

    def __init__(self, objects: ListedObjects, store: Store, *cidrs: str, ports: tuple[int, int] = (30000, 30031)) -> None:
        self.objects = objects
        self.ports = NodePorts(*ports, store)
        addresses = ClusterIPs(cidrs or ("10.0.0.0/28",), objects.cached(), objects, Random(1))
        self.hook = ServiceAllocation(addresses, self.ports, objects, Random(1))
        self.repair = Repair(self.ports, objects, lambda: NOW)

    async def create(self, obj: Object, committed: bool = True) -> Object:
        finish = await self.hook.begin_create(obj, dry_run=False)
        if finish is not None:
            await finish(committed)
        return self.objects.add(obj) if committed else obj

    async def update(self, new: Object, old: Object, committed: bool = True) -> Object:
        finish = await self.hook.begin_update(new, old, dry_run=False)
        if finish is not None:
            await finish(committed)
        return new

    def addresses(self) -> set[str]:
        return {obj["metadata"]["name"] for obj in self.objects.of(IP_ADDRESS)}

    async def used_ports(self) -> set[int]:
        return await self.ports.look(lambda ports: set(ports.used))


@pytest.fixture
async def server() -> Server:
    return Server(ListedObjects(), MemoryStore())


@given(st.integers(16, 28), st.integers(0, 1000))
def test_a_range_offers_every_address_once_and_static_ones_last(bits: int, seed: int) -> None:
    found = IPRange.of(f"10.0.0.0/{max(bits, 22)}")
    offered = list(found.candidates(Random(seed)))
    assert sorted(map(int, offered)) == list(range(found.first, found.last + 1))
    static = found.dynamic - found.first
    assert all(int(address) < found.dynamic for address in offered[len(offered) - static :])
    assert ip_address("10.0.0.0") not in found


async def test_an_address_is_given_out_and_taken_back(server: Server) -> None:
    made = await server.create(service())
    assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]]
    assert (made["spec"]["ipFamilies"], made["spec"]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert server.addresses() == {made["spec"]["clusterIP"]}
    await server.hook.after_delete(made, dry_run=False)
    assert server.addresses() == set()


async def test_a_write_that_fails_gives_back(server: Server) -> None:
    await server.create(service(type="NodePort", ports=[{"port": 80}]), committed=False)
    assert server.addresses() == set()
    assert await server.used_ports() == set()


@pytest.mark.parametrize(("spec", "expected"), [({"clusterIP": "None"}, ["None"]), ({"type": "ExternalName"}, None)])
async def test_no_address_for_headless_and_external_names(server: Server, spec: Object, expected: list[str] | None) -> None:
    made = await server.create(service(**spec))
    assert made["spec"].get("clusterIPs") == expected
    assert server.addresses() == set()


async def test_an_address_of_ones_choice(server: Server) -> None:
    await server.create(service(clusterIP="10.0.0.5"))
    with pytest.raises(Invalid) as caught:
        await server.create(service("t", clusterIP="10.0.0.5"))
    assert caught.value.message == (
        'Service "t" is invalid: spec.clusterIPs: Invalid value: ["10.0.0.5"]: failed to allocate IP 10.0.0.5: provided IP is already allocated'
    )
    with pytest.raises(Invalid, match=r"failed to allocate IP 10\.9\.9\.9: the provided network does not match the current range"):
        await server.create(service("t", clusterIP="10.9.9.9"))
    with pytest.raises(Invalid, match="must be a valid IP address"):
        await server.create(service("t", clusterIP="nonsense"))


async def test_a_full_range(server: Server) -> None:
    made = [await server.create(service(f"s{i}")) for i in range(14)]
    assert len({obj["spec"]["clusterIP"] for obj in made}) == 14
    with pytest.raises(InternalError, match='failed to allocate a serviceIP for Service "x": range is full'):
        await server.create(service("x"))


async def test_two_servers_share_addresses_and_ports() -> None:
    objects, store = ListedObjects(), MemoryStore()
    servers = [Server(objects, store), Server(objects, store)]
    wanted = [service(f"s{i}", type="NodePort", ports=[{"port": 80}]) for i in range(14)]
    made = await asyncio.gather(*(servers[i % 2].create(obj) for i, obj in enumerate(wanted)))
    assert len({obj["spec"]["clusterIP"] for obj in made}) == 14
    ports = {obj["spec"]["ports"][0]["nodePort"] for obj in made}
    assert len(ports) == 14
    assert await Server(objects, store).used_ports() == ports


async def test_both_families(server: Server) -> None:
    dual = Server(ListedObjects(), MemoryStore(), "10.0.0.0/28", "fd00::/112")
    made = (await dual.create(service(ipFamilyPolicy="PreferDualStack")))["spec"]
    assert made["ipFamilies"] == ["IPv4", "IPv6"]
    assert [ip_address(address).version for address in made["clusterIPs"]] == [4, 6]
    single = await dual.update(service(**made | {"ipFamilyPolicy": "SingleStack"}), service(**made))
    assert single["spec"]["clusterIPs"] == made["clusterIPs"][:1]
    assert dual.addresses() == set(made["clusterIPs"][:1])
    with pytest.raises(Invalid, match="this cluster is not configured for dual-stack services"):
        await server.create(service("t", ipFamilyPolicy="RequireDualStack"))


async def test_changing_to_an_external_name_and_back(server: Server) -> None:
    made = await server.create(service())
    external = await server.update(service(type="ExternalName"), made)
    assert server.addresses() == set()
    again = await server.update(service(), external)
    assert server.addresses() == {again["spec"]["clusterIP"]}


async def test_a_manifest_without_allocated_values_can_be_sent_again(server: Server) -> None:
    made = await server.create(service(type="NodePort", ports=[{"name": "a", "port": 80}]))
    again = await server.update(service(type="NodePort", ports=[{"name": "a", "port": 80}]), made)
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert again["spec"]["ports"] == made["spec"]["ports"]


async def test_node_ports_follow_changes(server: Server) -> None:
    made = await server.create(
        service(type="NodePort", ports=[{"name": "a", "port": 53, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}])
    )
    numbers = [port["nodePort"] for port in made["spec"]["ports"]]
    assert numbers[0] == numbers[1]
    changed = await server.update(service(type="NodePort", ports=[{"name": "c", "port": 80, "nodePort": 30007}]), made)
    assert await server.used_ports() == {30007}
    await server.update(service(type="ClusterIP", ports=[{"name": "c", "port": 80}]), changed)
    assert await server.used_ports() == set()


@pytest.mark.parametrize(
    ("port", "message"),
    [
        (30001, "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"),
        (80, "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-30031"),
    ],
)
async def test_a_port_that_cannot_be_had(server: Server, port: int, message: str) -> None:
    await server.create(service(type="NodePort", ports=[{"port": 80, "nodePort": 30001}]))
    with pytest.raises(Invalid) as caught:
        await server.create(service("t", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
    assert message in caught.value.message
    assert len(server.addresses()) == 1


async def test_health_check_ports(server: Server) -> None:
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False}
    made = await server.create(service(**local))
    assert await server.used_ports() == {made["spec"]["healthCheckNodePort"]}
    await server.hook.after_delete(made, dry_run=False)
    assert await server.used_ports() == set()


async def test_a_dry_run_reserves_nothing(server: Server) -> None:
    obj = service(type="NodePort", ports=[{"port": 80}])
    assert await server.hook.begin_create(obj, dry_run=True) is None
    assert server.addresses() == set() and await server.used_ports() == set()
    assert obj["spec"]["ports"][0]["nodePort"]


async def test_repair_after_a_crash(server: Server) -> None:
    kept = await server.create(service(type="NodePort", ports=[{"port": 80}]))
    await server.hook.begin_create(service("lost", type="NodePort", ports=[{"port": 80}]), dry_run=False)
    for obj in server.objects.of(IP_ADDRESS):
        obj["metadata"]["creationTimestamp"] = (NOW - timedelta(seconds=30)).isoformat()
    await server.repair.once()
    assert len(server.addresses()) == 2, "the service of a fresh address may still be on its way"
    for obj in server.objects.of(IP_ADDRESS):
        obj["metadata"]["creationTimestamp"] = (NOW - timedelta(seconds=90)).isoformat()
    for _ in range(4):
        await server.repair.once()
    assert server.addresses() == {kept["spec"]["clusterIP"]}
    assert await server.used_ports() == {kept["spec"]["ports"][0]["nodePort"]}
    await server.objects.delete(IP_ADDRESS, "", kept["spec"]["clusterIP"])
    await server.ports.release([kept["spec"]["ports"][0]["nodePort"]])
    await server.repair.once()
    assert server.addresses() == {kept["spec"]["clusterIP"]}
    assert await server.used_ports() == {kept["spec"]["ports"][0]["nodePort"]}


@given(st.sets(st.integers(30000, 30100)))
def test_the_stored_bitmap_keeps_every_port(used: set[int]) -> None:
    ports = PortSet(30000, 30100, used)
    assert PortSet.decode(ports.encode(), 30000, 30100).used == used
    assert PortSet.decode(ports.encode(), 30010, 30200).used == {port for port in used if port >= 30010}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]}, "first value must match `clusterIP`"),
        ({"clusterIPs": ["10.0.0.2"]}, "must be empty when `clusterIP` is not specified"),
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        ({"ipFamilyPolicy": "Both"}, 'Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"'),
        ({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]}, "IPv6 is not configured on this cluster"),
    ],
)
def test_fields_that_do_not_fit_together(spec: Object, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        init_ip_families(service(**spec), None, ["IPv4"])
    assert message in caught.value.message


async def test_what_another_server_freed_or_took_is_known_at_once() -> None:
    store = MemoryStore()
    one, two = NodePorts(30000, 30010, store), NodePorts(30000, 30010, store)
    for ports in (one, two):
        await ports.change(lambda used: used.take(30001 + len(used.used)))
    await one.release([30001, 30002])
    await two.change(lambda used: used.take(30001))
    with pytest.raises(AllocationError, match="already allocated"):
        await one.change(lambda used: used.take(30001))
    await one.change(lambda used: used.take(30002))
    await two.release([30002])
    assert await one.look(lambda used: set(used.used)) == {30001}
    await one.release([30001])
    assert await two.look(lambda used: set(used.used)) == set()
