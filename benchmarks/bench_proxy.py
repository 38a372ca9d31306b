"""The proxy's figures, in a network namespace of its own: `PYTHONPATH=src python benchmarks/bench_proxy.py [services] [endpoints]`.

Full load: rendering and writing all services. Change: one service's endpoints, from the slice to the kernel's answer.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

from kubetree.kernel.nftables import Nftables
from kubetree.proxy.applier import Applier
from kubetree.proxy.ledger import Ledger
from kubetree.proxy.render import Node, render_service
from kubetree.proxy.table import IPV4, Settings

SETTINGS = Settings(("10.128.0.0/10",), ("10.96.0.0/12",))
NODE = Node("node-0")
_INSIDE = "KUBETREE_BENCH_NAMESPACE"


def service(n: int) -> dict[str, Any]:
    spec = {"clusterIP": f"10.{96 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    return {"metadata": {"namespace": "default", "name": f"web-{n}"}, "spec": spec}


def slices(n: int, endpoints: int, shift: int = 0) -> list[dict[str, Any]]:
    first = n * endpoints + shift
    items = [
        {"addresses": [f"10.{128 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}"], "nodeName": f"node-{i % 100}"}
        for i in range(first, first + endpoints)
    ]
    return [{"metadata": {}, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": items}]


def main(services: int, endpoints: int) -> None:
    ledger = Ledger()
    applier = Applier(Nftables(), IPV4, SETTINGS, ledger)
    start = time.perf_counter()
    for n in range(services):
        ledger.put(("default", f"web-{n}"), render_service(service(n), slices(n, endpoints), NODE, IPV4, SETTINGS))
    rendered = time.perf_counter()
    elements = applier.apply()
    written = time.perf_counter()
    print(f"full load  {services} services, {elements} elements: render {rendered - start:.2f} s, write {written - rendered:.2f} s")
    renders, writes = [], []
    for i in range(500):
        n = i * 7 % services
        start = time.perf_counter()
        ledger.put(("default", f"web-{n}"), render_service(service(n), slices(n, endpoints, i % 3), NODE, IPV4, SETTINGS))
        rendered = time.perf_counter()
        applier.apply()
        writes.append(time.perf_counter() - rendered)
        renders.append(rendered - start)
    print(f"change     render {_ms(renders)}, write {_ms(writes)}")


def _ms(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1e3:.2f} ms (99 % {ordered[len(ordered) * 99 // 100] * 1e3:.2f} ms)"


def enter_namespace() -> None:
    """Starts this program again in a network namespace of its own, so that it touches no rule of the machine's."""
    if os.environ.get(_INSIDE) is None:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, _INSIDE: "1"})


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: rules can be written by root only")
        sys.exit()
    enter_namespace()
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [10_000, 3][len(given) :]))
