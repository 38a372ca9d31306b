"""What a volume plugin is: a kind of volume source, and how it becomes a directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubetree.kubelet.downward import NodeResources, PodAddresses

Object = dict[str, Any]


class VolumeError(Exception):
    """A volume cannot be set up now; the message follows upstream's after `MountVolume.SetUp failed for volume "x" : `."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What plugins need of the kubelet. Getters raise VolumeError or answer None for what does not exist."""

    config_map: Callable[[str, str], Awaitable[Object | None]]
    secret: Callable[[str, str], Awaitable[Object | None]]
    token: Callable[[Object, Object], Awaitable[str]]
    """`token(pod, serviceAccountToken projection)`."""
    addresses: Callable[[Object], PodAddresses]
    node: NodeResources


@dataclass(frozen=True, slots=True)
class Request:
    """One volume of one pod to be set up at `directory`."""

    pod: Object
    volume: Object
    directory: Path
    surroundings: Surroundings

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def fs_group(self) -> int | None:
        group = (self.pod["spec"].get("securityContext") or {}).get("fsGroup")
        return None if group is None else int(group)

    @property
    def fs_user(self) -> int | None:
        """The user whom every container runs as, where that is one and the same."""
        pod_user = (self.pod["spec"].get("securityContext") or {}).get("runAsUser")
        users = set()
        for container in (*(self.pod["spec"].get("initContainers") or ()), *self.pod["spec"]["containers"]):
            users.add((container.get("securityContext") or {}).get("runAsUser", pod_user))
        only = users.pop() if len(users) == 1 else None
        return None if only is None else int(only)


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that is ready to be mounted into containers."""

    path: Path
    readonly: bool = False


class Plugin(Protocol):
    """`source` is the field of the volume that names this kind, `directory_name` its directory as upstream calls it."""

    source: str
    directory_name: str

    async def set_up(self, request: Request) -> Volume: ...
