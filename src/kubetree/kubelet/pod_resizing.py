"""Carries out in-place resizes of one pod, and remembers how far they are; resize.py decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kubetree.kubelet import resize, resources, specs
from kubetree.kubelet.context import NodeContext
from kubetree.kubelet.cri.client import RuntimeFailure
from kubetree.kubelet.lifecycle import Kill
from kubetree.kubelet.resize import IN_PROGRESS, PENDING, ResizePlan
from kubetree.kubelet.runtime_state import PodRuntime

Object = dict[str, Any]


class PodResizing:
    """`actuated` is what running containers have, by id; `conditions` are reason and message of the resize conditions that hold."""

    def __init__(self, context: NodeContext, pod: Object) -> None:
        self._context = context
        self._allocation = resize.remembered(pod)
        self.actuated: dict[str, Object] = {}
        self.conditions: dict[str, tuple[str, str]] = {}

    def allocated(self, pod: Object) -> Object:
        """`pod`, as the API has it, with the resources that it has been allocated."""
        return resize.with_allocation(pod, self._allocation)

    def note(self, pod: Object, runtime: PodRuntime) -> None:
        """Containers that are new here were started with what `pod` has been allocated."""
        names = resize.wanted(pod)
        self.actuated = {r.id: self.actuated.get(r.id, names.get(r.name, {})) for r in runtime.running}

    def allocate(self, pod: Object) -> Object:
        """Give the pod what its spec wants, when the node has room for it. Answers the allocated pod."""
        wanted = resize.wanted(pod)
        if wanted == self._allocation:
            self.conditions.pop(PENDING, None)
            return pod
        context = self._context
        refused = resize.refusal(pod, context.neighbours(specs.uid(pod)), context.facts.allocatable)
        if refused is None:
            self._allocation = wanted
            self.conditions = {IN_PROGRESS: ("", "")}
            self._event(pod, "Normal", "ResizeStarted", "Pod resize started")
        elif self.conditions.get(PENDING) != (refused.reason, refused.message):
            self.conditions[PENDING] = (refused.reason, refused.message)
            self._event(pod, "Warning", f"Resize{refused.reason}", f"Pod resize {refused.reason}", refused.message)
        return self.allocated(pod)

    def steps(self, pod: Object, runtime: PodRuntime) -> ResizePlan | None:
        """What is left to do for the allocated pod; None for nothing."""
        plan = resize.plan(pod, runtime, self.actuated)
        names = resize.wanted(pod)
        for record in runtime.running:
            if record.id in plan.settled:
                self.actuated[record.id] = names[record.name]
        return plan if plan.updates or plan.restarts else None

    async def carry_out(
        self, pod: Object, plan: ResizePlan, runtime: PodRuntime, kill: Callable[[tuple[Kill, ...]], Awaitable[None]]
    ) -> None:
        """Change cgroups, or `kill` containers that must be started anew. A failure is shown as a condition and tried again later."""
        context, names = self._context, resize.wanted(pod)
        cgroup, limits = resources.pod_cgroup(context.config.cgroup_root, pod), resources.pod_limits(pod)
        had = {record.name: self.actuated[record.id] for record in runtime.running if record.id in self.actuated}
        before = resources.pod_limits(resize.with_allocation(pod, {**names, **had}))
        try:
            await asyncio.to_thread(context.cgroups.ensure, cgroup, resources.widest(before, limits))
            for update in plan.updates:
                await context.runtime.client.call("UpdateContainerResources", container_id=update.id, linux=update.linux)
                self.actuated[update.id] = names[update.container]
            if plan.restarts:
                await kill(plan.restarts)
            await asyncio.to_thread(context.cgroups.ensure, cgroup, limits)
            self.conditions[IN_PROGRESS] = ("", "")
        except (RuntimeFailure, OSError) as error:
            self.conditions[IN_PROGRESS] = ("Error", str(error))
            self._event(pod, "Warning", "ResizeError", "Pod resize error", str(error))

    def complete(self, pod: Object) -> bool:
        """Whether a resize that was in progress has just come to its end."""
        if self.conditions.get(IN_PROGRESS) != ("", ""):
            return False
        del self.conditions[IN_PROGRESS]
        self._event(pod, "Normal", "ResizeCompleted", "Pod resize completed")
        return True

    def _event(self, pod: Object, type_: str, reason: str, title: str, error: str = "") -> None:
        self._context.events.pod_event(pod, type_, reason, f"{title}: {resize.summary(pod, error)}")
