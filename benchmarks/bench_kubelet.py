"""How long a kubelet takes to start pods over real containerd, and what it costs: as root, `PYTHONPATH=src:tests python benchmarks/bench_kubelet.py [pods]`.

Static pods with an image that is present, one after the other and then all at once; from the manifest, which is looked for each
100 ms, to running containers.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from kubelet_machine import Machine, pod, until
from kubetree.kubelet.cri.client import RuntimeClient

ONE_BY_ONE = 5


def cpu_seconds(pid: int) -> float:
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15])) / 100


async def running(machine: Machine) -> int:
    async with RuntimeClient(str(machine.config.socket)) as runtime:
        return sum(container.state == 1 for container in (await runtime.call("ListContainers")).containers)


async def main(count: int) -> None:
    machine = Machine(Path(tempfile.mkdtemp(prefix="kubetree-bench-")), 8)
    try:
        await machine.start()
        machine.start_kubelet("--file-check-frequency=100ms")
        await asyncio.sleep(2)
        assert machine.kubelet is not None
        pid, times = machine.kubelet.pid, []
        for number in range(ONE_BY_ONE):
            started = time.perf_counter()
            machine.write_pod(pod(f"one-{number}", "sleep 1000", terminationGracePeriodSeconds=0))
            await until(lambda name=f"one-{number}": machine.running(name), "it runs")
            times.append(time.perf_counter() - started)
        print(f"one pod: median {statistics.median(times) * 1000:.0f} ms")
        started, used = time.perf_counter(), cpu_seconds(pid)
        for number in range(count):
            machine.write_pod(pod(f"many-{number}", "sleep 1000", terminationGracePeriodSeconds=0))
        while await running(machine) < count + ONE_BY_ONE:
            await asyncio.sleep(0.05)
        spent = (cpu_seconds(pid) - used) * 1000 / count
        print(f"{count} pods at once: {time.perf_counter() - started:.2f} s, {spent:.0f} ms of the kubelet's CPU each")
        used = cpu_seconds(pid)
        await asyncio.sleep(10)
        print(f"idle with {count + ONE_BY_ONE} pods: {(cpu_seconds(pid) - used) * 10:.1f} % of a core")
    finally:
        await machine.remove()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
