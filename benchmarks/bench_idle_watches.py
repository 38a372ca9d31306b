"""Memory of idle watches, each over a TLS connection of its own: what one takes, and what is left when they have gone.

`PYTHONPATH=src python benchmarks/bench_idle_watches.py [watches]` (5,000). Upstream's kube-apiserver is measured beside when one is at hand
($KUBE_APISERVER, or on PATH). The client, which needs as much, is a process of its own.
"""

from __future__ import annotations

import asyncio
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import load
import uvloop
from servers import TOKEN, Server, kubetree_over_sqlite, unverified, upstream_binary, upstream_over_etcd

PATH = "/api/v1/namespaces/default/configmaps"
_AT_ONCE = 50


class _Watch(asyncio.Protocol):
    def __init__(self, request: bytes, begun: asyncio.Future[None]) -> None:
        self._request, self._begun = request, begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._begun.done():
            self._begun.set_result(None)


async def hold(url: str, watches: int) -> None:
    """Opens them, says so, and closes them when it is told to."""
    loop, context = asyncio.get_running_loop(), unverified()
    host, _, port = url.removeprefix("https://").partition(":")
    transports = []
    for at in range(0, watches, _AT_ONCE):
        begun = [loop.create_future() for _ in range(min(_AT_ONCE, watches - at))]
        opening = []
        for n, future in enumerate(begun, at):
            request = f"GET {PATH}?watch=1&fieldSelector=metadata.name%3Dm-{n}&resourceVersion=1&timeoutSeconds=3000 HTTP/1.1\r\n"
            request += f"Host: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            opening.append(loop.create_connection(lambda r=request, f=future: _Watch(r.encode(), f), host, int(port), ssl=context))  # type: ignore[misc]
        transports += [transport for transport, _ in await asyncio.gather(*opening)]
        await asyncio.wait(begun, timeout=1 if at else 60)  # upstream's head comes with its first event
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for transport in transports:
        transport.abort()


def resident(server: Server) -> float:
    """MiB of the API server alone."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.pids[0]}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def measure(server: Server, watches: int) -> None:
    before, cpu, started = resident(server), server.cpu(), time.perf_counter()
    with subprocess.Popen(
        [sys.executable, __file__, "--hold", server.url, str(watches)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdin is not None and client.stdout is not None
        if client.stdout.readline() != b"open\n":
            raise RuntimeError("the client could not open its watches")
        opened, opening, seconds = resident(server), server.cpu() - cpu, time.perf_counter() - started
        cpu, started = server.cpu(), time.perf_counter()
        time.sleep(5)
        idle = (server.cpu() - cpu) / (time.perf_counter() - started)
        client.stdin.write(b"\n")
        client.stdin.close()
    time.sleep(5)
    after = resident(server)
    print(
        f"{server.name}: {watches:,} watches, {(opened - before) / watches * 1024:.0f} KiB and {opening / watches * 1e6:,.0f} us of CPU each, "
        f"opened in {seconds:.0f} s; {100 * idle:.1f} % of a core while idle; "
        f"MiB before {before:.0f}, with them {opened:.0f}, after them {after:.0f}",
        flush=True,
    )


def main(watches: int) -> None:
    lacking = load.missing()
    if lacking is not None:
        print(f"skipped: {lacking}")
        return
    for start in [kubetree_over_sqlite, *([upstream_over_etcd] if upstream_binary() else [])]:
        with start() as server:
            for _ in range(2):  # the second round shows whether memory of the first was given back
                measure(server, watches)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1:2] == ["--hold"]:
        uvloop.run(hold(sys.argv[2], int(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
