"""The node's processes as users run them: pods made by the CNI configuration that appears, names and services used from inside."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest
from dnslib import RR, DNSRecord

from kubetree.api.kind_table import kind
from kubetree.kernel.routes import link_of
from kubetree.kernel.sysctls import ensure
from kubetree.network.cni import FILE_NAME
from kubetree.network.dns.service import PROXY_LABEL, PROXY_NAME
from node.node_processes import DNS, NODE_IP, OUTSIDE_IP, SOURCE, Node, Nodes, endpoint_slice, eventually, lookup

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

VIP = "10.96.0.20"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("nodes"))
    try:
        node = made.first
        node.add_pod("a")
        node.add_pod("b")
        made.outside.serve(9000, "outside")
        ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}]
        web = {"metadata": {"namespace": "default", "name": "web"}, "spec": {"type": "NodePort", "clusterIP": VIP, "ports": ports}}
        made.create("v1", "Service", web)
        made.create("discovery.k8s.io/v1", "EndpointSlice", endpoint_slice("web", (node.addresses["a"], "n1")))
        eventually(lambda: node.pods["a"].ask(VIP, 80)[0] == "a")
        eventually(lambda: lookup(node.pods["a"], "web.default.svc.cluster.local"))
        yield made
    finally:
        made.close()


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.first


def use(nodes: Nodes, *pods: str) -> None:
    """Makes these pods the service's endpoints."""
    endpoints = endpoint_slice("web", *((nodes.first.addresses[pod], "n1") for pod in pods))["endpoints"]
    slices = kind("discovery.k8s.io/v1", "EndpointSlice")
    nodes.api(lambda client: client.patch(slices, "web-1", {"endpoints": endpoints}, namespace="default"))


def test_a_service_follows_its_endpoints(nodes: Nodes, node: Node) -> None:
    for name in "ba":
        use(nodes, name)
        eventually(lambda name=name: node.pods["a"].ask(VIP, 80)[0] == name)  # type: ignore[misc]
    use(nodes)
    eventually(lambda: node.pods["b"].refused(VIP, 80))
    use(nodes, "a")
    eventually(lambda: nodes.outside.ask(NODE_IP, 30080)[0] == "a")


def test_names_resolve_inside_pods(nodes: Nodes, node: Node) -> None:
    b = node.pods["b"]
    assert lookup(b, "web.default.svc.cluster.local") == [VIP]
    assert lookup(b, "web.default.svc.cluster.local", tcp=True) == [VIP]
    assert lookup(b, "_http._tcp.web.default.svc.cluster.local", "SRV") == ["0 100 80 web.default.svc.cluster.local."]
    assert lookup(b, "20.0.96.10.in-addr.arpa", "PTR") == ["web.default.svc.cluster.local."]
    eventually(lambda: lookup(b, "kube-dns.kube-system.svc.cluster.local") == [DNS])
    assert lookup(b, "nobody.default.svc.cluster.local") == []
    headless = {"metadata": {"namespace": "default", "name": "all"}, "spec": {"clusterIP": "None"}}
    nodes.create("v1", "Service", headless)
    both = endpoint_slice("all", (node.addresses["a"], "n1"), (node.addresses["b"], "n1"))
    nodes.create("discovery.k8s.io/v1", "EndpointSlice", both)
    eventually(lambda: set(lookup(b, "all.default.svc.cluster.local")) == {node.addresses["a"], node.addresses["b"]})


def test_names_outside_come_from_the_hosts_resolver_and_the_node_resolves_too(nodes: Nodes, node: Node) -> None:
    def answer(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # when it is closed
            while True:
                data, peer = server.recvfrom(1000)
                reply = DNSRecord.parse(data).reply()
                reply.add_answer(*RR.fromZone("www.example.com 600 A 192.0.2.77"))
                server.sendto(reply.pack(), peer)

    def listen() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((OUTSIDE_IP, 53))
        return made

    with nodes.outside.run(listen) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        eventually(lambda: lookup(node.pods["a"], "www.example.com") == ["192.0.2.77"])
    assert lookup(node.pods["b"], "www.example.com") == ["192.0.2.77"], "kept"
    assert lookup(node.namespace, "web.default.svc.cluster.local") == [VIP]


def test_pods_talk_to_the_outside_by_the_nodes_address_and_never_to_unknown_pods(nodes: Nodes, node: Node) -> None:
    assert node.pods["a"].ask(OUTSIDE_IP, 9000) == ("outside", NODE_IP)
    with pytest.raises(OSError):
        node.pods["a"].ask("10.244.3.3", 80, 0.5)
    with pytest.raises(OSError, match="No route to host"):
        node.namespace.ask("10.244.3.3", 80)


def test_a_host_port_leads_to_its_pod(nodes: Nodes, node: Node) -> None:
    pod = {
        "metadata": {"namespace": "default", "name": "a"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 8080, "hostPort": 8088}]}]},
    }
    nodes.create("v1", "ServiceAccount", {"metadata": {"namespace": "default", "name": "default"}})
    eventually(lambda: nodes.create("v1", "Pod", pod) is None)
    status = {"status": {"phase": "Running", "podIP": node.addresses["a"], "podIPs": [{"ip": node.addresses["a"]}]}}
    nodes.api(lambda client: client.patch(kind("v1", "Pod"), "a", status, namespace="default", subresource="status"))
    assert eventually(lambda: nodes.outside.ask(NODE_IP, 8088)) == ("a", OUTSIDE_IP), "the client's address is kept"
    assert node.pods["a"].ask(NODE_IP, 8088)[0] == "a", "also from the pod itself"
    assert eventually(lambda: node.namespace.ask("127.0.0.1", 8088))[0] == "a", "also on loopback"
    nodes.api(lambda client: client.delete(kind("v1", "Pod"), "a", "default", grace_period=0))
    eventually(lambda: nodes.outside.refused(NODE_IP, 8088))


