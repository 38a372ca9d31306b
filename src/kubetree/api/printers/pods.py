"""Pods: the STATUS column is a small history of its containers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.printers.text import created, since

Object = Mapping[str, Any]


class _Restarts:
    """How often containers restarted, and when last."""

    def __init__(self) -> None:
        self.count, self.last = 0, ""

    def add(self, status: Object) -> None:
        self.count += status.get("restartCount") or 0
        finished = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, finished)

    def text(self, now: datetime) -> str:
        return f"{self.count} ({since(self.last, now)} ago)" if self.count and self.last else str(self.count)


def _ended(terminated: Object) -> str:
    """Why a container ended: its reason, else the signal or the exit code."""
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def _condition(status: Object, kind: str) -> bool:
    return next((c.get("status") == "True" for c in status.get("conditions") or () if c.get("type") == kind), False)


def _initializing(spec: Object, status: Object, all_restarts: _Restarts, sidecar_restarts: _Restarts) -> tuple[str, int]:
    """The reason of the first init container that is not done, '' when all are; and how many sidecars are ready."""
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    ready = 0
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = container.get("name") in sidecars
        all_restarts.add(container)
        if sidecar:
            sidecar_restarts.add(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            return f"Init:{_ended(terminated)}", ready
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}", ready
        return f"Init:{i}/{len(spec.get('initContainers') or ())}", ready
    return "", ready


def _running(status: Object, reason: str, restarts: _Restarts) -> tuple[str, int]:
    """The reason that the app containers give, and how many are ready."""
    ready, running, failure = 0, False, ""
    for container in reversed(status.get("containerStatuses") or ()):
        restarts.add(container)
        state = container.get("state") or {}
        waiting, terminated = (state.get("waiting") or {}).get("reason"), state.get("terminated")
        if waiting:
            reason = waiting
        elif terminated is not None:
            reason = _ended(terminated)
            if terminated.get("exitCode"):
                failure = reason
        elif container.get("ready") and state.get("running") is not None:
            running = True
            ready += 1
    if reason == "Completed":
        if running and _condition(status, "Ready"):
            reason = "Running"
        elif failure:
            reason = failure
        elif running:
            reason = "NotReady"
    return reason, ready


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return "<none>"
    return f"{sum(_condition(status, g.get('conditionType') or '') for g in gates)}/{len(gates)}"


def pod(obj: Object, now: datetime) -> list[Any]:
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    phase = status.get("phase") or ""
    reason = status.get("reason") or phase
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in status.get("conditions") or ()):
        reason = "SchedulingGated"
    all_restarts, restarts = _Restarts(), _Restarts()
    init_reason, ready = _initializing(spec, status, all_restarts, restarts)
    if init_reason:
        reason = init_reason
    if init_reason and not _condition(status, "Initialized"):
        restarts = all_restarts
    else:
        reason, running = _running(status, reason, restarts)
        ready += running
    if metadata.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in ("Failed", "Succeeded"):
            reason = "Terminating"
    sidecars = sum(c.get("restartPolicy") == "Always" for c in spec.get("initContainers") or ())
    total = len(spec.get("containers") or ()) + sidecars
    addresses = status.get("podIPs") or ()
    return [
        metadata.get("name"),
        f"{ready}/{total}",
        reason,
        restarts.text(now),
        created(obj, now),
        (addresses[0].get("ip") if addresses else "") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _readiness_gates(spec, status),
    ]


_DONE = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


def conditions(obj: Object) -> list[dict[str, str]]:
    """The conditions of a pod's row: that it is over, if it is."""
    done = _DONE.get((obj.get("status") or {}).get("phase") or "")
    return [{"type": "Completed", "status": "True", "reason": done[0], "message": done[1]}] if done else []
