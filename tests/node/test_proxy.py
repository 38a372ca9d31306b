"""Services on real packets: a node, its pods and a machine outside as network namespaces, and the proxy's table in the node's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kubetree.kernel.conntrack import delete_udp_flows
from kubetree.kernel.nftables import Nftables
from kubetree.kernel.routes import sink_routes
from kubetree.kernel.sysctls import ensure
from kubetree.network.node_routes import NodeRoutes, Route
from kubetree.proxy.applier import Applier, removal_text
from kubetree.proxy.ledger import NODE, Ledger
from kubetree.proxy.render import Node, render_node, render_service
from kubetree.proxy.stale_flows import udp_frontends
from kubetree.proxy.table import IPV4, IPV6, Settings
from node.namespaces import Network, network

pytestmark = pytest.mark.node

VIP = "10.96.0.20"
SETTINGS = Settings(("10.244.0.0/16",), ("10.96.0.0/16",))
HERE = Node("here", "", ("192.0.2.1",), ("192.0.2.1",))


class Proxied:
    """The network with a proxy's table, written as the proxier writes it."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.ledger = Ledger()
        self.ledger.put(NODE, render_node(HERE))
        self.nft = net.node.run(Nftables)
        self.applier = Applier(self.nft, IPV4, SETTINGS, self.ledger)
        net.node.run(sink_routes, "kubetree-svc", ["10.96.0.0/16"], ["192.0.2.1"])
        net.node.run(ensure, {"net/ipv4/ip_forward": 1})

    def put(self, service: dict[str, Any], slices: list[dict[str, Any]], *, anew: bool = False) -> None:
        self.ledger.put(("default", service["metadata"]["name"]), render_service(service, slices, HERE, IPV4, SETTINGS))
        before = self.tables
        self.applier.apply()
        assert (self.tables != before) == anew, "a change is not the whole table"

    @property
    def tables(self) -> str:
        """The tables with their handles, which change when a table is made anew."""
        return self.nft.run("list tables", json=True)


def service(name: str = "web", protocol: str = "TCP", **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": 30080 if spec.get("type") else 0, "protocol": protocol}]
    return {"metadata": {"namespace": "default", "name": name}, "spec": {"clusterIP": VIP, "ports": ports} | spec}


def slice_of(*addresses: str, protocol: str = "TCP") -> list[dict[str, Any]]:
    endpoints = [{"addresses": [a], "nodeName": "here"} for a in addresses]
    return [{"metadata": {}, "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": protocol}], "endpoints": endpoints}]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("ipam")) as made:
        for name in "abc":
            made.add_pod(name).serve(8080, name)
            made.pods[name].serve(8080, name, kind=socket.SOCK_DGRAM)
        yield made


@pytest.fixture
def proxied(net: Network) -> Iterator[Proxied]:
    made = Proxied(net)
    made.applier.apply()
    yield made
    made.nft.run(removal_text())


def answers(client: Any, address: str, port: int, count: int = 40) -> set[str]:
    return {client.ask(address, port)[0] for _ in range(count)}


def test_a_cluster_ip_balances_pods_and_the_node_over_all_endpoints(proxied: Proxied) -> None:
    net = proxied.net
    a, b = net.addresses["a"], net.addresses["b"]
    proxied.put(service(), slice_of(a, b))
    assert answers(net.pods["c"], VIP, 80) == {"a", "b"}
    assert answers(net.node, VIP, 80) == {"a", "b"}
    assert net.pods["c"].ask(VIP, 80)[1] == net.addresses["c"], "a pod keeps its address"


def test_a_pod_reaches_itself_through_its_service(proxied: Proxied) -> None:
    a = proxied.net.addresses["a"]
    proxied.put(service(), slice_of(a))
    answer, seen = proxied.net.pods["a"].ask(VIP, 80)
    assert answer == "a"
    assert seen != a, "the answer would not come back through the node"


def test_endpoints_come_and_go(proxied: Proxied) -> None:
    net = proxied.net
    a, b, c = (net.addresses[n] for n in "abc")
    proxied.put(service(), slice_of(a))
    assert answers(net.pods["c"], VIP, 80, 5) == {"a"}
    proxied.put(service(), slice_of(b, c))
    assert answers(net.pods["a"], VIP, 80) == {"b", "c"}
    proxied.put(service(), slice_of(b))
    assert answers(net.pods["a"], VIP, 80, 5) == {"b"}


def test_a_service_without_endpoints_refuses_at_once(proxied: Proxied) -> None:
    proxied.put(service(type="NodePort"), [])
    for client, address, port in ((proxied.net.pods["a"], VIP, 80), (proxied.net.node, VIP, 80), (proxied.net.outside, "192.0.2.1", 30080)):
        with pytest.raises(ConnectionRefusedError):
            client.ask(address, port)


def test_a_port_that_a_cluster_ip_has_not_is_refused_and_an_unused_ip_is_silent(proxied: Proxied) -> None:
    proxied.put(service(), slice_of(proxied.net.addresses["a"]))
    with pytest.raises(ConnectionRefusedError):
        proxied.net.pods["b"].ask(VIP, 81)
    with pytest.raises(TimeoutError):
        proxied.net.pods["b"].ask("10.96.0.99", 80, 0.3)


