"""Watches what pods use and evicts: for memory when the node has too little left, for disk when a pod has more than its limit."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from kubetree.kubelet import cri_config, eviction, machine, specs
from kubetree.kubelet.context import NodeContext
from kubetree.kubelet.eviction import PodUsage
from kubetree.kubelet.node_status import EVICTION_MEMORY
from kubetree.kubelet.pods import Pods
from kubetree.kubelet.server.stats import Stats

Object = dict[str, Any]
PERIOD = 10.0

log = logging.getLogger("kubetree.kubelet")


class Pressure:
    def __init__(self, context: NodeContext, pods: Pods, stats: Stats) -> None:
        self._context, self._pods, self._stats = context, pods, stats

    async def look(self) -> None:
        """One round. Raises RuntimeFailure."""
        active = self._pods.active()
        short = machine.memory_available() < EVICTION_MEMORY
        limited = [pod for pod in active if _has_disk_limit(pod)]
        if not short and not limited:
            return
        usages = await self._usages(limited)
        for pod in limited:
            if message := eviction.over_limits(pod, usages[specs.uid(pod)]):
                self._evict(pod, message)
        if short and (ranked := eviction.rank_for_memory(active, usages)):
            victim = ranked[0]
            message = eviction.memory_message(victim, usages.get(specs.uid(victim)), EVICTION_MEMORY, machine.memory_available())
            self._evict(victim, message)

    def _evict(self, pod: Object, message: str) -> None:
        self._context.events.pod_event(pod, "Warning", eviction.REASON, message)
        self._pods.evict(specs.uid(pod), eviction.REASON, message)

    async def _usages(self, limited: list[Object]) -> dict[str, PodUsage]:
        memory: defaultdict[str, dict[str, int]] = defaultdict(dict)
        disk: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for entry in await self._stats.containers():
            memory[entry.pod_uid][entry.container] = entry.usage.memory
            disk[entry.pod_uid][entry.container] = entry.rootfs_bytes
        volumes: dict[str, dict[str, int]] = {}
        for pod in limited:
            uid = specs.uid(pod)
            volumes[uid] = await asyncio.to_thread(self._volume_usage, pod)
            logs = await asyncio.to_thread(self._log_usage, pod)
            for name, size in logs.items():
                disk[uid][name] = disk[uid].get(name, 0) + size
        return {uid: PodUsage(memory[uid], disk[uid], volumes.get(uid, {})) for uid in memory.keys() | volumes.keys()}

    def _volume_usage(self, pod: Object) -> dict[str, int]:
        base = self._context.volumes.pod_directory(specs.uid(pod)) / "volumes" / "kubernetes.io~empty-dir"
        return {v["name"]: disk_usage(base / v["name"]) for v in pod["spec"].get("volumes") or () if "emptyDir" in v}

    def _log_usage(self, pod: Object) -> dict[str, int]:
        base = Path(cri_config.pod_log_directory(str(self._context.config.pod_log_dir), pod))
        return {c["name"]: disk_usage(base / c["name"]) for c in specs.containers(pod)}


def _has_disk_limit(pod: Object) -> bool:
    volumes = any((v.get("emptyDir") or {}).get("sizeLimit") for v in pod["spec"].get("volumes") or ())
    return volumes or any("ephemeral-storage" in ((c.get("resources") or {}).get("limits") or {}) for c in specs.containers(pod))


def disk_usage(directory: Path) -> int:
    """Bytes on disk below a directory; what vanishes meanwhile counts for nothing."""
    total = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                total += state.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    total += disk_usage(Path(entry.path))
    except (FileNotFoundError, NotADirectoryError):
        return total
    return total
