"""The node's processes as users run them: an API server, `kubetree network` and `kubetree proxy` in a network namespace, pods made
by the CNI configuration that appears there, names and services used from inside the pods."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from dnslib import RR, DNSRecord

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client, ClientConfig
from kubetree.cluster.certificates import Authority
from kubetree.network.cni import FILE_NAME
from node.namespaces import Namespace

pytestmark = [pytest.mark.node, pytest.mark.timeout(120)]

T = TypeVar("T")
DNS, VIP, NODE_IP = "10.96.0.10", "10.96.0.20", "10.199.0.1"
SOURCE = str(Path(__file__).parents[2] / "src")


class Node:
    """A node's namespace and the processes in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.namespace = Namespace()
        self.outside = Namespace()
        self.pods: dict[str, Namespace] = {}
        self.addresses: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.arguments: dict[str, list[str]] = {}
        self.namespace.ip("link", "add", "kubetree0", "type", "veth", "peer", "name", "in", "netns", self.outside.name)
        for namespace, link, address in ((self.namespace, "kubetree0", f"{NODE_IP}/24"), (self.outside, "in", "10.199.0.9/24")):
            namespace.ip("addr", "add", address, "dev", link)
            namespace.ip("link", "set", link, "up")
        self._write_credentials()
        common = [f"--kubeconfig={directory / 'kubeconfig'}", "--hostname-override=n1", "--cluster-cidr=10.244.0.0/16"]
        common.append("--service-cidr=10.96.0.0/16")
        self.start(
            "apiserver",
            "--storage=memory://",
            "--bind-address=127.0.0.1",
            "--secure-port=7080",
            f"--advertise-address={NODE_IP}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={directory / 'server.crt'}",
            f"--tls-private-key-file={directory / 'server.key'}",
            f"--token-auth-file={directory / 'tokens'}",
        )
        (directory / "resolv.conf").write_text("nameserver 10.199.0.9\n")
        self.start(
            "network",
            *common,
            f"--cni-conf-dir={directory / 'net.d'}",
            f"--cni-state-dir={directory / 'addresses'}",
            f"--cluster-dns={DNS}",
            f"--resolv-conf={directory / 'resolv.conf'}",
        )
        self.start("proxy", *common)

    def _write_credentials(self) -> None:
        authority = Authority.create("test", datetime.now(UTC))
        pair = authority.server("kube-apiserver", ["127.0.0.1"], datetime.now(UTC))
        (self.directory / "server.crt").write_bytes(pair.certificate)
        (self.directory / "server.key").write_bytes(pair.key)
        (self.directory / "tokens").write_text('secret,admin,1,"system:masters"\n')
        config = {
            "clusters": [{"name": "t", "cluster": {"server": "https://127.0.0.1:7080", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "t", "user": {"token": "secret"}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "current-context": "t",
        }
        (self.directory / "kubeconfig").write_text(json.dumps(config))

    def start(self, command: str, *arguments: str) -> None:
        self.arguments[command] = list(arguments)
        log = (self.directory / f"{command}.log").open("ab")
        self.processes[command] = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace.name, sys.executable, "-m", "kubetree.cli.main", command, *arguments],
            env=os.environ | {"PYTHONPATH": SOURCE},
            stdout=log,
            stderr=log,
        )

    def kill(self, command: str) -> None:
        self.processes[command].kill()
        self.processes[command].wait()

    def restart(self, command: str) -> None:
        self.kill(command)
        self.start(command, *self.arguments[command])

    def api(self, work: Callable[[Client], Any]) -> Any:
        """Runs one coroutine function with a client, inside the node's namespace."""

        async def run() -> Any:
            async with Client(ClientConfig("https://127.0.0.1:7080", token="secret", insecure=True)) as client:
                return await work(client)

        return self.namespace.run(lambda: asyncio.run(run()))

    def create(self, api_version: str, kind_name: str, obj: dict[str, Any]) -> None:
        row = kind(api_version, kind_name)
        obj = {"apiVersion": api_version, "kind": kind_name, **obj}
        self.api(lambda client: client.create(row, obj))

    def add_pod(self, name: str) -> Namespace:
        """What a container runtime does for a pod's sandbox."""
        pod = self.pods[name] = Namespace()
        configuration = json.loads((self.directory / "net.d" / FILE_NAME).read_text())
        plugin = configuration["plugins"][0] | {"cniVersion": configuration["cniVersion"], "name": configuration["name"]}
        environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": name, "CNI_NETNS": f"/run/netns/{pod.name}", "CNI_IFNAME": "eth0"}
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace.name, f"/usr/lib/cni/{plugin['type']}"],
            input=json.dumps(plugin),
            env=os.environ | environment | {"CNI_PATH": "/usr/lib/cni"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        self.addresses[name] = json.loads(done.stdout)["ips"][0]["address"].split("/")[0]
        pod.serve(8080, name)
        return pod

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(10)
        for namespace in (*self.pods.values(), self.outside, self.namespace):
            namespace.close()


def eventually(check: Callable[[], T], seconds: float = 20) -> T:
    """The first result that is no exception and not false."""
    end = time.monotonic() + seconds
    while True:
        try:
            if result := check():
                return result
        except (OSError, AssertionError, errors.ApiError):
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def lookup(pod: Namespace, name: str, kind_name: str = "A", *, tcp: bool = False) -> list[str]:
    def ask() -> list[str]:
        reply = DNSRecord.parse(DNSRecord.question(name, kind_name).send(DNS, 53, tcp=tcp, timeout=3))
        assert reply.header.rcode in (0, 3)
        return [str(record.rdata) for record in reply.rr]

    return pod.run(ask)


def web_slice(*addresses: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [a], "nodeName": "n1", "conditions": {"ready": True}} for a in addresses],
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("node"))
    try:
        own = {"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]}}
        eventually(lambda: made.create("v1", "Node", own) is None)
        address = {"status": {"addresses": [{"type": "InternalIP", "address": NODE_IP}]}}
        made.api(lambda client: client.patch(kind("v1", "Node"), "n1", address, subresource="status"))
        eventually(lambda: (made.directory / "net.d" / FILE_NAME).exists())
        a, b = made.add_pod("a"), made.add_pod("b")
        assert a and b
        ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}]
        made.create(
            "v1",
            "Service",
            {"metadata": {"namespace": "default", "name": "web"}, "spec": {"type": "NodePort", "clusterIP": VIP, "ports": ports}},
        )
        made.create("discovery.k8s.io/v1", "EndpointSlice", web_slice(made.addresses["a"]))
        eventually(lambda: a.ask(VIP, 80)[0] == "a")
        eventually(lambda: lookup(a, "web.default.svc.cluster.local"))
        yield made
    finally:
        made.close()


