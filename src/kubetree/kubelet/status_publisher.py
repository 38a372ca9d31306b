"""Brings the statuses of pods to the API, and deletes pods there when nothing of them is left here.

Statuses are coalesced: only the newest one of a pod is written. An API server that is away holds nothing up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client.rest import Client
from kubetree.client.workqueue import WorkQueue
from kubetree.kubelet import specs
from kubetree.kubelet.status import status_patch

Object = dict[str, Any]
POD = kind("v1", "Pod")
WRITERS = 8

log = logging.getLogger("kubetree.kubelet")


class StatusPublisher:
    """`api_pod(pod)` is the pod as the API has it: the pod itself, or its mirror for a static one; None when there is none."""

    def __init__(self, client: Client | None, api_pod: Callable[[Object], Object | None], on_written: Callable[[str], None]) -> None:
        self._client, self._api_pod, self._on_written = client, api_pod, on_written
        self._statuses: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}
        self._written: dict[str, tuple[str, Object]] = {}
        """What the API answered last, by the API pod's UID: (resourceVersion, status)."""
        self._finished: set[str] = set()
        self._queue: WorkQueue[str] = WorkQueue(base=0.1, maximum=10.0)

    # -- from the workers

    def publish(self, pod: Object, status: Object) -> None:
        uid = specs.uid(pod)
        self._pods[uid], self._statuses[uid] = pod, status
        self._queue.add(uid)

    def latest(self, uid: str) -> Object | None:
        return self._statuses.get(uid)

    def finished(self, pod: Object) -> None:
        uid = specs.uid(pod)
        self._pods[uid] = pod
        self._finished.add(uid)
        self._queue.add(uid)

    def again(self, uid: str) -> None:
        """Write the status again: the API's object is new, as after a mirror pod was made."""
        if uid in self._statuses:
            self._queue.add(uid)

    def forget(self, uid: str) -> None:
        for known in (self._statuses, self._pods, self._written):
            known.pop(uid, None)
        self._finished.discard(uid)

    # -- to the API

    async def run(self) -> None:
        """Write until cancelled."""
        if self._client is None:
            await asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._write_forever())

    async def _write_forever(self) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._write(uid)
                self._queue.forget(uid)
            except errors.ApiError as error:
                log.warning("status of pod %s: %s", uid, error.message)
                self._queue.retry(uid)
            except Exception:
                # A defect met by one pod's status must not hold up the others'.
                log.exception("status of pod %s", uid)
            finally:
                self._queue.done(uid)

    async def _write(self, uid: str) -> None:
        pod, status = self._pods.get(uid), self._statuses.get(uid)
        client = self._client
        if client is None or pod is None:
            return
        api_pod = self._api_pod(pod)
        if api_pod is None:
            return
        metadata = api_pod["metadata"]
        name, namespace, api_uid = metadata["name"], metadata["namespace"], metadata["uid"]
        try:
            if status is not None:
                patch = status_patch(api_uid, self._known_status(api_pod), status)
                if patch is not None:
                    answer = await client.patch(POD, name, patch, namespace=namespace, type="strategic", subresource="status")
                    self._written[api_uid] = (answer["metadata"]["resourceVersion"], answer.get("status") or {})
                    self._on_written(uid)
            if uid in self._finished and metadata.get("deletionTimestamp") and not specs.is_static(pod):
                await client.delete(POD, name, namespace, grace_period=0, uid=api_uid)
        except errors.NotFound:
            log.debug("pod %s/%s is gone from the API", namespace, name)
        except errors.Conflict:
            log.debug("pod %s/%s was replaced in the API", namespace, name)

    def _known_status(self, api_pod: Object) -> Object:
        """The newest status known: the informer's, or the answer to the last write where that is newer."""
        metadata = api_pod["metadata"]
        seen = api_pod.get("status") or {}
        version, status = self._written.get(metadata["uid"], ("0", {}))
        return status if int(version) > int(metadata.get("resourceVersion") or 0) else seen
