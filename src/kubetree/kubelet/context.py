"""What every pod worker is given: the parts of the kubelet, wired once at start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from kubetree.kubelet.api_objects import ApiObjects
from kubetree.kubelet.backoff import Backoff
from kubetree.kubelet.cgroups import Cgroups
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.dns import DnsSettings
from kubetree.kubelet.downward import NodeResources, PodAddresses
from kubetree.kubelet.image_manager import ImageManager
from kubetree.kubelet.probes.prober import Prober
from kubetree.kubelet.runtime import Runtime
from kubetree.kubelet.tokens import Tokens
from kubetree.kubelet.volumes.manager import VolumeManager

Object = dict[str, Any]


class Events(Protocol):
    def pod_event(self, pod: Object, type_: str, reason: str, message: str, container: str = "") -> None:
        """Report about a pod, or about one of its containers."""


class Publisher(Protocol):
    def publish(self, pod: Object, status: Object) -> None:
        """Bring a pod's status to the API, some time soon."""

    def latest(self, uid: str) -> Object | None:
        """The last status published for a pod."""

    def finished(self, pod: Object) -> None:
        """Nothing of the pod runs here any more: it may be deleted from the API when that was asked for."""

    def forget(self, uid: str) -> None:
        """The pod's object is gone and so is everything of it."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The node as pods see it."""

    memory_capacity: int = 0
    host_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)
    node_hosts: str = ""

    @property
    def resources(self) -> NodeResources:
        return NodeResources(self.allocatable)


@dataclass(slots=True)
class NodeContext:
    config: KubeletConfig
    dns: DnsSettings
    facts: NodeFacts
    runtime: Runtime
    images: ImageManager
    volumes: VolumeManager
    prober: Prober
    cgroups: Cgroups
    objects: ApiObjects
    tokens: Tokens
    events: Events
    publisher: Publisher
    restart_backoff: Backoff
    services: Callable[[], Sequence[Object] | None]
    """Every Service, or None while they have not been read yet."""
    network_failure: Callable[[], str]
    """Why the pod network is not ready, or ''."""
    now: Callable[[], datetime]
    """Aware, UTC."""
    neighbours: Callable[[str], Sequence[Object]]
    """The pods that use the node beside the one with this UID, with what they have been allocated."""

    def addresses(self, pod: Object) -> PodAddresses:
        """Addresses of a pod as its last status says."""
        status = self.publisher.latest(pod["metadata"]["uid"]) or pod.get("status") or {}
        return PodAddresses(tuple(entry["ip"] for entry in status.get("podIPs") or ()), self.facts.host_ips)
