"""A pod as the scheduler sees it: what its spec means, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from kubetree.api.placement import HostPort, host_ports
from kubetree.scheduler.resources import Amounts, pod_requests, scored_requests


@dataclass(frozen=True, slots=True)
class PodInfo:
    """`static_shape` is equal for pods whose node selector, affinity, tolerations and node name are: what depends on these alone
    may be shared by them. `shape` adds resources and ports."""

    pod: dict[str, Any]
    namespace: str
    name: str
    uid: str
    labels: dict[str, str]
    priority: int
    requests: Amounts
    scored: Amounts
    host_ports: tuple[HostPort, ...]
    static_shape: bytes

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.pod["spec"]
        return spec

    @property
    def node(self) -> str:
        return self.pod["spec"].get("nodeName") or ""


_STATIC_FIELDS = ("nodeSelector", "tolerations", "nodeName")


def pod_info(pod: dict[str, Any]) -> PodInfo:
    metadata, spec = pod["metadata"], pod["spec"]
    static = {field: spec.get(field) for field in _STATIC_FIELDS}
    static["nodeAffinity"] = (spec.get("affinity") or {}).get("nodeAffinity")
    return PodInfo(
        pod=pod,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        priority=int(spec.get("priority") or 0),
        requests=pod_requests(spec),
        scored=scored_requests(spec),
        host_ports=host_ports(spec),
        static_shape=orjson.dumps(static, option=orjson.OPT_SORT_KEYS),
    )


def gated(pod: dict[str, Any]) -> bool:
    """A pod with scheduling gates is not looked at."""
    return bool(pod["spec"].get("schedulingGates"))


def finished(pod: dict[str, Any]) -> bool:
    """A pod that takes nothing of its node any more."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def created_at(pod: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
