"""Network namespaces for tests: made, used from threads, and taken away again. Nothing in them reaches beyond this machine."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from kubetree.network.cni import conflist

T = TypeVar("T")


CLONE_NEWNET = 0x40000000


def enter(name: str) -> None:
    """Moves the calling thread into a network namespace; sockets and processes that it makes from then on are there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{name}", "rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network namespace and a thread in it."""

    def __init__(self) -> None:
        self.name = f"kt-{uuid.uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(self.name,))
        self._servers: list[socket.socket] = []
        self.ip("link", "set", "lo", "up")

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Calls `function` inside."""
        return self._thread.submit(function, *arguments).result(60)

    def ip(self, *arguments: str) -> str:
        return subprocess.run(["ip", "-n", self.name, *arguments], check=True, capture_output=True, text=True).stdout

    def serve(self, port: int, answer: str, address: str = "", kind: int = socket.SOCK_STREAM) -> None:
        """Answers every TCP connection, or every UDP packet, with `answer` and the client's address."""

        def listen() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = socket.socket(family, kind)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((address, port))
            if kind == socket.SOCK_STREAM:
                server.listen(64)
            return server

        server = self.run(listen)
        self._servers.append(server)
        loop = _answer_streams if kind == socket.SOCK_STREAM else _answer_packets
        threading.Thread(target=loop, args=(server, answer), daemon=True).start()

    def ask(self, address: str, port: int, timeout: float = 5) -> tuple[str, str]:
        """Connects from inside: (the server's answer, our address as the server saw it). Raises OSError."""

        def connect() -> tuple[str, str]:
            with socket.create_connection((address, port), timeout) as connection:
                answer, seen = connection.recv(200).decode().split(" ")
                return answer, seen

        return self.run(connect)

    def refused(self, address: str, port: int) -> bool:
        """Whether a connection from inside is refused, at once and not by silence."""
        try:
            self.ask(address, port)
        except ConnectionRefusedError:
            return True
        return False

    def udp_socket(self) -> socket.socket:
        return self.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def close(self) -> None:
        for server in self._servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        self._thread.shutdown()
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def _answer_streams(server: socket.socket, answer: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, peer = server.accept()
            with connection:
                connection.sendall(f"{answer} {peer[0]}".encode())


def _answer_packets(server: socket.socket, answer: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            if not (peer := server.recvfrom(2000)[1]):
                return
            server.sendto(f"{answer} {peer[0]}".encode(), peer)


class Network:
    """A node with pods on it by the real CNI plugins, and a machine outside: 192.0.2.1 is the node, 192.0.2.9 outside."""

    pod_cidr = "10.244.0.0/24"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.node, self.outside = Namespace(), Namespace()
        self.pods: dict[str, Namespace] = {}
        self.addresses: dict[str, str] = {}
        self.node.ip("link", "add", "out", "type", "veth", "peer", "name", "in", "netns", self.outside.name)
        for namespace, link, address in ((self.node, "out", "192.0.2.1/24"), (self.outside, "in", "192.0.2.9/24")):
            namespace.ip("addr", "add", address, "dev", link)
            namespace.ip("link", "set", link, "up")
        self.outside.ip("route", "add", "10.96.0.0/16", "via", "192.0.2.1")

    def add_pod(self, name: str) -> Namespace:
        pod = self.pods[name] = Namespace()
        result = self._plugin("ADD", pod)
        self.addresses[name] = json.loads(result)["ips"][0]["address"].split("/")[0]
        return pod

    def _plugin(self, command: str, pod: Namespace) -> str:
        configuration = conflist([self.pod_cidr], mtu=1500, state_directory=str(self._directory))
        plugin = configuration["plugins"][0] | {"cniVersion": configuration["cniVersion"], "name": configuration["name"]}
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": pod.name,
            "CNI_NETNS": f"/run/netns/{pod.name}",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": "/usr/lib/cni",
        }
        done = subprocess.run(
            ["ip", "netns", "exec", self.node.name, "/usr/lib/cni/ptp"],
            input=json.dumps(plugin),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        for namespace in (*self.pods.values(), self.outside, self.node):
            namespace.close()


@contextlib.contextmanager
def network(directory: Path) -> Iterator[Network]:
    made = Network(directory)
    try:
        yield made
    finally:
        made.close()