def use(node: Node, *pods: str) -> None:
    """Makes these pods the service's endpoints."""
    endpoints = web_slice(*(node.addresses[pod] for pod in pods))["endpoints"]
    slices = kind("discovery.k8s.io/v1", "EndpointSlice")
    node.api(lambda client: client.patch(slices, "web-1", {"endpoints": endpoints}, namespace="default"))


def test_a_service_follows_its_endpoints(node: Node) -> None:
    for name in "ba":
        use(node, name)
        started = time.monotonic()
        eventually(lambda name=name: node.pods["a"].ask(VIP, 80)[0] == name)  # type: ignore[misc]
        assert time.monotonic() - started < 1
    use(node)
    with pytest.raises(ConnectionRefusedError):
        eventually(lambda: node.pods["b"].ask(VIP, 80)[0] == "nobody", 1)
    use(node, "a")
    eventually(lambda: node.outside.ask(NODE_IP, 30080)[0] == "a")


def test_names_resolve_inside_pods(node: Node) -> None:
    b = node.pods["b"]
    assert lookup(b, "web.default.svc.cluster.local") == [VIP]
    assert lookup(b, "web.default.svc.cluster.local", tcp=True) == [VIP]
    assert lookup(b, "_http._tcp.web.default.svc.cluster.local", "SRV") == ["0 100 80 web.default.svc.cluster.local."]
    assert lookup(b, "20.0.96.10.in-addr.arpa", "PTR") == ["web.default.svc.cluster.local."]
    assert lookup(b, "kube-dns.kube-system.svc.cluster.local") == [DNS]
    assert lookup(b, "nobody.default.svc.cluster.local") == []
    headless = {"metadata": {"namespace": "default", "name": "all"}, "spec": {"clusterIP": "None"}}
    node.create("v1", "Service", headless)
    slice_ = web_slice(node.addresses["a"], node.addresses["b"])
    slice_["metadata"] |= {"name": "all-1", "labels": {"kubernetes.io/service-name": "all"}}
    node.create("discovery.k8s.io/v1", "EndpointSlice", slice_)
    eventually(lambda: set(lookup(b, "all.default.svc.cluster.local")) == {node.addresses["a"], node.addresses["b"]}, 2)


def test_names_outside_come_from_the_hosts_resolver_and_the_node_resolves_too(node: Node) -> None:
    def answer(server: socket.socket) -> None:
        data, peer = server.recvfrom(1000)
        reply = DNSRecord.parse(data).reply()
        reply.add_answer(*RR.fromZone("www.example.com 60 A 192.0.2.77"))
        server.sendto(reply.pack(), peer)

    def listen() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("10.199.0.9", 53))
        return made

    with node.outside.run(listen) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        eventually(lambda: lookup(node.pods["a"], "www.example.com") == ["192.0.2.77"])
    assert lookup(node.pods["b"], "www.example.com") == ["192.0.2.77"], "kept"
    assert lookup(node.namespace, "web.default.svc.cluster.local") == [VIP]