def test_a_pod_cannot_reach_what_listens_on_the_nodes_loopback(node: Node) -> None:
    """Although pods with host ports have links that take packets for 127.0.0.0/8."""
    pod = node.add_pod("c")
    link = node.namespace.run(link_of, node.addresses["c"])
    node.namespace.run(ensure, {f"net/ipv4/conf/{link}/route_localnet": 1})
    pod.run(ensure, {"net/ipv4/conf/all/route_localnet": 1})
    pod.ip("route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
    pod.ip("route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local")
    pod.ip("route", "add", "127.0.0.0/8", "via", "10.244.0.1")
    with node.namespace.udp_socket() as private, pod.udp_socket() as stranger, node.namespace.udp_socket() as friend:
        private.bind(("127.0.0.1", 9111))
        private.settimeout(0.5)
        friend.sendto(b"friend", ("127.0.0.1", 9111))
        assert private.recv(100) == b"friend"
        stranger.sendto(b"stranger", ("127.0.0.1", 9111))
        with pytest.raises(TimeoutError):
            private.recv(100)


def test_the_api_server_answers_at_its_service_in_pods_and_on_its_own_node(node: Node) -> None:
    for namespace in (node.pods["a"], node.namespace):
        [address] = lookup(namespace, "kubernetes.default.svc.cluster.local")
        assert address == "10.96.0.1"

        def greet(address: str = address) -> bytes:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with socket.create_connection((address, 443), 10) as plain, context.wrap_socket(plain) as connection:
                connection.sendall(b"GET /version HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n")
                return connection.recv(4000)

        assert namespace.run(greet).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("process", ["proxy", "network"])
def test_traffic_goes_on_while_a_process_is_killed_and_comes_back(nodes: Nodes, node: Node, process: str) -> None:
    use(nodes, "a")
    eventually(lambda: node.pods["b"].ask(VIP, 80)[0] == "a")
    node.kill(process)
    assert node.pods["b"].ask(VIP, 80)[0] == "a"
    assert node.pods["b"].ask(OUTSIDE_IP, 9000)[1] == NODE_IP
    node.start(process, *node.arguments[process])
    use(nodes, "b")
    eventually(lambda: node.pods["a"].ask(VIP, 80)[0] == "b")
    eventually(lambda: lookup(node.pods["a"], "web.default.svc.cluster.local") == [VIP])


def test_tables_that_somebody_flushed_come_back(nodes: Nodes, node: Node) -> None:
    use(nodes, "a")
    eventually(lambda: node.pods["b"].ask(VIP, 80)[0] == "a")
    for command in (
        ["flush", "ruleset"],
        ["flush", "map", "ip", "kubetree-proxy", "services"],
        ["delete", "table", "ip", "kubetree-network"],
    ):
        subprocess.run(["ip", "netns", "exec", node.namespace.name, "nft", *command], check=True)
        eventually(lambda: node.pods["b"].ask(VIP, 80, 1)[0] == "a")
        eventually(lambda: node.pods["b"].ask(OUTSIDE_IP, 9000, 1)[1] == NODE_IP)


def test_the_dns_address_is_given_up_to_another_dns_and_taken_again(nodes: Nodes, node: Node) -> None:
    row = kind("v1", "Service")

    def label(value: str | None) -> None:
        patch = {"metadata": {"labels": {PROXY_LABEL: value}}}
        nodes.api(lambda client: client.patch(row, "kube-dns", patch, namespace="kube-system"))

    label(None)
    eventually(lambda: DNS not in node.namespace.ip("addr", "show", "lo"))
    with pytest.raises(OSError):
        lookup(node.pods["a"], "web.default.svc.cluster.local", tcp=True, timeout=2)
    label(PROXY_NAME)
    eventually(lambda: lookup(node.pods["a"], "web.default.svc.cluster.local") == [VIP])


def test_pods_get_through_a_firewall_that_drops_what_it_does_not_know(nodes: Nodes, node: Node) -> None:
    """What Docker and ufw do to iptables' FORWARD chain, at any time."""

    node.nft("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }")
    eventually(lambda: node.pods["b"].ask(OUTSIDE_IP, 9000, 0.3))
    eventually(lambda: node.pods["b"].ask(node.addresses["a"], 8080, 0.3)[0] == "a")
    assert node.nft("list chain ip filter FORWARD").count("kubetree: pods") == 2


def test_cleanup_leaves_nothing(nodes: Nodes, node: Node) -> None:
    for process in ("proxy", "network"):
        node.kill(process)
        for _ in range(2):
            command = [*node.command(process), "--cleanup"]
            subprocess.run(command, env=os.environ | {"PYTHONPATH": SOURCE}, check=True)
    assert node.nft("list tables").split() == ["table", "ip", "filter"], "which is not ours"
    assert "kubetree" not in node.nft("list ruleset")
    routes = node.namespace.ip("route", "show")
    assert "10.96." not in routes
    assert "unreachable" not in routes
    assert DNS not in node.namespace.ip("addr", "show", "lo")
    assert not (node.cni / FILE_NAME).exists()
