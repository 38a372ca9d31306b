"""What the runtime has, pod by pod: lists it, notices changes, and turns it into records.

Changes are found by comparing lists: each second, and at once when the runtime's event stream says that something ended. A pod's
details are then asked for by its own worker; records of dead containers never change and are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.cri.messages import ContainerState, SandboxState
from kubetree.kubelet.runtime_state import (
    POD_UID,
    TERMINATION_PATH,
    TERMINATION_POLICY,
    ContainerRecord,
    PodRuntime,
    SandboxRecord,
    State,
    container_record,
    newest_first,
    sandbox_record,
)
from kubetree.kubelet.server.log_files import tail_text

MESSAGE_LIMIT = 4096
FALLBACK_LINES, FALLBACK_BYTES = 80, 2048
RELIST, RELIST_WITH_EVENTS = 1.0, 5.0
RELIST_AFTER_EVENT, ECHO = 0.25, 1.5
"""The runtime may tell of an exit before its own lists show it: for a while after an event they are read more often."""
SETTLE = 0.05
"""Seconds between an event and the list: what ends together, as containers with their sandbox do, is then seen together."""

Fingerprint = frozenset[tuple[str, int]]


class Runtime:
    """`on_change(uid)` is called for each pod whose sandboxes or containers changed since the last list."""

    def __init__(self, client: RuntimeClient, on_change: Callable[[str], None]) -> None:
        self.client = client
        self._on_change = on_change
        self._fingerprints: dict[str, Fingerprint] = {}
        self._records: dict[str, ContainerRecord] = {}
        self._sandboxes: dict[str, SandboxRecord] = {}
        self._poke = asyncio.Event()
        self._streaming = False
        self.healthy_at: float | None = None
        """Loop time of the last list that succeeded."""
        self.failure = ""

    # -- noticing changes

    async def run(self) -> None:
        """Follow the runtime until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_events())
            group.create_task(self._follow_lists())

    async def _follow_events(self) -> None:
        while True:
            try:
                self._streaming = True
                async for _ in self.client.container_events():
                    self._poke.set()
                self._streaming = False
                return
            except RuntimeFailure:
                self._streaming = False
                await asyncio.sleep(1)

    async def _follow_lists(self) -> None:
        clock = asyncio.get_running_loop().time
        told_at = 0.0
        while True:
            try:
                await self.relist()
            except RuntimeFailure as error:
                self.failure = str(error)
            wait = RELIST_WITH_EVENTS if self._streaming and not self.failure else RELIST
            if clock() - told_at < ECHO:
                wait = RELIST_AFTER_EVENT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._poke.wait()
                told_at = clock()
                await asyncio.sleep(SETTLE)
            self._poke.clear()

    async def relist(self) -> None:
        """List everything once and report what changed. Raises RuntimeFailure."""
        sandboxes, containers = await asyncio.gather(
            self.client.call("ListPodSandbox", rpc_timeout=10), self.client.call("ListContainers", rpc_timeout=10)
        )
        self.healthy_at, self.failure = asyncio.get_running_loop().time(), ""
        seen: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
        for item in (*sandboxes.items, *containers.containers):
            seen[item.labels[POD_UID]].add((item.id, item.state))
        fresh = {uid: frozenset(states) for uid, states in seen.items()}
        changed = [uid for uid in fresh.keys() | self._fingerprints.keys() if fresh.get(uid) != self._fingerprints.get(uid)]
        self._fingerprints = fresh
        alive = {container.id for container in containers.containers}
        for cache in (self._records, self._sandboxes):
            for gone in [key for key in cache if key not in alive and key not in {s.id for s in sandboxes.items}]:
                del cache[gone]
        for uid in changed:
            self._on_change(uid)

    @property
    def pod_uids(self) -> set[str]:
        """Pods of which the runtime has anything."""
        return set(self._fingerprints)

    def running(self) -> list[ContainerRecord]:
        """Running containers as they were last observed."""
        return [record for record in self._records.values() if record.state is State.RUNNING]

    # -- one pod

    async def observe(self, uid: str) -> PodRuntime:
        """Everything the runtime knows of a pod. Raises RuntimeFailure."""
        label = {"label_selector": {POD_UID: uid}}
        sandboxes, containers = await asyncio.gather(
            self.client.call("ListPodSandbox", filter=label), self.client.call("ListContainers", filter=label)
        )
        states = {item.id: item.state for item in (*sandboxes.items, *containers.containers)}
        self._fingerprints[uid] = frozenset(states.items())
        records = await asyncio.gather(*(self._container(c) for c in containers.containers))
        rooms = await asyncio.gather(*(self._sandbox(s) for s in sandboxes.items))
        if not states:
            self._fingerprints.pop(uid, None)
        return newest_first([s for s in rooms if s], [r for r in records if r])

    async def _sandbox(self, listed: Any) -> SandboxRecord | None:
        known = self._sandboxes.get(listed.id)
        if known and known.ready == (listed.state == SandboxState.READY):
            return known
        try:
            answer = await self.client.call("PodSandboxStatus", pod_sandbox_id=listed.id)
        except RuntimeFailure as error:
            if error.not_found:
                return None
            raise
        record = sandbox_record(answer.status)
        if record.ips or record.host_network:
            self._sandboxes[listed.id] = record
        return record

    async def _container(self, listed: Any) -> ContainerRecord | None:
        known = self._records.get(listed.id)
        if known and known.state is _LISTED[listed.state]:
            return known
        try:
            status = (await self.client.call("ContainerStatus", container_id=listed.id)).status
        except RuntimeFailure as error:
            if error.not_found:
                return None
            raise
        record = container_record(status, listed.pod_sandbox_id)
        if record.state is State.EXITED:
            record = _with_message(record, status)
        if record.state in (State.EXITED, State.RUNNING):
            self._records[listed.id] = record
        return record


_LISTED = {
    ContainerState.CREATED: State.CREATED,
    ContainerState.RUNNING: State.RUNNING,
    ContainerState.EXITED: State.EXITED,
    ContainerState.UNKNOWN: State.UNKNOWN,
}


def _with_message(record: ContainerRecord, status: Any) -> ContainerRecord:
    """With the container's own last words: its termination message file, or the end of its log where the policy says so."""
    path = status.annotations.get(TERMINATION_PATH, "")
    policy = status.annotations.get(TERMINATION_POLICY, "")
    file = next((m.host_path for m in status.mounts if path and m.container_path == path), "")
    text = ""
    if file:
        try:
            text = Path(file).read_bytes()[:MESSAGE_LIMIT].decode(errors="replace")
        except OSError as error:
            text = f"Error on reading termination log {file}: {error}"
    if not text and policy == "FallbackToLogsOnError" and record.exit_code:
        text = tail_text(Path(record.log_path), FALLBACK_LINES, FALLBACK_BYTES)
    words = [part for part in (record.message, text) if part]
    return replace(record, message=": ".join(words))
