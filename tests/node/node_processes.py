"""A node's processes as users run them, in network namespaces: an API server, `kubetree network` and `kubetree proxy`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from dnslib import DNSRecord

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client, ClientConfig
from kubetree.cluster.certificates import Authority
from kubetree.network.cni import FILE_NAME
from node.namespaces import Namespace

T = TypeVar("T")
DNS, NODE_IP, OUTSIDE_IP = "10.96.0.10", "10.199.0.1", "10.199.0.9"
SOURCE = str(Path(__file__).parents[2] / "src")


class Node:
    """A node: its namespace, the processes in it, and the pods on it. Its link `kubetree0` leads to `peer`."""

    def __init__(self, directory: Path, name: str, ip: str, pod_cidr: str, link: Callable[[Namespace], None]) -> None:
        self.directory, self.name, self.ip, self.pod_cidr = directory, name, ip, pod_cidr
        self.namespace = Namespace()
        self.pods: dict[str, Namespace] = {}
        self.addresses: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.arguments: dict[str, list[str]] = {}
        link(self.namespace)
        self.namespace.ip("addr", "add", f"{ip}/24", "dev", "kubetree0")
        self.namespace.ip("link", "set", "kubetree0", "up")

    @property
    def cni(self) -> Path:
        return self.directory / f"{self.name}.net.d"

    def start(self, command: str, *arguments: str) -> None:
        self.arguments[command] = list(arguments)
        with (self.directory / f"{self.name}.{command}.log").open("ab") as log:
            self.processes[command] = subprocess.Popen(
                self.command(command), env=os.environ | {"PYTHONPATH": SOURCE}, stdout=log, stderr=log
            )

    def command(self, command: str) -> list[str]:
        """A process's command line, inside the namespace."""
        return ["ip", "netns", "exec", self.namespace.name, sys.executable, "-m", "kubetree.cli.main", command, *self.arguments[command]]

    def start_agents(self) -> None:
        common = [f"--kubeconfig={self.directory / 'kubeconfig'}", f"--hostname-override={self.name}"]
        common += ["--cluster-cidr=10.244.0.0/16", "--service-cidr=10.96.0.0/16"]
        self.start("proxy", *common, "--nodeport-addresses=0.0.0.0/0", "--localhost-nodeports")
        self.start(
            "network",
            *common,
            f"--cni-conf-dir={self.cni}",
            f"--cni-state-dir={self.directory / 'addresses'}",
            f"--cluster-dns={DNS}",
            f"--resolv-conf={self.directory / 'resolv.conf'}",
        )

    def kill(self, command: str) -> None:
        self.processes[command].kill()
        self.processes[command].wait()

    def nft(self, text: str) -> str:
        command = ["ip", "netns", "exec", self.namespace.name, "nft", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def add_pod(self, name: str) -> Namespace:
        """What a container runtime does for a pod's sandbox; the pod answers on port 8080 with its name."""
        pod = self.pods[name] = Namespace()
        configuration = json.loads((self.cni / FILE_NAME).read_text())
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
            process.wait(30)
        for namespace in (*self.pods.values(), self.namespace):
            namespace.close()


class Nodes:
    """Nodes on one link with a machine `outside`, which is 10.199.0.9. The first node runs the API server."""

    def __init__(self, directory: Path, count: int = 1) -> None:
        self.directory = directory
        self.outside = Namespace()
        self.outside.ip("link", "add", "bridge", "type", "bridge")
        self.outside.ip("addr", "add", f"{OUTSIDE_IP}/24", "dev", "bridge")
        self.outside.ip("link", "set", "bridge", "up")
        self.nodes: list[Node] = []
        try:
            self._start(count)
        except BaseException:
            self.close()
            raise

    def _start(self, count: int) -> None:
        directory = self.directory
        self._write_credentials()
        for number in range(1, count + 1):
            self.nodes.append(Node(directory, f"n{number}", f"10.199.0.{number}", f"10.244.{number - 1}.0/24", self._link))
        self.first = self.nodes[0]
        self.first.start(
            "apiserver",
            "--storage=memory://",
            f"--bind-address={NODE_IP}",
            "--secure-port=7080",
            f"--advertise-address={NODE_IP}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={directory / 'server.crt'}",
            f"--tls-private-key-file={directory / 'server.key'}",
            f"--token-auth-file={directory / 'tokens'}",
        )
        for node in self.nodes:
            node.start_agents()
        # Five processes may start here, each of which takes seconds of a processor that others want as well.
        eventually(self._register, 120)
        eventually(lambda: all((node.cni / FILE_NAME).exists() for node in self.nodes), 120)

    def _link(self, namespace: Namespace) -> None:
        port = f"node{len(self.nodes)}"
        self.outside.ip("link", "add", port, "type", "veth", "peer", "name", "kubetree0", "netns", namespace.name)
        self.outside.ip("link", "set", port, "master", "bridge", "up")

    def _register(self) -> bool:
        """What kubelets and the node controller do."""
        row = kind("v1", "Node")
        for node in self.nodes:
            obj = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}}
            spec = {"podCIDR": node.pod_cidr, "podCIDRs": [node.pod_cidr]}
            status = {"status": {"addresses": [{"type": "InternalIP", "address": node.ip}]}}
            with contextlib.suppress(errors.AlreadyExists):
                self.api(lambda client, obj=obj, spec=spec: client.create(row, obj | {"spec": spec}))
            self.api(lambda client, node=node, status=status: client.patch(row, node.name, status, subresource="status"))
        return True

    def _write_credentials(self) -> None:
        pair = Authority.create("test", datetime.now(UTC)).server("kube-apiserver", [NODE_IP], datetime.now(UTC))
        (self.directory / "server.crt").write_bytes(pair.certificate)
        (self.directory / "server.key").write_bytes(pair.key)
        (self.directory / "tokens").write_text('secret,admin,1,"system:masters"\n')
        (self.directory / "resolv.conf").write_text(f"nameserver {OUTSIDE_IP}\n")
        config = {
            "clusters": [{"name": "t", "cluster": {"server": f"https://{NODE_IP}:7080", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "t", "user": {"token": "secret"}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "current-context": "t",
        }
        (self.directory / "kubeconfig").write_text(json.dumps(config))

    def api(self, work: Callable[[Client], Any]) -> Any:
        """Runs one coroutine function with a client, inside the first node's namespace."""

        async def run() -> Any:
            async with Client(ClientConfig(f"https://{NODE_IP}:7080", token="secret", insecure=True)) as client:
                return await work(client)

        return self.first.namespace.run(lambda: asyncio.run(run()))

    def create(self, api_version: str, kind_name: str, obj: dict[str, Any]) -> None:
        obj = {"apiVersion": api_version, "kind": kind_name, **obj}
        self.api(lambda client: client.create(kind(api_version, kind_name), obj))

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.outside.close()


def eventually(check: Callable[[], T], seconds: float = 40) -> T:
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


def lookup(pod: Namespace, name: str, kind_name: str = "A", *, tcp: bool = False, timeout: float = 5) -> list[str]:
    def ask() -> list[str]:
        reply = DNSRecord.parse(DNSRecord.question(name, kind_name).send(DNS, 53, tcp=tcp, timeout=timeout))
        assert reply.header.rcode in (0, 3)
        return [str(record.rdata) for record in reply.rr]

    return pod.run(ask)


def endpoint_slice(service: str, *addresses: tuple[str, str]) -> dict[str, Any]:
    """A service's slice with (address, node) endpoints on port 8080."""
    return {
        "metadata": {"namespace": "default", "name": f"{service}-1", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [a], "nodeName": node, "conditions": {"ready": True}} for a, node in addresses],
    }
