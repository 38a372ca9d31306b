"""Usage of the node, its pods and containers: /stats/summary, /metrics/resource, /metrics/cadvisor. From CRI and /proc."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubetree.kubelet import machine
from kubetree.kubelet.cri.client import RuntimeClient
from kubetree.kubelet.runtime_state import CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """`cpu` in nanoseconds since the start, `rate` in nanocores, `memory` the working set in bytes; `at` nanoseconds since 1970."""

    at: int
    cpu: int
    rate: int
    memory: int


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    pod_uid: str
    pod: str
    namespace: str
    container: str
    usage: Usage
    rootfs_bytes: int
    rootfs_inodes: int


class Stats:
    """Keeps the last sample of each container, to tell rates from sums."""

    def __init__(self, client: RuntimeClient, node_name: str, root_dir: Path, pods: Callable[[], Sequence[Object]]) -> None:
        self._client, self._node_name, self._root_dir, self._pods = client, node_name, root_dir, pods
        self._last: dict[str, tuple[int, int]] = {}

    async def containers(self) -> list[ContainerUsage]:
        """Raises RuntimeFailure."""
        answer = await self._client.call("ListContainerStats")
        known = {"", *(entry.attributes.id for entry in answer.stats)}
        self._last = {key: sample for key, sample in self._last.items() if key in known}
        return [self._usage(entry) for entry in answer.stats if POD_UID in entry.attributes.labels]

    def _usage(self, entry: Any) -> ContainerUsage:
        labels = entry.attributes.labels
        at, cpu = entry.cpu.timestamp, entry.cpu.usage_core_nano_seconds.value
        rate = entry.cpu.usage_nano_cores.value or self._rate(entry.attributes.id, at, cpu)
        return ContainerUsage(
            labels[POD_UID],
            labels[POD_NAME],
            labels[POD_NAMESPACE],
            labels[CONTAINER_NAME],
            Usage(at, cpu, rate, entry.memory.working_set_bytes.value),
            entry.writable_layer.used_bytes.value,
            entry.writable_layer.inodes_used.value,
        )

    def _rate(self, key: str, at: int, cpu: int) -> int:
        before_at, before = self._last.get(key, (at, cpu))
        if at > before_at:
            self._last[key] = (at, cpu)
            return max(0, (cpu - before) * 1_000_000_000 // (at - before_at))
        self._last.setdefault(key, (at, cpu))
        return 0

    def node(self) -> Usage:
        now = time.time_ns()
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        busy = sum(ticks) - ticks[3] - ticks[4]
        cpu = busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Usage(now, cpu, self._rate("", now, cpu), max(0, total - machine.memory_available()))

    async def summary(self) -> Object:
        """The v1alpha1 Summary object."""
        used = await self.containers()
        by_pod: defaultdict[str, list[ContainerUsage]] = defaultdict(list)
        for entry in used:
            by_pod[entry.pod_uid].append(entry)
        node = self.node()
        total, available = machine.disk_usage(self._root_dir)
        file_system = {"time": _time(node.at), "availableBytes": available, "capacityBytes": total, "usedBytes": total - available}
        starts = {p["metadata"]["uid"]: (p.get("status") or {}).get("startTime") for p in self._pods()}
        return {
            "node": {
                "nodeName": self._node_name,
                "startTime": _time(_boot_time()),
                **_cpu_and_memory(node),
                "fs": file_system,
                "runtime": {"imageFs": file_system},
            },
            "pods": [_pod(entries, starts) for entries in by_pod.values()],
        }

    async def resource_metrics(self) -> str:
        """The lines that metrics-server reads."""
        used = await self.containers()
        node = self.node()
        lines = _family("node_cpu_usage_seconds_total", "counter", [({}, node.cpu / 1e9, node.at)])
        lines += _family("node_memory_working_set_bytes", "gauge", [({}, node.memory, node.at)])
        each = [({"container": c.container, "namespace": c.namespace, "pod": c.pod}, c.usage) for c in used]
        lines += _family("container_cpu_usage_seconds_total", "counter", [(who, u.cpu / 1e9, u.at) for who, u in each])
        lines += _family("container_memory_working_set_bytes", "gauge", [(who, u.memory, u.at) for who, u in each])
        sums: dict[tuple[str, str], Usage] = {}
        for entry in used:
            before = sums.get((entry.namespace, entry.pod), Usage(0, 0, 0, 0))
            sums[entry.namespace, entry.pod] = _plus(before, entry.usage)
        pods = [({"namespace": namespace, "pod": name}, usage) for (namespace, name), usage in sums.items()]
        lines += _family("pod_cpu_usage_seconds_total", "counter", [(who, u.cpu / 1e9, u.at) for who, u in pods])
        lines += _family("pod_memory_working_set_bytes", "gauge", [(who, u.memory, u.at) for who, u in pods])
        lines += _family("scrape_error", "gauge", [({}, 0, 0)]) + _family("resource_scrape_error", "gauge", [({}, 0, 0)])
        return "\n".join(lines) + "\n"

    async def cadvisor_metrics(self) -> str:
        used = await self.containers()
        each = [({"container": c.container, "namespace": c.namespace, "pod": c.pod}, c) for c in used]
        lines = _family("container_cpu_usage_seconds_total", "counter", [(w, c.usage.cpu / 1e9, c.usage.at) for w, c in each])
        lines += _family("container_memory_working_set_bytes", "gauge", [(w, c.usage.memory, c.usage.at) for w, c in each])
        lines += _family("container_fs_usage_bytes", "gauge", [(w, c.rootfs_bytes, c.usage.at) for w, c in each])
        lines += _family("machine_cpu_cores", "gauge", [({}, os.cpu_count() or 1, 0)])
        return "\n".join(lines) + "\n"


def _plus(a: Usage, b: Usage) -> Usage:
    return Usage(max(a.at, b.at), a.cpu + b.cpu, a.rate + b.rate, a.memory + b.memory)


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _boot_time() -> int:
    return time.time_ns() - int(float(Path("/proc/uptime").read_text().split()[0]) * 1e9)


def _cpu_and_memory(usage: Usage) -> Object:
    return {
        "cpu": {"time": _time(usage.at), "usageNanoCores": usage.rate, "usageCoreNanoSeconds": usage.cpu},
        "memory": {"time": _time(usage.at), "usageBytes": usage.memory, "workingSetBytes": usage.memory},
    }


def _pod(entries: Sequence[ContainerUsage], starts: Mapping[str, str | None]) -> Object:
    first = entries[0]
    total = Usage(0, 0, 0, 0)
    for entry in entries:
        total = _plus(total, entry.usage)
    start = starts.get(first.pod_uid)
    return {
        "podRef": {"name": first.pod, "namespace": first.namespace, "uid": first.pod_uid},
        "startTime": start,
        "containers": [
            {
                "name": e.container,
                "startTime": start,
                **_cpu_and_memory(e.usage),
                "rootfs": {"time": _time(e.usage.at), "usedBytes": e.rootfs_bytes, "inodesUsed": e.rootfs_inodes},
            }
            for e in entries
        ],
        **_cpu_and_memory(total),
    }


def _family(name: str, kind: str, samples: Iterable[tuple[Mapping[str, str], float, int]]) -> list[str]:
    lines = [f"# TYPE {name} {kind}"]
    for labels, value, at in samples:
        text = ",".join(f'{key}="{label}"' for key, label in labels.items())
        stamp = f" {at // 1_000_000}" if at else ""
        lines.append(f"{name}{{{text}}} {value:g}{stamp}" if text else f"{name} {value:g}{stamp}")
    return lines
