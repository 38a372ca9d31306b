"""The driver of one pod: observes the runtime, asks the lifecycle what to do, does it, and publishes the status.

One task a pod. The pure parts (lifecycle.py, status.py) decide; here is only the doing and the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from kubetree.kubelet import cri_config, dns, lifecycle, resources, specs, status
from kubetree.kubelet.containers import Containers, StartFailure
from kubetree.kubelet.context import NodeContext
from kubetree.kubelet.cri.client import RuntimeFailure
from kubetree.kubelet.environment import ConfigError
from kubetree.kubelet.lifecycle import Cause, Kill, Plan, Role, Stage, Start
from kubetree.kubelet.pod_ending import RUNTIME_RETRY, remove_container, remove_remains, stop_pod
from kubetree.kubelet.pod_resizing import PodResizing
from kubetree.kubelet.runtime_state import PodRuntime, State
from kubetree.kubelet.status import Inputs, Waiting
from kubetree.kubelet.volumes.plugin import Volume, VolumeError

Object = dict[str, Any]
T = TypeVar("T")

log = logging.getLogger("kubetree.kubelet")

RESYNC = 60.0
"""Seconds between looks at a pod of which nothing is heard: its volumes may follow the API."""
RETRY = 10.0
SOON = 0.05
FIRST_MOUNT_RETRY, LAST_MOUNT_RETRY = 0.5, 122.0


class Interrupted(Exception):
    """The pod is to end: what was being waited for is given up."""


class PodWorker:
    """`pod` is replaced by `update`; `end` starts the pod's termination; `forget` lets the worker clean up and return."""

    def __init__(self, context: NodeContext, pod: Object) -> None:
        self._context, self._wanted = context, pod
        self._resizing = PodResizing(context, pod)
        self.pod = self._resizing.allocated(pod)
        """The pod with the resources that it has been allocated, which may lag behind those it wants."""
        self._containers = Containers(context)
        self.stage = Stage.SYNC
        self._wake = asyncio.Event()
        self._interrupt = asyncio.Event()
        self._forgotten = asyncio.Event()
        self._waiting: dict[str, Waiting] = {}
        self._retry_at: dict[str, float] = {}
        self._mount_delay = FIRST_MOUNT_RETRY
        self._verdict: Object = {}
        """Phase, reason and message forced by an eviction or a passed deadline."""
        self._grace: int | None = None
        self._took_over = False

    @property
    def uid(self) -> str:
        return specs.uid(self.pod)

    @property
    def forgotten(self) -> bool:
        return self._forgotten.is_set()

    # -- told from outside

    def update(self, pod: Object) -> None:
        before = self._wanted
        self._wanted, self.pod = pod, self._resizing.allocated(pod)
        if pod["metadata"].get("deletionTimestamp"):
            self._begin_end(Cause.DELETED, pod["metadata"].get("deletionGracePeriodSeconds"))
            if self.stage is Stage.FINISHED and before is not pod:
                self._context.publisher.finished(pod)
        elif specs.is_terminal(pod.get("status") or {}) and self.stage is Stage.SYNC:
            self._begin_end(Cause.COMPLETED, None)
        self._wake.set()

    def end(self, grace: int | None = None) -> None:
        """The pod is no longer wanted here: its manifest or its API object is gone."""
        self._begin_end(Cause.DELETED, grace)

    def evict(self, reason: str, message: str, grace: int | None = None) -> None:
        if self.stage is Stage.SYNC:
            self._verdict = {"phase": "Failed", "reason": reason, "message": message}
            self._begin_end(Cause.EVICTED, grace)

    def forget(self) -> None:
        """The pod's object is gone: end it if it runs, then remove what the runtime keeps of it and return."""
        self._forgotten.set()
        if self.stage is Stage.SYNC:
            self.end()
        self._wake.set()

    def poke(self) -> None:
        """Look again soon: the runtime or a probe says that something changed."""
        self._wake.set()

    def _begin_end(self, cause: Cause, grace: int | None) -> None:
        shorter = grace is not None and (self._grace is None or grace < self._grace)
        if shorter:
            self._grace = grace
        if self.stage is Stage.SYNC or (self.stage is Stage.TERMINATING and shorter):
            self._interrupt.set()
        if self.stage is Stage.SYNC:
            self.stage = lifecycle.advance(self.stage, cause)
        self._wake.set()

    # -- the loop

    async def run(self) -> None:
        """Until the pod is forgotten and nothing of it is left."""
        while not (self.stage is Stage.FINISHED and self._forgotten.is_set()):
            self._wake.clear()
            self._interrupt.clear()
            delay = await self._step()
            if delay is not None and delay <= 0:
                continue
            if self.stage is Stage.FINISHED and self._forgotten.is_set():
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
        await remove_remains(self._context, self.pod)

    async def _step(self) -> float | None:
        """One round; answers after how many seconds the next one is due, None for only when woken."""
        steps = {Stage.SYNC: self._sync, Stage.TERMINATING: self._terminate, Stage.TERMINATED: self._clean, Stage.FINISHED: self._rest}
        try:
            return await steps[self.stage]()
        except Interrupted:
            return 0
        except RuntimeFailure as error:
            log.warning("pod %s: %s: %s", specs.full_name(self.pod), error.method, error)
            return RUNTIME_RETRY
        except OSError as error:
            log.warning("pod %s: %s", specs.full_name(self.pod), error)
            return RETRY
        except Exception:
            # A defect met by one pod must not end the others: it is shown whole, and the pod is tried again.
            log.exception("pod %s", specs.full_name(self.pod))
            return RETRY

    async def _unless_interrupted(self, work: Awaitable[T]) -> T:
        """Wait for `work`, but give it up when the pod is to end. Raises Interrupted."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._interrupt.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Interrupted
            return task.result()
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    # -- status

    def _inputs(self, terminal: bool) -> Inputs:
        previous = self._context.publisher.latest(self.uid) or self.pod.get("status") or {}
        return Inputs(
            now=self._context.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            previous=previous,
            waiting=self._waiting,
            started=self._context.prober.started,
            ready=self._context.prober.ready,
            host_ips=self._context.facts.host_ips,
            terminal=terminal,
            actuated=self._resizing.actuated,
            resize=self._resizing.conditions,
        )

    def _publish(self, runtime: PodRuntime, *, terminal: bool = False) -> Object:
        self._take_over(runtime)
        made = status.pod_status(self.pod, runtime, self._inputs(terminal))
        if self._verdict:
            made |= self._verdict
        self._context.publisher.publish(self.pod, made)
        return made

    def _take_over(self, runtime: PodRuntime) -> None:
        """Once, after a restart of the kubelet: containers that were started and ready stay so until a probe says otherwise."""
        if self._took_over:
            return
        self._took_over = True
        known = self.pod.get("status") or {}
        for entry in (*(known.get("containerStatuses") or ()), *(known.get("initContainerStatuses") or ())):
            record = runtime.latest(entry["name"])
            if record is not None and entry.get("containerID", "").endswith(record.id) and record.state is State.RUNNING:
                self._context.prober.assume(record, started=bool(entry.get("started")), ready=bool(entry.get("ready")))

    # -- in line with the spec

    async def _sync(self) -> float | None:
        context = self._context
        runtime = await context.runtime.observe(self.uid)
        self._resizing.note(self.pod, runtime)
        self.pod = self._resizing.allocate(self._wanted)
        made = self._publish(runtime)
        if specs.is_terminal(made):
            self.stage = lifecycle.advance(self.stage, Cause.COMPLETED)
            return 0
        if self._past_deadline(made):
            return 0
        self._follow_probes(runtime)
        if steps := self._resizing.steps(self.pod, runtime):
            await self._resizing.carry_out(self.pod, steps, runtime, lambda kills: self._kill(kills, runtime))
            runtime = await context.runtime.observe(self.uid)
        if self._resizing.complete(self.pod):
            self._publish(runtime)
        plan = lifecycle.decide(self.pod, runtime, context.prober.results)
        if (failure := context.network_failure()) and not specs.is_host_network(self.pod) and plan.create_sandbox:
            self._event("Warning", "NetworkNotReady", f"network is not ready: {failure}")
            return RUNTIME_RETRY
        if plan.start and context.services() is None and not specs.is_static(self.pod):
            # Variables tell of services; these are read within moments of the kubelet's start.
            return SOON
        await asyncio.to_thread(self._make_directories_and_cgroup)
        try:
            volumes = await self._unless_interrupted(context.volumes.set_up(self.pod))
        except VolumeError as error:
            return self._mount_failed(error)
        self._mount_delay = FIRST_MOUNT_RETRY
        context.objects.follow(self.pod)
        if await self._carry_out(plan, runtime, volumes):
            after = await context.runtime.observe(self.uid)
            self._follow_probes(after)
            self._publish(after)
        return self._next_look(made)

    def _mount_failed(self, error: VolumeError) -> float:
        message, name = error.args[0], error.args[1] if len(error.args) > 1 else ""
        self._event("Warning", "FailedMount", f'MountVolume.SetUp failed for volume "{name}" : {message}')
        delay = self._mount_delay
        self._mount_delay = min(delay * 2, LAST_MOUNT_RETRY)
        # What is missing wakes the pod the moment it comes.
        self._context.objects.follow(self.pod)
        return delay

    def _next_look(self, made: Object) -> float:
        now = self._context.now().timestamp()
        due = [max(0.05, at - now) for at in self._retry_at.values()]
        if self._resizing.conditions:
            due.append(RETRY)
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None and made.get("startTime"):
            due.append(max(0.05, _timestamp(made["startTime"]) + deadline - now))
        return min([RESYNC * (1 + random.random() * 0.5), *due])

    def _past_deadline(self, made: Object) -> bool:
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is None or self._context.now().timestamp() < _timestamp(made["startTime"]) + deadline:
            return False
        message = "Pod was active on the node longer than the specified deadline"
        self._event("Normal", "DeadlineExceeded", message)
        self.evict("DeadlineExceeded", message)
        return True

    def _make_directories_and_cgroup(self) -> None:
        context = self._context
        directory = context.volumes.pod_directory(self.uid)
        for path in (directory / "volumes", directory / "plugins"):
            path.mkdir(parents=True, exist_ok=True)
        name = resources.pod_cgroup(context.config.cgroup_root, self.pod)
        if not context.cgroups.exists(name):
            context.cgroups.ensure(name, resources.pod_limits(self.pod))

    def _follow_probes(self, runtime: PodRuntime) -> None:
        records = {c["name"]: record for c in specs.every_container(self.pod) if (record := runtime.latest(c["name"]))}
        self._context.prober.follow(self.pod, records, next(iter(self._pod_ips(runtime)), ""))

    def _pod_ips(self, runtime: PodRuntime) -> tuple[str, ...]:
        return self._context.facts.host_ips if specs.is_host_network(self.pod) else runtime.ips

    async def _carry_out(self, plan: Plan, runtime: PodRuntime, volumes: dict[str, Volume]) -> bool:
        """Answers whether the runtime's state may have changed."""
        self._retry_at.clear()
        if plan.kill_pod:
            await stop_pod(self._context, self._containers, self.pod, runtime, None)
            if not plan.create_sandbox:
                return True
        elif plan.kill:
            await self._kill(plan.kill, runtime)
        if not plan.create_sandbox and not plan.start:
            return bool(plan.kill or plan.kill_pod)
        config = await self._sandbox_config(plan.attempt)
        if config is None:
            return True
        if plan.create_sandbox:
            sandbox_id = await self._create_sandbox(config, runtime)
            if sandbox_id is None:
                self._retry_at[""] = self._context.now().timestamp() + RETRY
                return True
            await self._remove_old_sandboxes(runtime)
            runtime = await self._context.runtime.observe(self.uid)
            self._publish(runtime)
        elif runtime.ready_sandbox is not None:
            sandbox_id = runtime.ready_sandbox.id
        else:
            return True
        await self._start_all(plan.start, runtime, sandbox_id, config, volumes)
        return True

    async def _sandbox_config(self, attempt: int) -> Object | None:
        context = self._context
        resolver, warnings = dns.pod_resolver(self.pod, context.dns)
        for reason, message in warnings:
            self._event("Warning", reason, message)
        try:
            return cri_config.sandbox_config(
                self.pod,
                attempt=attempt,
                log_root=str(context.config.pod_log_dir),
                resolver=resolver,
                cluster_domain=context.dns.cluster_domain,
                cgroup_root=context.config.cgroup_root,
            )
        except ConfigError as error:
            self._event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            self._retry_at[""] = context.now().timestamp() + RETRY
            return None

    async def _create_sandbox(self, config: Object, runtime: PodRuntime) -> str | None:
        if runtime.sandboxes and runtime.containers:
            self._event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        Path(config["log_directory"]).mkdir(parents=True, exist_ok=True)
        name = self.pod["spec"].get("runtimeClassName")
        try:
            handler = await self._context.objects.runtime_handler(name) if name else ""
            answer = await self._context.runtime.client.call("RunPodSandbox", rpc_timeout=240, config=config, runtime_handler=handler)
        except (RuntimeFailure, VolumeError) as error:
            if self.stage is Stage.SYNC:
                self._event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            return None
        return str(answer.pod_sandbox_id)

    async def _remove_old_sandboxes(self, runtime: PodRuntime) -> None:
        """Sandboxes of earlier attempts go once no container of theirs is kept for its log."""
        holding = {record.sandbox_id for record in runtime.containers}
        for sandbox in runtime.sandboxes:
            if not sandbox.ready and sandbox.id not in holding:
                await self._context.runtime.client.call("RemovePodSandbox", pod_sandbox_id=sandbox.id)

    async def _start_all(
        self, starts: tuple[Start, ...], runtime: PodRuntime, sandbox_id: str, config: Object, volumes: dict[str, Volume]
    ) -> None:
        secrets = await self._pull_secrets()
        for start in starts:
            container = specs.find_container(self.pod, start.container)
            if container is None or self.stage is not Stage.SYNC:
                return
            if await self._start(container, runtime, sandbox_id, config, volumes, secrets):
                continue
            if start.role is Role.INIT and not specs.is_sidecar(container):
                return

    async def _start(
        self,
        container: Object,
        runtime: PodRuntime,
        sandbox_id: str,
        config: Object,
        volumes: dict[str, Volume],
        secrets: list[Object],
    ) -> bool:
        name = container["name"]
        if self._backs_off(container, runtime):
            return False
        work = self._containers.start(self.pod, container, sandbox_id, config, runtime, volumes, secrets, self._pod_ips(runtime))
        try:
            await self._unless_interrupted(work)
        except StartFailure as error:
            self._waiting[name] = Waiting(error.reason, error.message)
            later = error.retry_at or self._context.now().timestamp() + RETRY
            self._retry_at[name] = later
            return False
        self._waiting.pop(name, None)
        await self._prune(name, runtime)
        return True

    def _backs_off(self, container: Object, runtime: PodRuntime) -> bool:
        """Whether a container that keeps ending must still wait; if not, its next delay is noted."""
        name = container["name"]
        ended = next((r for r in runtime.instances(name) if r.state is State.EXITED), None)
        if ended is None:
            return False
        backoff, key, now = (
            self._context.restart_backoff,
            f"{self.uid}/{name}/{specs.container_hash(container)}",
            self._context.now().timestamp(),
        )
        finished = ended.finished_at / 1e9
        if remaining := backoff.remaining(key, finished, now):
            pod_name = specs.full_name(self.pod)
            self._event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {pod_name}", name)
            delay = _go_duration(backoff.delay(key))
            self._waiting[name] = Waiting("CrashLoopBackOff", f"back-off {delay} restarting failed container={name} pod={pod_name}")
            self._retry_at[name] = now + remaining
            return True
        backoff.next(key, finished, now)
        return False

    async def _prune(self, name: str, runtime: PodRuntime) -> None:
        """Keep one dead instance of a container beside the new one."""
        for record in runtime.instances(name)[1:]:
            if record.state is not State.RUNNING:
                await remove_container(self._context, record.id)

    async def _pull_secrets(self) -> list[Object]:
        names = [entry["name"] for entry in self.pod["spec"].get("imagePullSecrets") or () if entry.get("name")]
        namespace = self.pod["metadata"]["namespace"]
        found: list[Object] = []
        for name in names:
            try:
                secret = await self._context.objects.secret(namespace, name)
            except VolumeError:
                secret = None
            if secret is not None:
                found.append(secret)
            else:
                self._event(
                    "Warning",
                    "FailedToRetrieveImagePullSecret",
                    f"Unable to retrieve some image pull secrets ({name}); attempting to pull the image may not succeed.",
                )
        return found

    # -- ending

    async def _kill(self, kills: tuple[Kill, ...], runtime: PodRuntime) -> None:
        records = {record.id: record for record in runtime.containers}
        async with asyncio.TaskGroup() as group:
            for kill in kills:
                group.create_task(self._containers.stop(self.pod, records[kill.id], kill.message, kill.reason))

    async def _terminate(self) -> float | None:
        context = self._context
        runtime = await context.runtime.observe(self.uid)
        self._publish(runtime)
        context.prober.stop_liveness_and_startup(self.uid)
        await self._unless_interrupted(stop_pod(context, self._containers, self.pod, runtime, self._grace))
        context.prober.remove(self.uid)
        runtime = await context.runtime.observe(self.uid)
        if runtime.running:
            return RUNTIME_RETRY
        self._publish(runtime, terminal=True)
        self.stage = lifecycle.advance(self.stage, Cause.STOPPED)
        return 0

    async def _clean(self) -> float | None:
        context = self._context
        await context.volumes.tear_down(self.uid)
        await asyncio.to_thread(context.cgroups.remove, resources.pod_cgroup(context.config.cgroup_root, self.pod))
        context.tokens.forget(self.uid)
        context.objects.unfollow(self.uid)
        context.images.forget(self.uid)
        context.restart_backoff.forget(f"{self.uid}/")
        self.stage = lifecycle.advance(self.stage, Cause.CLEANED)
        context.publisher.finished(self.pod)
        return 0

    async def _rest(self) -> float | None:
        """Nothing is left to do until the pod's object goes."""
        return None

    def _event(self, type_: str, reason: str, message: str, container: str = "") -> None:
        self._context.events.pod_event(self.pod, type_, reason, message, container)


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=UTC).timestamp()


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