def test_a_node_port_answers_outside_by_any_endpoint_and_hides_the_client(proxied: Proxied) -> None:
    net = proxied.net
    proxied.put(service(type="NodePort"), slice_of(net.addresses["a"], net.addresses["b"]))
    assert answers(net.outside, "192.0.2.1", 30080) == {"a", "b"}
    assert net.outside.ask("192.0.2.1", 30080)[1] != "192.0.2.9"
    assert answers(net.pods["c"], "192.0.2.1", 30080) == {"a", "b"}
    assert answers(net.node, "192.0.2.1", 30080) == {"a", "b"}


def test_external_traffic_policy_local_keeps_the_clients_address(proxied: Proxied) -> None:
    net = proxied.net
    slices = slice_of(net.addresses["a"], net.addresses["b"])
    slices[0]["endpoints"][1]["nodeName"] = "there"
    proxied.put(service(type="NodePort", externalTrafficPolicy="Local"), slices)
    assert answers(net.outside, "192.0.2.1", 30080) == {"a"}
    assert net.outside.ask("192.0.2.1", 30080)[1] == "192.0.2.9"
    assert answers(net.pods["c"], "192.0.2.1", 30080) == {"a", "b"}, "pods go where any endpoint is"
    slices[0]["endpoints"][0]["nodeName"] = "there"
    proxied.put(service(type="NodePort", externalTrafficPolicy="Local"), slices)
    with pytest.raises(TimeoutError):
        net.outside.ask("192.0.2.1", 30080, 0.3)


def test_traffic_from_outside_to_a_cluster_ip_is_masqueraded(proxied: Proxied) -> None:
    proxied.put(service(), slice_of(proxied.net.addresses["a"]))
    answer, seen = proxied.net.outside.ask(VIP, 80)
    assert answer == "a"
    assert seen != "192.0.2.9"


def test_session_affinity_keeps_a_client_until_its_endpoint_goes(proxied: Proxied) -> None:
    net = proxied.net
    a, b = net.addresses["a"], net.addresses["b"]
    sticky = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 600}})
    proxied.put(sticky, slice_of(a, b))
    first = answers(net.pods["c"], VIP, 80, 20)
    assert len(first) == 1
    kept = first.pop()
    proxied.put(sticky, slice_of(a, b, net.addresses["c"]))
    assert answers(net.pods["c"], VIP, 80, 10) == {kept}
    proxied.applier.replace_next()
    proxied.applier.apply()
    assert answers(net.pods["c"], VIP, 80, 10) == {kept}, "also when the table is written anew"
    proxied.put(sticky, slice_of(b if kept == "a" else a))
    moved = answers(net.pods["c"], VIP, 80, 10)
    assert moved == {"b" if kept == "a" else "a"}
    proxied.put(sticky, slice_of(a, b))
    assert answers(net.pods["c"], VIP, 80, 10) == moved


def test_session_affinity_is_forgotten_after_its_timeout(proxied: Proxied) -> None:
    net = proxied.net
    brief = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 1}})
    proxied.put(brief, slice_of(net.addresses["a"], net.addresses["b"]))
    seen = answers(net.pods["c"], VIP, 80, 1)
    for _ in range(30):
        time.sleep(1.1)
        seen |= answers(net.pods["c"], VIP, 80, 1)
        if len(seen) == 2:
            break
    assert seen == {"a", "b"}


def test_source_ranges_guard_a_load_balancers_address(proxied: Proxied) -> None:
    net = proxied.net
    net.outside.ip("route", "replace", "198.51.100.3/32", "via", "192.0.2.1")
    guarded = service(type="LoadBalancer", loadBalancerSourceRanges=["203.0.113.0/24"])
    guarded["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.3"}]}}
    proxied.put(guarded, slice_of(net.addresses["a"]))
    with pytest.raises(TimeoutError):
        net.outside.ask("198.51.100.3", 80, 0.3)
    guarded["spec"]["loadBalancerSourceRanges"] = ["192.0.2.0/24", "192.0.2.128/25"]
    proxied.put(guarded, slice_of(net.addresses["a"]))
    assert net.outside.ask("198.51.100.3", 80)[0] == "a"


def test_a_udp_client_leaves_an_endpoint_that_is_gone(proxied: Proxied) -> None:
    net = proxied.net
    udp = service(protocol="UDP")
    with net.pods["c"].udp_socket() as client:
        client.settimeout(10)
        client.connect((VIP, 80))
        for name in "ab":
            slices = slice_of(net.addresses[name], protocol="UDP")
            proxied.put(udp, slices)
            net.node.run(delete_udp_flows, udp_frontends([(udp, slices)], 4).stale, 4)
            client.send(b"?")
            assert client.recv(100).decode().split()[0] == name


