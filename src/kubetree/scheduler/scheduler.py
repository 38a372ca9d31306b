"""The driver: informers feed the queue and the snapshot, one loop decides, bindings are written beside it.

A pod that was given a node counts there at once (it is assumed), so that the next decision need not wait for the API server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.api.times import format_time
from kubetree.client import Client, EventRecorder, Informer
from kubetree.client.clock import Clock
from kubetree.scheduler import changes
from kubetree.scheduler.cycle import Placed, Unschedulable, schedule
from kubetree.scheduler.fellows import Fellows
from kubetree.scheduler.metrics import Metrics
from kubetree.scheduler.plugins.default import default_profile
from kubetree.scheduler.pod_info import PodInfo, finished, gated, pod_info
from kubetree.scheduler.preemption import Nominated, preempt
from kubetree.scheduler.queue import Queued, SchedulingQueue
from kubetree.scheduler.snapshot import Snapshot

Object = dict[str, Any]

POD, NODE, SERVICE, NAMESPACE = kind("v1", "Pod"), kind("v1", "Node"), kind("v1", "Service"), kind("v1", "Namespace")
BUDGET = kind("policy/v1", "PodDisruptionBudget")
CONTROLLERS = {
    "ReplicationController": kind("v1", "ReplicationController"),
    "ReplicaSet": kind("apps/v1", "ReplicaSet"),
    "StatefulSet": kind("apps/v1", "StatefulSet"),
}
UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"
DEFAULT_SCHEDULER = "default-scheduler"
CONCURRENT_WRITES = 64

log = logging.getLogger("kubetree.scheduler")


class Scheduler:
    """`clock` gives wall-clock and monotonic time; `choose` picks one of n equally good nodes."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        name: str = DEFAULT_SCHEDULER,
        choose: Callable[[int], int] = random.randrange,
        recorder: EventRecorder | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._client, self._clock, self._name, self._choose = client, clock, name, choose
        self._recorder = recorder or EventRecorder(client, name, now=clock.now)
        self.metrics = metrics or Metrics()
        self.snapshot = Snapshot()
        self.queue = SchedulingQueue()
        self._pods = Informer(client, POD, field_selector=UNFINISHED)
        self._nodes = Informer(client, NODE)
        self._namespaces = Informer(client, NAMESPACE)
        services = Informer(client, SERVICE)
        controllers = {name: Informer(client, row) for name, row in CONTROLLERS.items()}
        self._budgets = Informer(client, BUDGET)
        self._informers = [self._pods, self._nodes, self._namespaces, self._budgets, services, *controllers.values()]
        self._profile = default_profile(Fellows(services, controllers).selector, self._namespace_labels)
        self._assumed: dict[tuple[str, str], tuple[str, PodInfo]] = {}
        self._nominated: dict[tuple[str, str], tuple[str, PodInfo]] = {}
        self._wake = asyncio.Event()
        self._writes = asyncio.Semaphore(CONCURRENT_WRITES)
        clock.on_advance(self._wake.set)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def run(self) -> None:
        """Schedules until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            for informer in self._informers:
                group.create_task(informer.run())
            for informer in self._informers:
                await informer.synced()
            await self._loop(group)

    @property
    def ready(self) -> bool:
        return all(informer.has_synced for informer in self._informers)

    # -- what happens in the cluster

    def _namespace_labels(self, name: str) -> dict[str, str]:
        namespace = self._namespaces.get("", name)
        return (namespace["metadata"].get("labels") or {}) if namespace else {}

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.snapshot.set_node(new)
        elif old is not None:
            self.snapshot.remove_node(old["metadata"]["name"])
        self._happened(changes.of_node(old, new))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        was = old["spec"].get("nodeName") if old else None
        now_on = new["spec"].get("nodeName") if new and not finished(new) else None
        current = new or old
        if current is None:
            return
        key = current["metadata"]["namespace"], current["metadata"]["name"]
        if now_on and new is not None:
            assumed = self._assumed.pop(key, None)
            if assumed is not None and assumed[0] != now_on:
                self.snapshot.remove_pod(assumed[0], key)
            if was and was != now_on:
                self.snapshot.remove_pod(was, key)
            self.snapshot.add_pod(now_on, pod_info(new))
            self.queue.remove(key)
            self._nominated.pop(key, None)
            self._happened(changes.of_placed_pod(old if was else None, new))
            return
        if was:
            self.snapshot.remove_pod(was, key)
            self._happened(changes.of_placed_pod(old, None))
        if new is None or is_deleting(new) or finished(new) or gated(new):
            self.queue.remove(key)
            self._nominated.pop(key, None)
            if new is None and (assumed := self._assumed.pop(key, None)) is not None:
                self.snapshot.remove_pod(assumed[0], key)
                self._happened(changes.of_placed_pod(old, None))
        elif new["spec"].get("schedulerName", DEFAULT_SCHEDULER) == self._name and key not in self._assumed and _spec_changed(old, new):
            self.queue.add(pod_info(new), self._clock.monotonic())
            self._wake.set()

    def _happened(self, plugins: frozenset[str]) -> None:
        if plugins:
            self.queue.happened(plugins, self._clock.monotonic())
            self._wake.set()

    # -- deciding

    async def _loop(self, group: asyncio.TaskGroup) -> None:
        while True:
            queued = self.queue.pop(self._clock.monotonic())
            if queued is None:
                await self._until_something()
                continue
            await self._one(queued, group)
            await asyncio.sleep(0)  # many pods without a node must not keep leases and watches waiting

    async def _until_something(self) -> None:
        self._wake.clear()
        due = self.queue.next_due()
        if due is None:
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - self._clock.monotonic())):
                await self._wake.wait()

    async def _one(self, queued: Queued, group: asyncio.TaskGroup) -> None:
        info = queued.info
        started = self._clock.monotonic()
        with self._room_kept_for(info):
            answer = schedule(info, self.snapshot, self._profile, self._choose)
            preemption = None if isinstance(answer, Placed) else self._preempt(info, answer)
        if isinstance(answer, Placed):
            self._nominated.pop(info.key, None)
            self._assumed[info.key] = (answer.node, info)
            self.snapshot.add_pod(answer.node, info)
            await self._writes.acquire()
            group.create_task(self._bind(queued, answer.node, started))
        else:
            self.metrics.attempt("unschedulable", self._clock.monotonic() - started)
            self.queue.failed(info, answer.plugins, self._clock.monotonic())
            if isinstance(preemption, Nominated):
                self._nominated[info.key] = (preemption.node, info)
                group.create_task(self._evict(info, preemption))
            else:
                self._nominated.pop(info.key, None)
            group.create_task(self._report(info, answer, preemption))

    @contextlib.contextmanager
    def _room_kept_for(self, info: PodInfo) -> Iterator[None]:
        """While a pod is looked at, those nominated to a node that matter as much as it does count there."""
        others = [(node, other) for key, (node, other) in self._nominated.items() if key != info.key and other.priority >= info.priority]
        for node, other in others:
            self.snapshot.add_pod(node, other)
        try:
            yield
        finally:
            for node, other in others:
                self.snapshot.remove_pod(node, other.key)

    def _preempt(self, info: PodInfo, answer: Unschedulable) -> Nominated | str:
        return preempt(info, answer, self.snapshot, self._profile, self._budgets.list())

    async def _evict(self, info: PodInfo, nominated: Nominated) -> None:
        """Deletes the victims, each with the condition that says why."""
        for victim in nominated.victims:
            message = f"{self._name}: preempting to accommodate a higher priority pod"
            condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": message}
            patch = {"status": {"conditions": [{**condition, "lastTransitionTime": format_time(self._clock.now())}]}}
            try:
                await self._client.patch(POD, victim.name, patch, namespace=victim.namespace, type="strategic", subresource="status")
                await self._client.delete(POD, victim.name, victim.namespace, uid=victim.uid)
            except (errors.NotFound, errors.Conflict):
                continue
            except errors.ApiError as error:
                log.warning("preempting %s/%s: %s", victim.namespace, victim.name, error)
                continue
            self._recorder.event(victim.pod, "Normal", "Preempted", f"Preempted by pod {info.uid} on node {nominated.node}")

    async def _bind(self, queued: Queued, node: str, started: float) -> None:
        info = queued.info
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": info.namespace, "name": info.name, "uid": info.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._client.create(POD, binding, info.namespace, name=info.name, subresource="binding")
        except errors.ApiError as error:
            self._binding_failed(info, node, error)
        else:
            self.queue.placed(info)
            self.metrics.attempt("scheduled", self._clock.monotonic() - started)
            self._recorder.event(info.pod, "Normal", "Scheduled", f"Successfully assigned {info.namespace}/{info.name} to {node}")
        finally:
            self._writes.release()

    def _binding_failed(self, info: PodInfo, node: str, error: errors.ApiError) -> None:
        """The pod goes back to the queue, unless the binding came through after all or the pod is gone."""
        self.metrics.attempt("error", 0.0)
        assumed = self._assumed.get(info.key)
        if assumed is not None and assumed[1].uid == info.uid:
            del self._assumed[info.key]
            self.snapshot.remove_pod(node, info.key)
        current = self._pods.get(*info.key)
        same = current is not None and current["metadata"].get("uid") == info.uid
        if isinstance(error, errors.NotFound) or current is None or not same or current["spec"].get("nodeName"):
            self.queue.placed(info)
            return
        log.warning("binding %s/%s to %s: %s", info.namespace, info.name, node, error)
        self._recorder.event(info.pod, "Warning", "FailedScheduling", f"running Bind plugin: {error}")
        self.queue.failed(info, frozenset(), self._clock.monotonic())
        self._wake.set()

    async def _report(self, info: PodInfo, answer: Unschedulable, preemption: Nominated | str | None) -> None:
        """The event and the condition that say why; written again only when they say something else."""
        message = f"{answer.message} preemption: {preemption}" if isinstance(preemption, str) else answer.message
        self._recorder.event(info.pod, "Warning", "FailedScheduling", message)
        nominated = preemption.node if isinstance(preemption, Nominated) else ""
        current = self._pods.get(*info.key) or info.pod
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        have: Object = next((c for c in (current.get("status") or {}).get("conditions") or () if c["type"] == "PodScheduled"), {})
        unchanged = all(have.get(field) == value for field, value in condition.items())
        if unchanged and nominated == ((current.get("status") or {}).get("nominatedNodeName") or ""):
            return
        since = have["lastTransitionTime"] if have.get("status") == "False" else format_time(self._clock.now())
        patch = {
            "metadata": {"uid": info.uid},
            "status": {
                "nominatedNodeName": nominated or None,
                "conditions": [
                    {
                        **condition,
                        "lastProbeTime": None,
                        "lastTransitionTime": since,
                        "observedGeneration": current["metadata"].get("generation"),
                    }
                ],
            },
        }
        try:
            async with self._writes:
                await self._client.patch(POD, info.name, patch, namespace=info.namespace, type="strategic", subresource="status")
        except errors.ApiError as error:
            log.info("status of %s/%s: %s", info.namespace, info.name, error)


def _spec_changed(old: Object | None, new: Object) -> bool:
    """Whether trying again may come out otherwise: a status update alone changes nothing."""
    if old is None:
        return True
    return bool(old["spec"] != new["spec"] or old["metadata"].get("labels") != new["metadata"].get("labels"))
