"""A real etcd on loopback for the tests: own data directory, own ports, ended with the test run."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

from ports import free_port

TMPFS = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""No test waits for a disk: what it keeps need not outlive the machine."""


class EtcdServer:
    """A one-member cluster. `kill` and `start` again keep the data and the address."""

    def __init__(self, *, name: str = "default", tls_arguments: tuple[str, ...] = (), scheme: str = "http") -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="kubetree-etcd-", dir=TMPFS))
        self._client, self._peer, self._scheme, self._tls = free_port(), free_port(), scheme, tls_arguments
        self._name, self.members = name, ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._client}"

    @property
    def member(self) -> str:
        """How --initial-cluster names it."""
        return f"{self._name}=http://127.0.0.1:{self._peer}"

    def start(self, *, wait: bool = True) -> None:
        client, peer = f"{self._scheme}://{self.address}", f"http://127.0.0.1:{self._peer}"
        arguments = [
            "etcd",
            f"--name={self._name}",
            f"--data-dir={self._directory}/data",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={self.members or self.member}",
            "--heartbeat-interval=20",
            "--election-timeout=200",
            *self._tls,
        ]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Returns once it is a member of a cluster that has a leader."""
        assert self._process is not None
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, "etcd ended at once"
            assert time.monotonic() < deadline, "etcd does not get ready"
            time.sleep(0.02)

    def _answers(self) -> bool:
        if self._scheme == "https":
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self._client)) == 0
        try:
            with urllib.request.urlopen(f"http://{self.address}/health", timeout=1) as response:
                return b"true" in response.read()
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


class EtcdCluster:
    """Three members."""

    def __init__(self) -> None:
        self.members = [EtcdServer(name=f"m{n}") for n in range(3)]
        for member in self.members:
            member.members = ",".join(m.member for m in self.members)

    def start(self) -> None:
        for member in self.members:
            member.start(wait=False)
        for member in self.members:
            member.wait()

    def remove(self) -> None:
        for member in self.members:
            member.remove()


def available() -> bool:
    return shutil.which("etcd") is not None


@cache
def shared() -> EtcdServer:
    """One for all tests that do not disturb it."""
    server = EtcdServer()
    atexit.register(server.remove)
    server.start()
    return server
