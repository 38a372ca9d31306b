"""Which pods are to run here, and their workers: the meeting point of the API, static manifests and the runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kubetree.kubelet import specs
from kubetree.kubelet.context import NodeContext
from kubetree.kubelet.lifecycle import Stage
from kubetree.kubelet.pod_worker import PodWorker

Object = dict[str, Any]
Admit = Callable[[Object, list[Object]], tuple[str, str] | None]
"""`admit(pod, others)`: None, or the reason and message of a refusal."""


class Pods:
    """`add`, `update` and `remove` are called by the sources; `run` holds the workers."""

    def __init__(self, context: NodeContext, admit: Admit, reject: Callable[[Object, str, str], None]) -> None:
        self._context, self._admit, self._reject = context, admit, reject
        self._group: asyncio.TaskGroup | None = None
        self.workers: dict[str, PodWorker] = {}
        self._queued: dict[str, Object] = {}
        """Pods that wait for an older one of the same UID or static name to be gone."""
        self._refused: set[str] = set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._group:
            for worker in self.workers.values():
                self._group.create_task(self._work(worker))
            await asyncio.get_running_loop().create_future()

    # -- from the sources

    def set(self, pod: Object) -> None:
        """A pod that is new or changed."""
        uid = specs.uid(pod)
        worker = self.workers.get(uid)
        if worker is not None and not worker.forgotten:
            worker.update(pod)
        elif worker is not None or self._blocking(pod) is not None:
            self._queued[uid] = pod
        elif uid not in self._refused:
            self._start(pod)

    def remove(self, uid: str) -> None:
        """A pod whose object or manifest is gone."""
        self._queued.pop(uid, None)
        self._refused.discard(uid)
        worker = self.workers.get(uid)
        if worker is not None:
            worker.forget()

    def poke(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.poke()

    def evict(self, uid: str, reason: str, message: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.evict(reason, message, grace=0)

    # -- reading

    def pod(self, uid: str) -> Object | None:
        worker = self.workers.get(uid)
        return worker.pod if worker else None

    def by_name(self, namespace: str, name: str) -> Object | None:
        """The pod of that name that is not about to be forgotten, else one that is."""
        found = [w for w in self.workers.values() if w.pod["metadata"]["namespace"] == namespace and w.pod["metadata"]["name"] == name]
        found.sort(key=lambda worker: worker.forgotten)
        return found[0].pod if found else None

    def all(self) -> list[Object]:
        return [worker.pod for worker in self.workers.values()]

    def active(self) -> list[Object]:
        """Pods that use resources: not the ended ones."""
        return [
            worker.pod
            for worker in self.workers.values()
            if worker.stage in (Stage.SYNC, Stage.TERMINATING) and not specs.is_terminal(worker.pod.get("status") or {})
        ]

    # -- workers

    def _blocking(self, pod: Object) -> PodWorker | None:
        """An older static pod of the same name, which must be gone first."""
        if not specs.is_static(pod):
            return None
        metadata = pod["metadata"]
        for worker in self.workers.values():
            other = worker.pod["metadata"]
            if specs.is_static(worker.pod) and (other["namespace"], other["name"]) == (metadata["namespace"], metadata["name"]):
                return worker
        return None

    def _start(self, pod: Object) -> None:
        ended = bool(pod["metadata"].get("deletionTimestamp")) or specs.is_terminal(pod.get("status") or {})
        # One that an earlier kubelet let in may be running already.
        accepted = bool((pod.get("status") or {}).get("startTime"))
        if not ended and not accepted and (refusal := self._admit(pod, self.active())):
            self._refused.add(specs.uid(pod))
            self._reject(pod, *refusal)
            return
        worker = self.workers[specs.uid(pod)] = PodWorker(self._context, pod)
        worker.update(pod)
        if self._group is not None:
            self._group.create_task(self._work(worker))

    async def _work(self, worker: PodWorker) -> None:
        await worker.run()
        del self.workers[worker.uid]
        self._context.publisher.forget(worker.uid)
        for pod in list(self._queued.values()):
            if specs.uid(pod) not in self.workers and self._blocking(pod) is None:
                del self._queued[specs.uid(pod)]
                self._start(pod)
