"""Rates of the DNS server on loopback: `PYTHONPATH=src python benchmarks/bench_dns.py`. The asking side shares the machine."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Sequence
from typing import Any

import uvloop
from dnslib import DNSRecord

from kubetree.network.dns.answers import Zone
from kubetree.network.dns.forward import Forwarder
from kubetree.network.dns.server import Server

COUNT, WINDOW = 200_000, 64
Object = dict[str, Any]


class Services:
    """10,000 services web-0, web-1, ..."""

    def service(self, namespace: str, name: str) -> Object | None:
        number = int(name.removeprefix("web-"))
        spec = {"clusterIP": f"10.96.{number // 250}.{number % 250 + 1}", "ports": [{"name": "http", "port": 80}]}
        return {"metadata": {"namespace": namespace, "name": name}, "spec": spec}

    def slices(self, namespace: str, name: str) -> Sequence[Object]:
        return ()

    def has_namespace(self, name: str) -> bool:
        return name == "default"

    def services_at(self, address: str) -> Sequence[Object]:
        return ()

    def slices_at(self, address: str) -> Sequence[Object]:
        return ()


def ask(port: int, names: int) -> None:
    """Keeps WINDOW queries under way until COUNT are answered; prints the rate."""
    queries = [DNSRecord.question(f"web-{n}.default.svc.cluster.local").pack() for n in range(names)]
    count = COUNT if names == 1 else names
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", port))
        asker.settimeout(5)
        start = time.perf_counter()
        for n in range(min(WINDOW, count)):
            asker.send(queries[n % names])
        for n in range(WINDOW, count + WINDOW):
            asker.recv(2000)
            if n < count:
                asker.send(queries[n % names])
        seconds = time.perf_counter() - start
    print(f"{names:>6} names: {count / seconds:>10,.0f} answers/s", flush=True)


async def main() -> None:
    server = Server(Services(), Zone(), Forwarder([], time.monotonic))
    async with server.open("127.0.0.1", 0) as port:
        for names in (10_000, 1):
            start = time.process_time()
            asker = multiprocessing.get_context("spawn").Process(target=ask, args=(port, names))
            asker.start()
            while asker.is_alive():
                await asyncio.sleep(0.05)
            count = COUNT if names == 1 else names
            print(f"        {(time.process_time() - start) / count * 1e6:.1f} us CPU each", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