def test_pods_talk_to_the_outside_by_the_nodes_address_and_never_to_unknown_pods(node: Node) -> None:
    node.outside.serve(9000, "outside")
    assert node.pods["a"].ask("10.199.0.9", 9000) == ("outside", NODE_IP)
    with pytest.raises(OSError):
        node.pods["a"].ask("10.244.3.3", 80, 0.5)
    with pytest.raises(OSError, match="No route to host"):
        node.namespace.ask("10.244.3.3", 80)


def test_a_host_port_leads_to_its_pod(node: Node) -> None:
    pod = {
        "metadata": {"namespace": "default", "name": "a"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 8080, "hostPort": 8088}]}]},
    }
    node.create("v1", "ServiceAccount", {"metadata": {"namespace": "default", "name": "default"}})
    eventually(lambda: node.create("v1", "Pod", pod) is None)
    status = {"status": {"phase": "Running", "podIP": node.addresses["a"], "podIPs": [{"ip": node.addresses["a"]}]}}
    node.api(lambda client: client.patch(kind("v1", "Pod"), "a", status, namespace="default", subresource="status"))
    assert eventually(lambda: node.outside.ask(NODE_IP, 8088)) == ("a", "10.199.0.9"), "the client's address is kept"
    assert node.pods["a"].ask(NODE_IP, 8088)[0] == "a", "also from the pod itself"
    node.api(lambda client: client.delete(kind("v1", "Pod"), "a", "default", grace_period=0))

    def refused() -> bool:
        try:
            node.outside.ask(NODE_IP, 8088)
        except ConnectionRefusedError:
            return True
        return False

    eventually(refused)


@pytest.mark.parametrize("process", ["proxy", "network"])
def test_traffic_goes_on_while_a_process_is_killed_and_comes_back(node: Node, process: str) -> None:
    use(node, "a")
    eventually(lambda: node.pods["b"].ask(VIP, 80)[0] == "a")
    node.kill(process)
    assert node.pods["b"].ask(VIP, 80)[0] == "a"
    assert node.pods["b"].ask("10.199.0.9", 9000)[1] == NODE_IP
    node.start(process, *node.arguments[process])
    use(node, "b")
    eventually(lambda: node.pods["a"].ask(VIP, 80)[0] == "b")
    eventually(lambda: lookup(node.pods["a"], "web.default.svc.cluster.local") == [VIP])


def test_tables_that_somebody_flushed_come_back(node: Node) -> None:
    use(node, "a")
    eventually(lambda: node.pods["b"].ask(VIP, 80)[0] == "a")
    for command in (
        ["flush", "ruleset"],
        ["flush", "map", "ip", "kubetree-proxy", "services"],
        ["delete", "table", "ip", "kubetree-network"],
    ):
        subprocess.run(["ip", "netns", "exec", node.namespace.name, "nft", *command], check=True)
        eventually(lambda: node.pods["b"].ask(VIP, 80)[0] == "a", 5)
        eventually(lambda: node.pods["b"].ask("10.199.0.9", 9000)[1] == NODE_IP, 5)


def test_pods_get_through_a_firewall_that_drops_what_it_does_not_know(node: Node) -> None:
    """What Docker and ufw do to iptables' FORWARD chain, at any time."""

    def nft(text: str) -> str:
        command = ["ip", "netns", "exec", node.namespace.name, "nft", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    nft("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }")
    eventually(lambda: node.pods["b"].ask("10.199.0.9", 9000, 0.3), 5)
    assert node.pods["b"].ask(node.addresses["a"], 8080)[0] == "a"
    assert nft("list chain ip filter FORWARD").count("kubetree: pods") == 2


def test_cleanup_leaves_nothing(node: Node) -> None:
    for process in ("proxy", "network"):
        node.kill(process)
        command = [sys.executable, "-m", "kubetree.cli.main", process, *node.arguments[process], "--cleanup"]
        for _ in range(2):
            done = subprocess.run(
                ["ip", "netns", "exec", node.namespace.name, *command], env=os.environ | {"PYTHONPATH": SOURCE}, check=False
            )
            assert done.returncode == 0
    tables = subprocess.run(
        ["ip", "netns", "exec", node.namespace.name, "nft", "list", "tables"], capture_output=True, text=True, check=True
    )
    assert tables.stdout.split() == ["table", "ip", "filter"], "which is not ours"
    rules = subprocess.run(
        ["ip", "netns", "exec", node.namespace.name, "nft", "list", "ruleset"], capture_output=True, text=True, check=True
    )
    assert "kubetree" not in rules.stdout
    routes = node.namespace.ip("route", "show")
    assert "10.96." not in routes
    assert "unreachable" not in routes
    assert DNS not in node.namespace.ip("addr", "show", "lo")
    assert not (node.directory / "net.d" / FILE_NAME).exists()
