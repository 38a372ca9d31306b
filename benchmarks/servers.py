"""API servers to be measured, each with a store of its own in a temporary folder: Kubetree over SQLite and over etcd, and upstream's
kube-apiserver where one is at hand ($KUBE_APISERVER, or on PATH). Loopback only; all that is started is ended."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kubetree.client.self_signed import self_signed

TOKEN = "bench-token"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """`pids` are the API server's and then, where that is another process, its store's."""

    name: str
    url: str
    pids: tuple[int, ...]

    def cpu(self) -> float:
        """Seconds of all its processes so far."""
        total = 0.0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICK
        return total

    def memory(self, *, store: bool = True) -> float:
        """Resident MiB of all its processes, or of the API server's alone."""
        pids = self.pids if store else self.pids[:1]
        kib = (re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in pids)
        return sum(int(found[1]) for found in kib if found) / 1024

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of the answer. Raises RuntimeError when it is no success."""
        with contextlib.closing(http.client.HTTPSConnection(*self._address, context=unverified(), timeout=30)) as connection:
            connection.request(method, path, body or None, {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    @property
    def _address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("https://").partition(":")
        return host, int(port)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def upstream_binary() -> str | None:
    return os.environ.get("KUBE_APISERVER") or shutil.which("kube-apiserver")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def kubetree_over_sqlite() -> Iterator[Server]:
    with _folder() as home, _running(home, "Kubetree, SQLite", _kubetree(home, f"sqlite:///{home}/store.db"), ()) as server:
        yield server


@contextlib.contextmanager
def kubetree_over_etcd() -> Iterator[Server]:
    with _folder() as home, _etcd(home) as (port, pid):
        with _running(home, "Kubetree, etcd", _kubetree(home, f"etcd://127.0.0.1:{port}"), (pid,)) as server:
            yield server


@contextlib.contextmanager
def upstream_over_etcd() -> Iterator[Server]:
    binary = upstream_binary()
    assert binary is not None
    with _folder() as home, _etcd(home) as (port, pid):
        arguments = [binary, f"--etcd-servers=http://127.0.0.1:{port}", f"--cert-dir={home}", "--bind-address=127.0.0.1"]
        arguments += [f"--service-account-key-file={home}/sa.pub", "--service-account-issuer=https://kubernetes.default.svc"]
        arguments += ["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC"]
        with _running(home, "upstream, etcd", [*arguments, *_common(home)], (pid,)) as server:
            yield server


def _kubetree(home: Path, storage: str) -> list[str]:
    arguments = [sys.executable, "-m", "kubetree.cli.main", "apiserver", "--storage", storage, "--bind-address", "127.0.0.1"]
    return [*arguments, "--tls-cert-file", f"{home}/tls.crt", "--tls-private-key-file", f"{home}/tls.key", *_common(home)]


def _common(home: Path) -> list[str]:
    return [
        f"--service-account-signing-key-file={home}/sa.key",
        f"--token-auth-file={home}/tokens",
        "--enable-admission-plugins=NodeRestriction",
    ]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kubetree-bench-") as name:
        home = Path(name)
        certificate, key = self_signed("localhost", ["127.0.0.1"], datetime.now(UTC))
        (home / "tls.crt").write_bytes(certificate)
        (home / "tls.key").write_bytes(key)
        (home / "tokens").write_text(f'{TOKEN},bench,bench,"system:masters"\n')
        _run("openssl", "genrsa", "-out", f"{home}/sa.key", "2048")
        _run("openssl", "rsa", "-in", f"{home}/sa.key", "-pubout", "-out", f"{home}/sa.pub")
        yield home


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True)


@contextlib.contextmanager
def _etcd(home: Path) -> Iterator[tuple[int, int]]:
    """A port to connect to and the process's id."""
    client, peer = free_port(), free_port()
    arguments = ["etcd", "--data-dir", f"{home}/etcd", "--quota-backend-bytes", str(8 << 30)]
    for option, port in (("client", client), ("peer", peer)):
        url = f"http://127.0.0.1:{port}"
        arguments += [
            f"--listen-{option}-urls",
            url,
            "--advertise-client-urls" if option == "client" else "--initial-advertise-peer-urls",
            url,
        ]
    arguments += ["--initial-cluster", f"default=http://127.0.0.1:{peer}"]
    with _process(arguments, home / "etcd.log") as process:
        yield client, process.pid


@contextlib.contextmanager
def _running(home: Path, name: str, arguments: list[str], others: tuple[int, ...]) -> Iterator[Server]:
    port = free_port()
    with _process([*arguments, f"--secure-port={port}"], home / "server.log") as process:
        server = Server(name, f"https://127.0.0.1:{port}", (process.pid, *others))
        _wait_for(server, process, home / "server.log")
        server.ask("POST", "/api/v1/namespaces/default/serviceaccounts", b'{"metadata":{"name":"default"}}')
        yield server


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            server.ask("GET", "/readyz")
            server.ask("GET", "/api/v1/namespaces/default")
            return
        except (OSError, RuntimeError, http.client.HTTPException):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{server.name} does not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)


@contextlib.contextmanager
def _process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out, subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
