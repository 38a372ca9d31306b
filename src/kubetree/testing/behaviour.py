"""How a simulated pod lives: pure functions from what a test asked for and the time that passed to a pod's status."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.times import format_time

Object = dict[str, Any]

FIRST_BACK_OFF, LAST_BACK_OFF = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of a pod. Times are seconds of the cluster's clock.

    `start`: from being bound to its containers running. `ready_after`: from then to ready. `exit_code`: all containers end with it,
    `exit_after` seconds after they started, and start again as the pod's restartPolicy says. `hang`: they never start, for `reason`.
    `never_ready`: they run but no probe succeeds. `stop_after`: from being deleted to being gone; None: it never goes by itself.
    """

    start: float = 0.0
    ready_after: float = 0.0
    exit_code: int | None = None
    exit_after: float = 0.0
    hang: bool = False
    reason: str = "ContainerCreating"
    never_ready: bool = False
    stop_after: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Life:
    """What a pod went through so far. `ended` and `code` tell of the last run of its containers."""

    seen: datetime
    running: datetime | None = None
    restarts: int = 0
    ended: datetime | None = None
    ran_from: datetime | None = None
    code: int = 0
    finished: bool = False
    unready: datetime | None = None


def step(life: Life, behaviour: Behaviour, restart_policy: str, now: datetime) -> tuple[Life, float | None]:
    """The life as it stands at `now`, and the seconds until it changes by itself (None: never)."""
    while not life.finished:
        if life.running is None:
            due = _start_due(life, behaviour)
            if due is None or due > now:
                return life, None if due is None else (due - now).total_seconds()
            life = replace(life, running=max(due, life.seen))
            continue
        assert life.running is not None
        if behaviour.exit_code is not None:
            due = life.running + timedelta(seconds=behaviour.exit_after)
            if due <= now:
                life = ended(life, behaviour.exit_code, restart_policy, due)
                continue
            return life, min(_until(due, now), _until_ready(life, behaviour, now) or _until(due, now))
        return life, _until_ready(life, behaviour, now)
    return life, None


def ended(life: Life, code: int, restart_policy: str, when: datetime) -> Life:
    """The life after its containers ended with `code`."""
    again = restart_policy == "Always" or (restart_policy == "OnFailure" and code != 0)
    return replace(
        life,
        running=None,
        ran_from=life.running,
        ended=when,
        code=code,
        restarts=life.restarts + again,
        finished=not again,
    )


def _start_due(life: Life, behaviour: Behaviour) -> datetime | None:
    if behaviour.hang:
        return None
    if life.ended is None:
        return life.seen + timedelta(seconds=behaviour.start)
    if life.restarts == 1:
        return life.ended
    return life.ended + timedelta(seconds=min(FIRST_BACK_OFF * 2 ** (life.restarts - 2), LAST_BACK_OFF))


def _until(due: datetime, now: datetime) -> float:
    return (due - now).total_seconds()


def _until_ready(life: Life, behaviour: Behaviour, now: datetime) -> float | None:
    if behaviour.never_ready or life.running is None:
        return None
    due = life.running + timedelta(seconds=behaviour.ready_after)
    return _until(due, now) if due > now else None


def ready_since(life: Life, behaviour: Behaviour, now: datetime) -> datetime | None:
    """Since when the containers are ready; None when they are not."""
    if life.running is None or life.finished or behaviour.never_ready or life.unready is not None:
        return None
    due = life.running + timedelta(seconds=behaviour.ready_after)
    return due if due <= now else None


def pod_status(pod: Object, life: Life, behaviour: Behaviour, now: datetime, *, ip: str, host_ip: str) -> Object:
    """The status that the pod's kubelet would report."""
    since = ready_since(life, behaviour, now)
    containers = [_container(c, life, behaviour, since is not None) for c in pod["spec"]["containers"]]
    gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or ()]
    told = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    open_gates = all(told.get(gate, {}).get("status") == "True" for gate in gates)
    phase = ("Failed" if life.code else "Succeeded") if life.finished else "Running" if life.running or life.ended else "Pending"
    why = "PodCompleted" if phase == "Succeeded" else "" if since else "ContainersNotReady"
    changed = since or life.unready or life.ended or life.running or life.seen
    generation = pod["metadata"].get("generation", 0)
    conditions = [
        _condition("PodScheduled", True, "", told.get("PodScheduled", {}).get("lastTransitionTime") or format_time(life.seen)),
        _condition("Initialized", True, "PodCompleted" if phase == "Succeeded" else "", format_time(life.seen)),
        _condition("ContainersReady", since is not None, why, format_time(changed)),
        _condition("Ready", since is not None and open_gates, why if why or open_gates else "ReadinessGatesNotReady", format_time(changed)),
    ]
    status: Object = {
        "phase": phase,
        "observedGeneration": generation,
        "startTime": format_time(life.seen),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "conditions": [{**_bare(made, told.get(made["type"])), "observedGeneration": generation} for made in conditions],
        "containerStatuses": containers,
    }
    if not behaviour.hang and (life.running or life.ended):
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    if initial := pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = [_initial(c, life) for c in initial]
    return status


def _condition(type_: str, holds: bool, reason: str, since: str) -> Object:
    """A reason of None takes away the one that an earlier patch gave."""
    return {"type": type_, "status": str(holds), "lastTransitionTime": since, "reason": reason or None}


def _bare(condition: Object, told: Object | None) -> Object:
    """The condition without a reason of None unless there is one to take away."""
    if condition["reason"] is None and not (told or {}).get("reason"):
        del condition["reason"]
    return condition


def _container(container: Object, life: Life, behaviour: Behaviour, ready: bool) -> Object:
    name, image = container["name"], container.get("image", "")
    made: Object = {
        "name": name,
        "image": image,
        "imageID": "",
        "ready": ready,
        "restartCount": life.restarts,
        "started": bool(life.running),
    }
    terminated = _terminated(life)
    if life.running:
        made["state"] = {"running": {"startedAt": format_time(life.running)}}
        made |= {"imageID": f"simulated://{image}", "containerID": f"simulated://{name}-{life.restarts}"}
        made["resources"] = container.get("resources") or {}  # the API server lets only pods that tell of them be resized
    elif life.finished:
        made["state"] = {"terminated": terminated}
    elif life.ended:
        made["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    else:
        made["state"] = {"waiting": {"reason": behaviour.reason if behaviour.hang else "ContainerCreating"}}
    if terminated and not life.finished:
        made["lastState"] = {"terminated": terminated}
    return made


def _terminated(life: Life) -> Object | None:
    if life.ended is None:
        return None
    start = format_time(life.ran_from or life.seen)
    reason = "Error" if life.code else "Completed"
    return {"exitCode": life.code, "reason": reason, "startedAt": start, "finishedAt": format_time(life.ended)}


def _initial(container: Object, life: Life) -> Object:
    stamp = format_time(life.seen)
    made: Object = {"name": container["name"], "image": container.get("image", ""), "imageID": "", "restartCount": 0}
    if container.get("restartPolicy") == "Always":
        return {**made, "ready": bool(life.running), "started": bool(life.running), "state": {"running": {"startedAt": stamp}}}
    done = {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}
    return {**made, "ready": True, "state": {"terminated": done}}