def test_a_connection_outlives_changes_and_a_new_table(proxied: Proxied) -> None:
    net = proxied.net
    listener = net.pods["a"].run(lambda: socket.create_server(("", 9000)))
    slices = slice_of(net.addresses["a"])
    slices[0]["ports"][0]["port"] = 9000
    proxied.put(service(), slices)
    with net.pods["b"].run(lambda: socket.create_connection((VIP, 80), 10)) as client:
        connection, _ = listener.accept()
        with connection, listener:
            proxied.put(service(), slice_of(net.addresses["c"]))
            proxied.applier.replace_next()
            proxied.applier.apply()
            client.sendall(b"still here")
            assert connection.recv(100) == b"still here"


def test_a_table_that_somebody_flushed_is_written_again(proxied: Proxied) -> None:
    net = proxied.net
    proxied.put(service(), slice_of(net.addresses["a"]))
    proxied.nft.run("flush map ip kubetree-proxy ip-endpoints")
    proxied.put(service(), slice_of(net.addresses["b"]), anew=True)
    assert answers(net.pods["c"], VIP, 80, 5) == {"b"}


def test_ipv6_services(net: Network) -> None:
    """Two pods and a client by hand: the CNI configuration of `net` has one family only."""
    settings, here = Settings(("fd00:10::/64",), ("fd00:20::/112",)), Node("here")
    ledger = Ledger()
    nft = net.node.run(Nftables)
    applier = Applier(nft, IPV6, settings, ledger)
    for number, name in enumerate("abc", 1):
        link = net.node.ip("-o", "route", "get", net.addresses[name]).split(" dev ")[1].split()[0]
        net.node.ip("-6", "addr", "add", "fd00:10::ff/128", "dev", link, "nodad")
        net.node.ip("-6", "route", "add", f"fd00:10::{number}", "dev", link)
        net.pods[name].ip("-6", "addr", "add", f"fd00:10::{number}/128", "dev", "eth0", "nodad")
        net.pods[name].ip("-6", "route", "add", "fd00:10::ff", "dev", "eth0")
        net.pods[name].ip("-6", "route", "add", "default", "via", "fd00:10::ff")
        net.pods[name].serve(8080, name, "::")
    net.node.run(ensure, {"net/ipv6/conf/all/forwarding": 1})
    net.node.run(sink_routes, "kubetree-svc", ["fd00:20::/112"])
    vip = "fd00:20::20"
    slices = slice_of("fd00:10::1", "fd00:10::2")
    slices[0]["addressType"] = "IPv6"
    try:
        for affinity in ({}, {"sessionAffinity": "ClientIP"}):
            applier.apply()
            six = service(clusterIP=vip, **affinity)
            ledger.put(("default", "web"), render_service(six, slices, here, IPV6, settings))
            applier.apply()
            if affinity:
                kept = answers(net.pods["c"], vip, 80, 10)
                assert len(kept) == 1
                applier.replace_next()
                applier.apply()
                assert answers(net.pods["c"], vip, 80, 10) == kept
            else:
                assert answers(net.pods["c"], vip, 80) == {"a", "b"}
                assert answers(net.pods["a"], vip, 80) == {"a", "b"}, "also itself"
    finally:
        nft.run(removal_text())


def test_no_connection_fails_while_endpoints_come_and_go(proxied: Proxied) -> None:
    """What a rolling update does to a service, faster: each pod answers as long as it is asked."""
    net = proxied.net
    rounds = [[net.addresses[name] for name in names] for names in ("a", "abc", "bc", "c", "ac", "ab", "b")]
    proxied.put(service(), slice_of(*rounds[0]))
    stop = threading.Event()
    failures: list[str] = []
    asked = 0

    def ask_on() -> None:
        nonlocal asked
        while not stop.is_set():
            try:
                net.pods["c"].ask(VIP, 80)
                asked += 1
            except OSError as error:
                failures.append(str(error))

    asker = threading.Thread(target=ask_on)
    asker.start()
    turn = 0
    while not failures and (turn < 140 or asked < 100):
        proxied.put(service(), slice_of(*rounds[turn % len(rounds)]))
        time.sleep(0.01)
        turn += 1
    stop.set()
    asker.join()
    assert failures == []


def test_routes_to_other_nodes_follow_the_plan(net: Network, caplog: pytest.LogCaptureFixture) -> None:
    routes = NodeRoutes()

    def follow(*wanted: Route) -> None:
        net.node.run(routes.follow, set(wanted))

    first, second = Route("10.244.8.0/24", "192.0.2.9"), Route("10.244.9.0/24", "192.0.2.9")
    follow(first, second)
    assert "10.244.8.0/24 via 192.0.2.9" in net.node.ip("route")
    routes = NodeRoutes()
    moved = Route("10.244.9.0/24", "192.0.2.10")
    follow(moved, Route("10.244.7.0/24", "203.0.113.1"))
    table = net.node.ip("route")
    assert "10.244.8.0/24" not in table, "also those that another process made"
    assert "10.244.9.0/24 via 192.0.2.10" in table
    assert "no way to the pods in 10.244.7.0/24" in caplog.text
    follow()
    assert "10.244.9.0" not in net.node.ip("route")
