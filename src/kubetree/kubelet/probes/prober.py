"""Runs probes: one task for each probe of each container, and the results that the pod's status and life depend on.

Follows pkg/kubelet/prober: readiness starts as failed, liveness as passed, startup as unknown; thresholds count consecutive results;
nothing but the startup probe runs until that one has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubetree.kubelet import chores, specs
from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.lifecycle import ProbeResults
from kubetree.kubelet.probes import network
from kubetree.kubelet.probes.network import Outcome
from kubetree.kubelet.runtime_state import ContainerRecord

Object = dict[str, Any]
Report = Callable[[Object, Object, str, str, str], None]
"""`report(pod, container, type, reason, message)`."""

KINDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
TITLES = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}
RETRIES = 3
SETTLING = 1.0
"""Seconds after its start in which a container that does not answer yet is not blamed: readiness and startup probes are repeated
quickly and quietly, liveness probes wait. Upstream notices a start only after about as long."""
FIRST_EARLY = 0.05


@dataclass(slots=True)
class Target:
    """What a probe is aimed at now; the pod worker keeps it up to date."""

    pod: Object
    record: ContainerRecord | None = None
    pod_ip: str = ""
    terminating: bool = False


@dataclass(slots=True)
class _Probe:
    kind: str
    container: Object
    target: Target
    spec: Object
    task: asyncio.Task[None] | None = None
    container_id: str = ""
    on_hold: bool = False
    last: bool | None = None
    run_length: int = 0
    poke: asyncio.Event = field(default_factory=asyncio.Event)


class Prober:
    """`on_result(uid)` is called when a result changes."""

    def __init__(self, client: RuntimeClient, report: Report, on_result: Callable[[str], None]) -> None:
        self._client, self._report, self._on_result = client, report, on_result
        self._group: asyncio.TaskGroup | None = None
        self._probes: dict[tuple[str, str, str], _Probe] = {}
        self._targets: dict[tuple[str, str], Target] = {}
        self._results: dict[str, dict[str, bool]] = {kind: {} for kind in KINDS}
        self._started_at = time.time()
        self.counts: Counter[tuple[str, str, str, str, str, str]] = Counter()
        """How often a probe ended how: (kind, result, container, pod, namespace, pod UID)."""

    async def run(self) -> None:
        """Holds the probes' tasks until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for probe in self._probes.values():
                probe.task = self._group.create_task(self._follow(probe))
            await asyncio.get_running_loop().create_future()

    # -- what the pod worker tells and asks

    def follow(self, pod: Object, records: dict[str, ContainerRecord], pod_ip: str) -> None:
        """Probe the pod's containers: `records` are the newest instances by name. Called on every sync."""
        uid = specs.uid(pod)
        for container in (*specs.init_containers(pod), *specs.containers(pod)):
            wanted = [(kind, container[name]) for kind, name in KINDS.items() if container.get(name)]
            if not wanted:
                continue
            target = self._targets.setdefault((uid, container["name"]), Target(pod))
            changed = target.record != records.get(container["name"])
            target.pod, target.record, target.pod_ip = pod, records.get(container["name"]), pod_ip
            for kind, spec in wanted:
                key = (uid, container["name"], kind)
                probe = self._probes.get(key)
                if probe is None:
                    probe = self._probes[key] = _Probe(kind, container, target, spec)
                    if self._group is not None:
                        probe.task = self._group.create_task(self._follow(probe))
                elif changed:
                    probe.poke.set()

    def stop_liveness_and_startup(self, uid: str) -> None:
        """The pod is ending: failing probes must not disturb that. Readiness goes on, so that traffic stops when it should."""
        for key in [k for k in self._probes if k[0] == uid and k[2] != "readiness"]:
            self._cancel(key)

    def remove(self, uid: str) -> None:
        for key in [k for k in self._probes if k[0] == uid]:
            self._cancel(key)
        for entry in [k for k in self.counts if k[-1] == uid]:
            del self.counts[entry]
        for pair in [k for k in self._targets if k[0] == uid]:
            del self._targets[pair]

    def _cancel(self, key: tuple[str, str, str]) -> None:
        probe = self._probes.pop(key)
        for results in self._results.values():
            if key[2] == "readiness" or results is not self._results["readiness"]:
                results.pop(probe.container_id, None)
        if probe.task is not None:
            probe.task.cancel()

    @property
    def results(self) -> ProbeResults:
        return ProbeResults(self._results["liveness"], self._results["startup"])

    def started(self, record: ContainerRecord, container: Object) -> bool:
        return not container.get("startupProbe") or self._results["startup"].get(record.id) is True

    def ready(self, record: ContainerRecord, container: Object) -> bool:
        return not container.get("readinessProbe") or self._results["readiness"].get(record.id) is True

    def assume(self, record: ContainerRecord, *, started: bool, ready: bool) -> None:
        """Take over what the last kubelet knew of a container that was running before this one started."""
        if started:
            self._results["startup"].setdefault(record.id, True)
        if ready:
            self._results["readiness"].setdefault(record.id, True)

    # -- running

    async def _follow(self, probe: _Probe) -> None:
        period = float(probe.spec.get("periodSeconds") or 10)
        record = probe.target.record
        if record is not None and record.started_at / 1e9 < self._started_at:
            # Found running by a kubelet that has just started: not all of them at once.
            await asyncio.sleep(random.random() * min(period, 1.0))
        while True:
            await chores.attempt(f"{probe.kind} probe of {specs.full_name(probe.target.pod)}", lambda: self._round(probe))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(period):
                    await probe.poke.wait()
            probe.poke.clear()

    async def _round(self, probe: _Probe) -> None:
        if not await self._settle(probe):
            await self._once(probe)

    async def _settle(self, probe: _Probe) -> bool:
        """The first second of a container. True when the probe has succeeded in it, so that the next one is due after a period."""
        delay = FIRST_EARLY
        while (record := self._settling(probe)) is not None:
            remaining = record.started_at / 1e9 + SETTLING - time.time()
            if probe.kind != "liveness":
                outcome = await self._quietly(probe)
                if outcome is not None and outcome.ok and self._settling(probe) is not None:
                    self._count(probe, True)
                    return True
            await asyncio.sleep(max(0.0, min(delay if probe.kind != "liveness" else remaining, remaining)))
            delay *= 2
        return False

    def _settling(self, probe: _Probe) -> ContainerRecord | None:
        """The probe's container while it is in its first second and the probe is due."""
        self._adopt(probe)
        record = probe.target.record
        if record is None or probe.on_hold or record.state.value != "running" or probe.spec.get("initialDelaySeconds"):
            return None
        if probe.kind != "liveness" and self.started(record, probe.container) == (probe.kind == "startup"):
            return None
        return record if time.time() - record.started_at / 1e9 < SETTLING else None

    async def _quietly(self, probe: _Probe) -> Outcome | None:
        try:
            return await self._attempt(probe)
        except (RuntimeFailure, ValueError):
            return None

    def _adopt(self, probe: _Probe) -> None:
        """Begin anew when the container is another one."""
        record = probe.target.record
        if record is None or record.id == probe.container_id:
            return
        self._results[probe.kind].pop(probe.container_id, None)
        probe.container_id, probe.on_hold, probe.last, probe.run_length = record.id, False, None, 0
        if probe.kind == "readiness":
            self._results["readiness"].setdefault(record.id, False)

    async def _once(self, probe: _Probe) -> None:
        self._adopt(probe)
        record = probe.target.record
        if record is None or probe.on_hold:
            return
        if record.state.value != "running":
            if probe.kind == "readiness":
                self._set(probe, False)
            return
        if time.time() - record.started_at / 1e9 < (probe.spec.get("initialDelaySeconds") or 0):
            await self._until_delay_passes(probe, record)
            return
        started = self.started(record, probe.container)
        if started == (probe.kind == "startup"):
            return
        outcome = await self._run(probe)
        if outcome is not None and probe.target.record is not None and probe.target.record.id == record.id:
            self._count(probe, outcome.ok)

    async def _until_delay_passes(self, probe: _Probe, record: ContainerRecord) -> None:
        remaining = record.started_at / 1e9 + probe.spec["initialDelaySeconds"] - time.time()
        period = float(probe.spec.get("periodSeconds") or 10)
        if 0 < remaining < period:
            await asyncio.sleep(remaining)
            probe.poke.set()

    def _count(self, probe: _Probe, ok: bool) -> None:
        probe.run_length = probe.run_length + 1 if probe.last == ok else 1
        probe.last = ok
        threshold = probe.spec.get("successThreshold" if ok else "failureThreshold") or (1 if ok else 3)
        if probe.run_length < threshold:
            return
        self._set(probe, ok)
        if probe.kind == "startup" or (probe.kind == "liveness" and not ok):
            probe.on_hold, probe.run_length = True, 0

    def _set(self, probe: _Probe, ok: bool) -> None:
        results = self._results[probe.kind]
        before = results.get(probe.container_id)
        results[probe.container_id] = ok
        if before != ok:
            uid = specs.uid(probe.target.pod)
            self._on_result(uid)
            if probe.kind == "startup" and ok:
                for key, other in self._probes.items():
                    if key[0] == uid and other.container is probe.container:
                        other.poke.set()

    async def _run(self, probe: _Probe) -> Outcome | None:
        """One probe with upstream's retries for those that could not be carried out; None when none could."""
        title = TITLES[probe.kind]
        error: Exception | None = None
        for _ in range(RETRIES):
            try:
                outcome = await self._attempt(probe)
            except (RuntimeFailure, ValueError) as failure:
                error = failure
                continue
            self._tally(probe, "successful" if outcome.ok else "failed")
            if not outcome.ok:
                self._report(probe.target.pod, probe.container, "Warning", "Unhealthy", f"{title} probe failed: {outcome.output}")
            elif outcome.warning:
                self._report(probe.target.pod, probe.container, "Warning", "ProbeWarning", f"{title} probe warning: {outcome.output}")
            return outcome
        self._tally(probe, "unknown")
        text = f"{title} probe errored and resulted in unknown state: {error}"
        self._report(probe.target.pod, probe.container, "Warning", "Unhealthy", text)
        return None

    def _tally(self, probe: _Probe, result: str) -> None:
        metadata = probe.target.pod["metadata"]
        self.counts[TITLES[probe.kind], result, probe.container["name"], metadata["name"], metadata["namespace"], metadata["uid"]] += 1

    async def _attempt(self, probe: _Probe) -> Outcome:
        spec, container, host = probe.spec, probe.container, probe.target.pod_ip
        timeout = float(spec.get("timeoutSeconds") or 1)
        if spec.get("exec"):
            return await self._exec(probe.container_id, spec["exec"].get("command") or [], timeout)
        if action := spec.get("httpGet"):
            return await network.http(network.http_url(action, container, host), action.get("httpHeaders") or [], timeout)
        if action := spec.get("tcpSocket"):
            return await network.tcp(action.get("host") or host, network.resolve_port(action["port"], container), timeout)
        if action := spec.get("grpc"):
            return await network.grpc_health(host, action["port"], action.get("service") or "", timeout)
        raise ValueError(f"missing probe handler for {specs.full_name(probe.target.pod)}:{container['name']}")

    async def _exec(self, container_id: str, command: list[str], timeout: float) -> Outcome:
        try:
            answer = await self._client.call(
                "ExecSync", rpc_timeout=timeout + 30, container_id=container_id, cmd=command, timeout=int(timeout)
            )
        except RuntimeFailure as error:
            if error.code == "DEADLINE_EXCEEDED":
                return Outcome(False, f"command timed out: {error} ({' '.join(command)!r} timed out after {timeout:g}s)")
            raise
        output = (answer.stdout + answer.stderr)[: network.MAX_BODY].decode(errors="replace")
        return Outcome(answer.exit_code == 0, output)
