"""The life of a pod on its node, without I/O: which stage it is in and what has to be done next.

A pod is kept in line with its spec (SYNC) until something ends it; then its containers are stopped (TERMINATING), then its
volumes and cgroups are taken down (TERMINATED), then it is forgotten (FINISHED). Within SYNC, `decide` compares the spec with what
the runtime has and answers with a Plan; the pod worker carries it out. Follows pkg/kubelet/pod_workers.go and computePodActions
of pkg/kubelet/kuberuntime.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubetree.kubelet import specs
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, State

Object = dict[str, Any]


class Stage(enum.Enum):
    SYNC = "sync"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    FINISHED = "finished"


class Cause(enum.Enum):
    """What moves a pod from one stage to the next."""

    DELETED = "deleted"
    """A deletion timestamp, a manifest that went away, or a pod that vanished from the API."""
    EVICTED = "evicted"
    COMPLETED = "completed"
    """Every container ended and none is to be started again."""
    STOPPED = "stopped"
    """No container and no sandbox of the pod runs."""
    CLEANED = "cleaned"
    """Volumes and cgroups are gone."""


TRANSITIONS: Mapping[tuple[Stage, Cause], Stage] = {
    (Stage.SYNC, Cause.DELETED): Stage.TERMINATING,
    (Stage.SYNC, Cause.EVICTED): Stage.TERMINATING,
    (Stage.SYNC, Cause.COMPLETED): Stage.TERMINATING,
    (Stage.TERMINATING, Cause.DELETED): Stage.TERMINATING,
    (Stage.TERMINATING, Cause.EVICTED): Stage.TERMINATING,
    (Stage.TERMINATING, Cause.COMPLETED): Stage.TERMINATING,
    (Stage.TERMINATING, Cause.STOPPED): Stage.TERMINATED,
    (Stage.TERMINATED, Cause.DELETED): Stage.TERMINATED,
    (Stage.TERMINATED, Cause.EVICTED): Stage.TERMINATED,
    (Stage.TERMINATED, Cause.CLEANED): Stage.FINISHED,
    (Stage.FINISHED, Cause.DELETED): Stage.FINISHED,
    (Stage.FINISHED, Cause.EVICTED): Stage.FINISHED,
}


def advance(stage: Stage, cause: Cause) -> Stage:
    """The stage after `cause`. Raises KeyError for a pair that cannot happen, which is a defect of the caller."""
    return TRANSITIONS[stage, cause]


class KillReason(enum.Enum):
    """Why a container is killed; probes may have a grace period of their own."""

    UNKNOWN = ""
    LIVENESS_PROBE = "livenessProbe"
    STARTUP_PROBE = "startupProbe"
    POST_START_HOOK = "postStartHook"


class Role(enum.Enum):
    INIT = "init container"
    MAIN = "container"
    EPHEMERAL = "ephemeral container"


@dataclass(frozen=True, slots=True)
class Start:
    container: str
    role: Role


@dataclass(frozen=True, slots=True)
class Kill:
    id: str
    container: str
    message: str
    reason: KillReason = KillReason.UNKNOWN


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in this order: kill the pod or single containers, make a sandbox, start containers."""

    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    kill: tuple[Kill, ...] = ()
    start: tuple[Start, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeResults:
    """Outcomes by container id; an id is missing until its probe has one."""

    liveness: Mapping[str, bool] = field(default_factory=dict)
    startup: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxNeed:
    """Whether a new sandbox is needed, and its attempt number."""

    new: bool
    attempt: int


def sandbox_need(pod: Object, runtime: PodRuntime) -> SandboxNeed:
    if not runtime.sandboxes:
        return SandboxNeed(True, 0)
    latest = runtime.sandboxes[0]
    ready = sum(sandbox.ready for sandbox in runtime.sandboxes)
    host = specs.is_host_network(pod)
    unusable = ready > 1 or not latest.ready or latest.host_network != host or (not host and not latest.ips)
    return SandboxNeed(unusable, latest.attempt + 1 if unusable else latest.attempt)


def should_start(container: Object, pod: Object, runtime: PodRuntime) -> bool:
    """Whether a container that does not run is to be started (again)."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    record = runtime.latest(container["name"])
    if record is None or record.state in (State.UNKNOWN, State.CREATED):
        return True
    return record.state is State.EXITED and specs.should_restart(container, pod, record.exit_code)


def decide(pod: Object, runtime: PodRuntime, probes: ProbeResults) -> Plan:
    """The Plan that brings the runtime's state closer to the spec; an empty one when nothing is to be done."""
    need = sandbox_need(pod, runtime)
    if need.new:
        return _plan_new_sandbox(pod, runtime, need.attempt)

    start = [
        Start(c["name"], Role.EPHEMERAL) for c in specs.ephemeral_containers(pod) if runtime.latest(c["name"]) is None
    ]  # ephemeral containers are never restarted
    init = _plan_init_containers(pod, runtime, probes)
    if init.kill_pod or not init.initialized:
        return Plan(init.kill_pod, attempt=need.attempt, kill=tuple(init.kill), start=(*start, *init.start))

    main_start, kill, kept = _plan_main_containers(pod, runtime, probes)
    if not kept and not main_start:
        # Sidecars alone do not keep a pod alive.
        return Plan(kill_pod=True, attempt=need.attempt, kill=(*init.kill, *kill), start=tuple(start))
    return Plan(attempt=need.attempt, kill=(*init.kill, *kill), start=(*start, *init.start, *main_start))


def _plan_new_sandbox(pod: Object, runtime: PodRuntime, attempt: int) -> Plan:
    if not specs.restarts_on_failure(pod) and attempt and runtime.containers:
        return Plan(kill_pod=True, attempt=attempt)
    start = [c for c in specs.containers(pod) if not (_runs_once(c, pod) and _succeeded(runtime.latest(c["name"])))]
    if not start and any(runtime.latest(c["name"]) for c in specs.containers(pod)):
        return Plan(kill_pod=True, attempt=attempt)
    first = specs.init_containers(pod)[:1]
    starts = tuple(Start(c["name"], Role.INIT) for c in first) or tuple(Start(c["name"], Role.MAIN) for c in start)
    return Plan(kill_pod=True, create_sandbox=True, attempt=attempt, start=starts)


def _runs_once(container: Object, pod: Object) -> bool:
    return (container.get("restartPolicy") or specs.restart_policy(pod)) == "OnFailure"


def _succeeded(record: ContainerRecord | None) -> bool:
    return record is not None and record.state is State.EXITED and record.exit_code == 0


def _plan_main_containers(pod: Object, runtime: PodRuntime, probes: ProbeResults) -> tuple[list[Start], list[Kill], int]:
    start: list[Start] = []
    kill: list[Kill] = []
    kept = 0
    for container in specs.containers(pod):
        name, record = container["name"], runtime.latest(container["name"])
        if record is None or record.state is not State.RUNNING:
            if should_start(container, pod, runtime):
                start.append(Start(name, Role.MAIN))
                if record is not None and record.state is State.UNKNOWN:
                    kill.append(Kill(record.id, name, 'Container is in "unknown" state, try killing it before restart'))
            continue
        trouble = _trouble(f"Container {name}", container, record, probes)
        if trouble is None:
            kept += 1
            continue
        message, reason, restart = trouble
        if restart or (container.get("restartPolicy") or specs.restart_policy(pod)) != "Never":
            message += ", will be restarted"
            start.append(Start(name, Role.MAIN))
        kill.append(Kill(record.id, name, message, reason))
    return start, kill, kept


def _trouble(subject: str, container: Object, record: ContainerRecord, probes: ProbeResults) -> tuple[str, KillReason, bool] | None:
    """Why a running container has to go: message, reason, and whether it is restarted whatever the policy says."""
    if record.hash and record.hash != specs.container_hash(container):
        return f"{subject} definition changed", KillReason.UNKNOWN, True
    if probes.liveness.get(record.id) is False:
        return f"{subject} failed liveness probe", KillReason.LIVENESS_PROBE, False
    if probes.startup.get(record.id) is False:
        return f"{subject} failed startup probe", KillReason.STARTUP_PROBE, False
    return None


@dataclass(slots=True)
class _InitPlan:
    initialized: bool = True
    kill_pod: bool = False
    start: list[Start] = field(default_factory=list)
    kill: list[Kill] = field(default_factory=list)


def _plan_init_containers(pod: Object, runtime: PodRuntime, probes: ProbeResults) -> _InitPlan:
    """Which init container is next, and which sidecars have to be started again.

    Read backwards: the last one with a record tells how far initialization got, because finished ones may have been removed.
    """
    inits = specs.init_containers(pod)
    plan = _InitPlan()
    if not inits:
        return plan
    main = (runtime.latest(c["name"]) for c in specs.containers(pod))
    initialized = any(r is not None and r.state in (State.CREATED, State.RUNNING) for r in main)
    passed = initialized
    """Whether some later init container, or a main one, has been reached already."""
    starting: list[int] = []
    for index in range(len(inits) - 1, -1, -1):
        container = inits[index]
        record = runtime.latest(container["name"])
        if record is None:
            if passed and specs.is_sidecar(container):
                starting.append(index)
            continue
        if passed and not specs.is_sidecar(container):
            continue
        outcome = _judge_init(container, record, pod, probes, plan)
        if plan.kill_pod:
            plan.initialized = False
            plan.start = []
            return plan
        if outcome.done:
            if index == len(inits) - 1:
                initialized = True
            elif not passed:
                starting.append(index + 1)
        if outcome.start:
            starting.append(index)
        passed = True
    if not passed:
        starting.append(0)
    plan.start = [Start(inits[index]["name"], Role.INIT) for index in reversed(starting)]
    plan.initialized = initialized
    return plan


@dataclass(frozen=True, slots=True)
class _InitOutcome:
    done: bool = False
    """This init container no longer holds the next one back."""
    start: bool = False


def _judge_init(container: Object, record: ContainerRecord, pod: Object, probes: ProbeResults, plan: _InitPlan) -> _InitOutcome:
    sidecar = specs.is_sidecar(container)
    if record.state is State.CREATED:
        return _InitOutcome(start=True)
    if record.state is State.RUNNING:
        return _judge_running_sidecar(container, record, probes, plan) if sidecar else _InitOutcome()
    if record.state is State.EXITED:
        if sidecar:
            return _InitOutcome(start=True)
        if record.exit_code == 0:
            return _InitOutcome(done=True)
        if not should_start(container, pod, PodRuntime(containers=(record,))):
            plan.kill_pod = True
            return _InitOutcome()
        return _InitOutcome(start=True)
    if not sidecar and (container.get("restartPolicy") or specs.restart_policy(pod)) == "Never":
        plan.kill_pod = True
        return _InitOutcome()
    plan.kill.append(Kill(record.id, container["name"], 'Init container is in "unknown" state, try killing it before restart'))
    return _InitOutcome(start=True)


def _judge_running_sidecar(container: Object, record: ContainerRecord, probes: ProbeResults, plan: _InitPlan) -> _InitOutcome:
    subject = f"Init container {container['name']}"
    if container.get("startupProbe"):
        started = probes.startup.get(record.id)
        if started is not True:
            if started is False:
                plan.kill.append(Kill(record.id, container["name"], f"{subject} failed startup probe", KillReason.STARTUP_PROBE))
            return _InitOutcome(start=started is False)
    trouble = _trouble(subject, container, record, ProbeResults(liveness=probes.liveness))
    if trouble:
        message, reason, _ = trouble
        plan.kill.append(Kill(record.id, container["name"], message, reason))
    return _InitOutcome(done=True, start=trouble is not None)


def termination_order(pod: Object) -> list[list[str]]:
    """Names of containers in the order in which they stop: all main and ordinary init containers at once, then sidecars one by one,
    the last in the spec first. Each group waits for the one before it."""
    first = [c["name"] for c in specs.every_container(pod) if not specs.is_sidecar(c) or c in specs.containers(pod)]
    sidecars = [c["name"] for c in specs.init_containers(pod) if specs.is_sidecar(c)]
    return [first, *([name] for name in reversed(sidecars))]


def kill_grace_period(pod: Object, container: Object, reason: KillReason) -> int:
    """Seconds that a container gets: a probe's own terminationGracePeriodSeconds counts when that probe is the reason."""
    probe = {KillReason.LIVENESS_PROBE: "livenessProbe", KillReason.STARTUP_PROBE: "startupProbe"}.get(reason)
    own = (container.get(probe) or {}).get("terminationGracePeriodSeconds") if probe else None
    if own is not None and pod["metadata"].get("deletionGracePeriodSeconds") is None:
        return int(own)
    return specs.grace_period(pod)
