"""What the runtime knows of one pod, as plain records: the lifecycle and the status are computed from these alone."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kubetree.kubelet.cri.messages import NamespaceMode, SandboxState

# Labels and annotations under which upstream's kubelet marks what it made; crictl and log collectors read them.
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
POD_GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
CONTAINER_PRE_STOP = "io.kubernetes.container.preStopHandler"


class State(enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


_STATES = (State.CREATED, State.RUNNING, State.EXITED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """One container instance, dead or alive. Times are nanoseconds since 1970, 0 when unset."""

    id: str
    name: str
    state: State
    restart_count: int = 0
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    hash: str = ""
    sandbox_id: str = ""
    log_path: str = ""


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    id: str
    ready: bool
    attempt: int = 0
    created_at: int = 0
    ips: tuple[str, ...] = ()
    host_network: bool = False


@dataclass(frozen=True, slots=True)
class PodRuntime:
    """Sandboxes and containers of one pod, newest first."""

    sandboxes: tuple[SandboxRecord, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()
    _by_name: dict[str, ContainerRecord] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for record in reversed(self.containers):
            self._by_name[record.name] = record

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest instance of the container `name`."""
        return self._by_name.get(name)

    def instances(self, name: str) -> list[ContainerRecord]:
        return [record for record in self.containers if record.name == name]

    @property
    def running(self) -> list[ContainerRecord]:
        """Containers that may still have a process."""
        return [r for r in self.containers if r.state in (State.RUNNING, State.UNKNOWN)]

    @property
    def ready_sandbox(self) -> SandboxRecord | None:
        return next((s for s in self.sandboxes if s.ready), None)

    @property
    def ips(self) -> tuple[str, ...]:
        """The newest sandbox's addresses; none for a pod on the host's network."""
        return self.sandboxes[0].ips if self.sandboxes and self.sandboxes[0].ready else ()


def newest_first(sandboxes: Iterable[SandboxRecord], containers: Iterable[ContainerRecord]) -> PodRuntime:
    return PodRuntime(
        tuple(sorted(sandboxes, key=lambda s: s.created_at, reverse=True)),
        tuple(sorted(containers, key=lambda c: c.created_at, reverse=True)),
    )


def container_record(status: Any, sandbox_id: str) -> ContainerRecord:
    """From a CRI ContainerStatus message."""
    annotations = status.annotations
    return ContainerRecord(
        id=status.id,
        name=status.labels.get(CONTAINER_NAME, status.metadata.name),
        state=_STATES[status.state],
        restart_count=int(annotations.get(RESTART_COUNT) or status.metadata.attempt),
        created_at=status.created_at,
        started_at=status.started_at,
        finished_at=status.finished_at,
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        image=status.image.image,
        image_ref=status.image_ref,
        hash=annotations.get(CONTAINER_HASH, ""),
        sandbox_id=sandbox_id,
        log_path=status.log_path,
    )


def sandbox_record(status: Any) -> SandboxRecord:
    """From a CRI PodSandboxStatus message."""
    network = status.linux.namespaces.options.network
    ips = [status.network.ip] if status.network.ip else []
    return SandboxRecord(
        id=status.id,
        ready=status.state == SandboxState.READY,
        attempt=status.metadata.attempt,
        created_at=status.created_at,
        ips=tuple(ips + [entry.ip for entry in status.network.additional_ips]),
        host_network=network == NamespaceMode.NODE,
    )
