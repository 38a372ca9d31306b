"""The status of a pod, computed from its spec, the runtime's state and what the kubelet knows of its probes. Pure.

Follows pkg/kubelet/kubelet_pods.go (getPhase, convertToAPIContainerStatuses) and pkg/kubelet/status/generate.go: the reasons and
messages are what clients print and match on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubetree.kubelet import lifecycle, resize, resources, specs
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, State

Object = dict[str, Any]

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
RUNTIME_NAME = "containerd"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run: CrashLoopBackOff, ErrImagePull, CreateContainerConfigError, ..."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the status depends on besides the pod and the runtime."""

    now: str
    """metav1.Time."""
    previous: Object = field(default_factory=dict)
    """The last status that was written, else the API's."""
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """By container name."""
    started: Callable[[ContainerRecord, Object], bool] = field(default=lambda record, container: True)
    """Whether a running container has passed its startup probe and its postStart hook."""
    ready: Callable[[ContainerRecord, Object], bool] = field(default=lambda record, container: True)
    """Whether a running, started container passes its readiness probe."""
    host_ips: Sequence[str] = ()
    terminal: bool = False
    """The pod's containers were stopped for good."""
    actuated: Mapping[str, Object] = field(default_factory=dict)
    """Resources that running containers have, by container id, where they differ from what is allocated."""
    resize: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Reason and message of the resize conditions that hold, by type."""


def pod_status(pod: Object, runtime: PodRuntime, inputs: Inputs) -> Object:
    """The whole `status` object."""
    previous = inputs.previous
    main = _container_statuses(pod, specs.containers(pod), runtime, inputs, "containerStatuses")
    init = _container_statuses(pod, specs.init_containers(pod), runtime, inputs, "initContainerStatuses")
    ephemeral = _container_statuses(pod, specs.ephemeral_containers(pod), runtime, inputs, "ephemeralContainerStatuses")
    phase = _phase(pod, {s["name"]: s for s in (*init, *main)}, inputs.terminal)
    for settled in (previous.get("phase"), (pod.get("status") or {}).get("phase")):
        if settled in ("Succeeded", "Failed"):
            phase = settled
    status: Object = {"phase": phase}
    if phase == previous.get("phase"):
        status |= {key: previous[key] for key in ("reason", "message") if previous.get(key)}
    if generation := specs.generation(pod):
        status["observedGeneration"] = generation
    status["conditions"] = _conditions(pod, runtime, inputs, phase, main, init)
    status |= _addresses(pod, runtime, inputs)
    status["startTime"] = previous.get("startTime") or inputs.now
    for key, value in (("initContainerStatuses", init), ("containerStatuses", main), ("ephemeralContainerStatuses", ephemeral)):
        if value:
            status[key] = value
    status["qosClass"] = (pod.get("status") or {}).get("qosClass") or resources.qos_class(pod)
    return status


def rejected(pod: Object, reason: str, message: str, inputs: Inputs) -> Object:
    """The status of a pod that the node does not admit."""
    status: Object = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: {message}"}
    if generation := specs.generation(pod):
        status["observedGeneration"] = generation
    status["startTime"] = inputs.previous.get("startTime") or inputs.now
    status["qosClass"] = resources.qos_class(pod)
    return {**{k: v for k, v in inputs.previous.items() if k == "conditions"}, **status}


# -- containers


def _container_statuses(pod: Object, containers: Sequence[Object], runtime: PodRuntime, inputs: Inputs, key: str) -> list[Object]:
    earlier = {s["name"]: s for s in inputs.previous.get(key) or ()}
    made = [_container_status(pod, c, runtime, inputs, earlier.get(c["name"]), key) for c in containers]
    return made if key == "initContainerStatuses" else sorted(made, key=lambda s: str(s["name"]))


def _container_status(pod: Object, container: Object, runtime: PodRuntime, inputs: Inputs, earlier: Object | None, key: str) -> Object:
    records = runtime.instances(container["name"])
    status = _initial_status(pod, container, earlier)
    if not records and earlier and "terminated" in (earlier.get("state") or {}):
        # The runtime has forgotten a container whose end is on record.
        status |= {key: earlier[key] for key in ("state", "lastState", "image", "imageID", "containerID") if key in earlier}
    elif records:
        latest = records[0]
        status |= {
            "restartCount": latest.restart_count,
            "image": latest.image or container["image"],
            "imageID": latest.image_ref,
            "containerID": f"{RUNTIME_NAME}://{latest.id}",
            "state": container_state(latest),
            "lastState": container_state(records[1]) if len(records) > 1 else status["lastState"],
        }
        if len(records) < 2 and latest.restart_count == 0:
            status["lastState"] = {}
    elif earlier and "running" in (earlier.get("state") or {}):
        status["lastState"] = _lost(pod)
        if not pod["metadata"].get("deletionTimestamp"):
            status["restartCount"] += 1
    elif key == "initContainerStatuses" and not specs.is_sidecar(container) and _any_main_created(pod, runtime):
        text = "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally"
        settled = {"terminated": {"exitCode": 0, "reason": "Completed", "message": text, "startedAt": None, "finishedAt": None}}
        status["state"] = (earlier or {}).get("state") if "terminated" in ((earlier or {}).get("state") or {}) else settled
    _apply_waiting(pod, container, runtime, inputs, status, key)
    _apply_readiness(container, records[0] if records else None, inputs, status, key)
    if key != "ephemeralContainerStatuses" and (requested := (container.get("resources") or {}).get("requests")):
        status["allocatedResources"] = requested
    if key != "ephemeralContainerStatuses":
        has = inputs.actuated.get(records[0].id) if records and records[0].state is State.RUNNING else None
        status["resources"] = container.get("resources") or {} if has is None else has
    if not status["lastState"]:
        status["lastState"] = {}
    return status


def _initial_status(pod: Object, container: Object, earlier: Object | None) -> Object:
    if specs.init_containers(pod) and not any(c["name"] == container["name"] for c in specs.ephemeral_containers(pod)):
        reason = "PodInitializing"
    else:
        reason = "ContainerCreating"
    status: Object = {
        "name": container["name"],
        "state": {"waiting": {"reason": reason}},
        "lastState": (earlier or {}).get("lastState") or {},
        "ready": False,
        "restartCount": (earlier or {}).get("restartCount", 0),
        "image": container.get("image", ""),
        "imageID": (earlier or {}).get("imageID", ""),
    }
    if (earlier or {}).get("containerID"):
        status["containerID"] = (earlier or {})["containerID"]
    if mounts := container.get("volumeMounts"):
        status["volumeMounts"] = [
            {"name": m["name"], "mountPath": m["mountPath"]}
            | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if m.get("readOnly") else {})
            for m in mounts
        ]
    return status


def container_state(record: ContainerRecord) -> Object:
    """v1.ContainerState of one instance."""
    if record.state is State.RUNNING:
        return {"running": {"startedAt": _time(record.started_at)}}
    if record.state is State.EXITED:
        terminated: Object = {
            "exitCode": record.exit_code,
            "reason": record.reason,
            "startedAt": _time(record.started_at),
            "finishedAt": _time(record.finished_at),
            "containerID": f"{RUNTIME_NAME}://{record.id}",
        }
        if record.message:
            terminated["message"] = record.message
        return {"terminated": terminated}
    return {"waiting": {}}


def _time(nanoseconds: int) -> str | None:
    if nanoseconds <= 0:
        return "1970-01-01T00:00:00Z" if nanoseconds == 0 else None
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lost(pod: Object) -> Object:
    """For a container that ran and of which the runtime no longer knows anything."""
    text = "The container could not be located when the pod was deleted.  The container used to be Running"
    return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": text, "startedAt": None, "finishedAt": None}}


def _any_main_created(pod: Object, runtime: PodRuntime) -> bool:
    return any(runtime.latest(c["name"]) for c in specs.containers(pod))


def _apply_waiting(pod: Object, container: Object, runtime: PodRuntime, inputs: Inputs, status: Object, key: str) -> None:
    """A container that is to be started and could not be is Waiting, with the reason why."""
    reason = inputs.waiting.get(container["name"])
    record = runtime.latest(container["name"])
    succeeded = record is not None and record.state is State.EXITED and record.exit_code == 0
    if key == "initContainerStatuses" and succeeded and not specs.is_sidecar(container):
        return
    if reason is None or inputs.terminal or not lifecycle.should_start(container, pod, runtime):
        return
    if "terminated" in status["state"]:
        status["lastState"] = status["state"]
    status["state"] = {"waiting": {"reason": reason.reason} | ({"message": reason.message} if reason.message else {})}


def _apply_readiness(container: Object, record: ContainerRecord | None, inputs: Inputs, status: Object, key: str) -> None:
    if key == "ephemeralContainerStatuses":
        return
    running = record is not None and record.state is State.RUNNING and "running" in status["state"]
    started = running and record is not None and inputs.started(record, container)
    status["started"] = started
    if key == "initContainerStatuses" and not specs.is_sidecar(container):
        ended = status["state"].get("terminated")
        status["ready"] = ended is not None and ended["exitCode"] == 0
        return
    status["ready"] = started and record is not None and inputs.ready(record, container)


# -- phase


@dataclass(slots=True)
class _Tally:
    unknown: int = 0
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    final: int = 0
    """Stopped and not to be started again."""
    succeeded: int = 0
    pending_init: int = 0
    pending_sidecars: int = 0
    init_failed: int = 0


def _phase(pod: Object, by_name: Mapping[str, Object], terminal: bool) -> str:
    tally = _Tally()
    for container in specs.init_containers(pod):
        count = _tally_sidecar if specs.is_sidecar(container) else _tally_init
        count(tally, container, pod, by_name.get(container["name"]))
    for container in specs.containers(pod):
        _tally_main(tally, container, pod, by_name.get(container["name"]))
    if tally.init_failed:
        return "Failed"
    main_ran = any(_ran(by_name.get(c["name"])) for c in specs.containers(pod))
    if tally.pending_init or (tally.pending_sidecars and not main_ran) or tally.waiting:
        return "Pending"
    if tally.running and not tally.unknown:
        return "Running"
    if tally.stopped and not tally.unknown:
        if terminal and not specs.is_static(pod):
            return "Succeeded" if tally.stopped == tally.succeeded else "Failed"
        if tally.stopped != tally.final:
            return "Running"
        return "Succeeded" if tally.stopped == tally.succeeded else "Failed"
    return "Pending"


def _ran(status: Object | None) -> bool:
    return status is not None and ("running" in status["state"] or _ended(status) is not None)


def _ended(status: Object) -> Object | None:
    """The terminated state of a container that has stopped, also of one that waits to be started again."""
    if "terminated" in status["state"]:
        ended: Object = status["state"]["terminated"]
        return ended
    if "running" in status["state"]:
        return None
    return (status.get("lastState") or {}).get("terminated")


def _tally_init(tally: _Tally, container: Object, pod: Object, status: Object | None) -> None:
    ended = _ended(status) if status else None
    if ended is None:
        tally.pending_init += 1
    elif ended["exitCode"]:
        if specs.should_restart(container, pod, ended["exitCode"]):
            tally.pending_init += 1
        else:
            tally.init_failed += 1


def _tally_sidecar(tally: _Tally, container: Object, pod: Object, status: Object | None) -> None:
    if status is None:
        tally.unknown += 1
    elif "running" in status["state"]:
        tally.running += 1
        tally.pending_sidecars += not status.get("started")
    elif _ended(status) is None:
        tally.pending_sidecars += 1
        tally.waiting += 1


def _tally_main(tally: _Tally, container: Object, pod: Object, status: Object | None) -> None:
    if status is None:
        tally.unknown += 1
    elif "running" in status["state"]:
        tally.running += 1
    elif (ended := _ended(status)) is None:
        tally.waiting += 1
    else:
        tally.stopped += 1
        tally.final += not specs.should_restart(container, pod, ended["exitCode"])
        tally.succeeded += "terminated" in status["state"] and ended["exitCode"] == 0


# -- conditions


def _conditions(
    pod: Object, runtime: PodRuntime, inputs: Inputs, phase: str, main: Sequence[Object], init: Sequence[Object]
) -> list[Object]:
    api = (pod.get("status") or {}).get("conditions") or ()
    foreign = [c for c in api if c["type"] not in OWN_CONDITIONS and c["type"] not in resize.CONDITIONS]
    if kept := [c for c in inputs.previous.get("conditions") or () if c["type"] == "DisruptionTarget"]:
        foreign = [c for c in foreign if c["type"] != "DisruptionTarget"] + kept
    containers_ready = _containers_ready(pod, phase, {s["name"]: s for s in (*main, *init)})
    own = [
        ("PodReadyToStartContainers", _plain(not lifecycle.sandbox_need(pod, runtime).new and not inputs.terminal)),
        ("Initialized", _initialized(pod, phase, main, init)),
        ("Ready", _pod_ready(pod, containers_ready, foreign)),
        ("ContainersReady", containers_ready),
        ("PodScheduled", _plain(True)),
        *((kind, _Verdict(True, reason, message)) for kind, (reason, message) in inputs.resize.items()),
    ]
    earlier = {c["type"]: c for c in (*api, *(inputs.previous.get("conditions") or ()))}
    return foreign + [_condition(pod, kind, verdict, earlier.get(kind), inputs.now) for kind, verdict in own]


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: bool
    reason: str = ""
    message: str = ""


def _plain(value: bool) -> _Verdict:
    return _Verdict(value)


def _condition(pod: Object, kind: str, verdict: _Verdict, earlier: Object | None, now: str) -> Object:
    value = "True" if verdict.status else "False"
    changed = earlier is None or earlier.get("status") != value
    condition: Object = {"type": kind, "status": value, "lastProbeTime": None}
    condition["lastTransitionTime"] = now if changed or earlier is None else earlier.get("lastTransitionTime") or now
    if generation := specs.generation(pod):
        condition["observedGeneration"] = generation
    if verdict.reason:
        condition["reason"] = verdict.reason
    if verdict.message:
        condition["message"] = verdict.message
    return condition


_FINISHED = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}


def _containers_ready(pod: Object, phase: str, by_name: Mapping[str, Object]) -> _Verdict:
    names = [c["name"] for c in (*(c for c in specs.init_containers(pod) if specs.is_sidecar(c)), *specs.containers(pod))]
    unknown = [name for name in names if name not in by_name]
    unready = [name for name in names if name in by_name and not by_name[name]["ready"]]
    if phase == "Failed" or (phase == "Succeeded" and not unknown):
        return _Verdict(False, _FINISHED[phase])
    return _complaint("ContainersNotReady", ("unknown", unknown), ("unready", unready))


def _complaint(reason: str, *groups: tuple[str, list[str]]) -> _Verdict:
    parts = [f"containers with {kind} status: [{' '.join(names)}]" for kind, names in groups if names]
    return _Verdict(False, reason, ", ".join(parts)) if parts else _Verdict(True)


def _initialized(pod: Object, phase: str, main: Sequence[Object], init: Sequence[Object]) -> _Verdict:
    by_name = {s["name"]: s for s in init}
    unknown = [c["name"] for c in specs.init_containers(pod) if c["name"] not in by_name]
    incomplete = [
        c["name"]
        for c in specs.init_containers(pod)
        if c["name"] in by_name and not by_name[c["name"]]["started" if specs.is_sidecar(c) else "ready"]
    ]
    if phase == "Succeeded" and not unknown:
        return _Verdict(True, "PodCompleted")
    if any("running" in s["state"] or "terminated" in s["state"] or s["lastState"].get("terminated") for s in main):
        return _Verdict(True)
    return _complaint("ContainersNotInitialized", ("unknown", unknown), ("incomplete", incomplete))


def _pod_ready(pod: Object, containers_ready: _Verdict, foreign: Sequence[Object]) -> _Verdict:
    if not containers_ready.status:
        return containers_ready
    given = {c["type"]: c for c in foreign}
    problems: list[str] = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in given:
            problems.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif given[kind]["status"] != "True":
            problems.append(f'the status of pod readiness gate "{kind}" is not "True", but {given[kind]["status"]}')
    return _Verdict(False, "ReadinessGatesNotReady", ", ".join(problems)) if problems else _Verdict(True)


# -- addresses


def _addresses(pod: Object, runtime: PodRuntime, inputs: Inputs) -> Object:
    addresses: Object = {}
    if inputs.host_ips:
        addresses |= {"hostIP": inputs.host_ips[0], "hostIPs": [{"ip": ip} for ip in inputs.host_ips]}
    ips = list(inputs.host_ips) if specs.is_host_network(pod) else list(runtime.ips)
    if not ips and not specs.is_host_network(pod):
        # A pod keeps showing the address it had: endpoints controllers take it out by readiness, not by address.
        ips = [entry["ip"] for entry in inputs.previous.get("podIPs") or ()]
    if ips:
        addresses |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    return addresses


# -- writing


def status_patch(uid: str, old: Object, new: Object) -> Object | None:
    """The strategic merge patch from the API's status to `new`, or None when they agree.

    Conditions of other owners are never touched. The UID makes sure that a pod of the same name made later is not patched.
    """
    changes: Object = {}
    for key in ("phase", "reason", "message", "observedGeneration", "hostIP", "podIP", "startTime", "qosClass", "resources"):
        if old.get(key) != new.get(key):
            changes[key] = new.get(key)
    for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        if _pruned(old.get(key) or []) != _pruned(new.get(key) or []):
            changes[key] = new.get(key)
    for key in ("podIPs", "hostIPs"):
        had_ips, ips = old.get(key) or [], new.get(key) or []
        if had_ips != ips:
            changes[key] = [*ips, *({"$patch": "delete", **entry} for entry in had_ips if entry not in ips)]
    had = {c["type"]: c for c in old.get("conditions") or ()}
    kinds = (*OWN_CONDITIONS, *resize.CONDITIONS, "DisruptionTarget")
    own = {c["type"]: c for c in new.get("conditions") or () if c["type"] in kinds}
    differing = [_pruned(c) for kind, c in own.items() if _pruned(had.get(kind)) != _pruned(c)]
    for condition in differing:
        for key in ("reason", "message"):
            if key not in condition and key in had.get(condition["type"], {}):
                condition[key] = None
    differing += [{"$patch": "delete", "type": kind} for kind in resize.CONDITIONS if kind in had and kind not in own]
    if differing:
        changes["conditions"] = differing
    if not changes:
        return None
    return {"metadata": {"uid": uid}, "status": changes}


def _pruned(value: Any) -> Any:
    """Without nulls, which the API server does not keep."""
    if isinstance(value, dict):
        return {k: _pruned(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_pruned(v) for v in value]
    return value
