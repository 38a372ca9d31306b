"""Seconds from starting an API server's process to its /readyz, a new one and one that finds its data: `PYTHONPATH=src python
benchmarks/bench_cold_start.py`. The first run may compile the sources to bytecode; the figure is each row's best of five."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from kubetree.cluster.certificate_files import ensure_certificates
from kubetree.cluster.layout import Layout, Settings

RUNS = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(arguments: list[str], port: int) -> tuple[float, float]:
    """Wall seconds and the process's CPU seconds until it is ready."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "kubetree.cli.main", "apiserver", *arguments], stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.002)
        wall = time.perf_counter() - started
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return wall, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kubetree-bench-") as folder:
        layout, settings = Layout(data=Path(folder)), Settings()
        ensure_certificates(layout, settings, datetime.now(UTC))
        pki, port = layout.pki, free_port()
        arguments = [
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
        ]
        for what, storage in (
            ("memory", lambda n: "memory://"),
            ("sqlite, new", lambda n: f"sqlite:///{folder}/new-{n}.db"),
            ("sqlite, again", lambda n: f"sqlite:///{folder}/new-0.db"),
        ):
            runs = [start([*arguments, f"--storage={storage(n)}"], port) for n in range(RUNS)]
            print(f"{what:14} {min(wall for wall, _ in runs):6.2f} s to /readyz  {min(cpu for _, cpu in runs):6.2f} s CPU", flush=True)


if __name__ == "__main__":
    main()
