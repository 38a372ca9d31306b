"""The end of a pod at the runtime: containers in their order, sandboxes, and at last every trace of it."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator
from typing import Any

from kubetree.kubelet import cri_config, lifecycle, log_links, specs
from kubetree.kubelet.containers import Containers
from kubetree.kubelet.context import NodeContext
from kubetree.kubelet.cri.client import RuntimeFailure
from kubetree.kubelet.runtime_state import PodRuntime

Object = dict[str, Any]
RUNTIME_RETRY = 1.0
"""Seconds until a runtime that failed is asked again."""

log = logging.getLogger("kubetree.kubelet")


async def stop_pod(context: NodeContext, containers: Containers, pod: Object, runtime: PodRuntime, grace: int | None) -> None:
    """Stop what runs, sidecars last, then the sandboxes. `grace` seconds outrank the spec's. Raises RuntimeFailure."""
    try:
        await _stop_containers(containers, pod, runtime, grace)
    except* RuntimeFailure as failures:
        error = next(_leaves(failures))
        context.events.pod_event(pod, "Warning", "FailedKillPod", f"error killing pod: {error}")
        raise error from None
    for sandbox in runtime.sandboxes:
        if sandbox.ready:
            try:
                await context.runtime.client.call("StopPodSandbox", pod_sandbox_id=sandbox.id)
            except RuntimeFailure as error:
                if not error.not_found:
                    raise


async def _stop_containers(containers: Containers, pod: Object, runtime: PodRuntime, grace: int | None) -> None:
    left = {record.id: record for record in runtime.running}
    async with asyncio.TaskGroup() as group:
        earlier: list[asyncio.Task[None]] = []
        for names in lifecycle.termination_order(pod):
            turn = asyncio.Event() if earlier else None
            records = [left.pop(record.id) for record in runtime.running if record.name in names and record.id in left]
            tasks = [group.create_task(containers.stop(pod, record, "", grace=grace, turn=turn)) for record in records]
            if turn is not None:
                group.create_task(_after(list(earlier), turn))
            earlier += tasks
        for record in left.values():
            group.create_task(containers.stop(pod, record, "", grace=grace))


async def _after(tasks: list[asyncio.Task[None]], turn: asyncio.Event) -> None:
    await asyncio.wait(tasks)
    turn.set()


def _leaves(group: BaseExceptionGroup[RuntimeFailure]) -> Iterator[RuntimeFailure]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def remove_container(context: NodeContext, container_id: str) -> None:
    try:
        await context.runtime.client.call("RemoveContainer", container_id=container_id)
    except RuntimeFailure as error:
        if not error.not_found:
            raise
    log_links.remove(context.config.pod_log_dir, container_id)


async def remove_remains(context: NodeContext, pod: Object) -> None:
    """Dead containers, sandboxes and logs of a pod that nobody can ask about any more. Tries until the runtime obeys."""
    while True:
        try:
            runtime = await context.runtime.observe(specs.uid(pod))
            for record in runtime.containers:
                await remove_container(context, record.id)
            for sandbox in runtime.sandboxes:
                for method in ("StopPodSandbox", "RemovePodSandbox"):
                    await context.runtime.client.call(method, pod_sandbox_id=sandbox.id)
            break
        except RuntimeFailure as error:
            log.warning("pod %s: %s: %s", specs.full_name(pod), error.method, error)
            await asyncio.sleep(RUNTIME_RETRY)
    directory = cri_config.pod_log_directory(str(context.config.pod_log_dir), pod)
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
