"""Fields behind feature gates: dropped from what is written while the gate is off, unless the object uses them already.

One function a kind: the new object is changed in place, `old` is None on creation, `on` are the gates that are on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubetree.api.feature_gates import Features

Object = dict[str, Any]
Drop = Callable[[Object, Object | None, Features], None]
_PROJECTIONS = {"clusterTrustBundle": "ClusterTrustBundleProjection", "podCertificate": "PodCertificateRequest"}


def _projected_sources(spec: Object | None) -> Iterator[Object]:
    for volume in (spec or {}).get("volumes") or ():
        projected = volume.get("projected")
        if projected:
            yield from projected.get("sources") or ()


def _containers(spec: Object | None) -> Iterator[Object]:
    for group in ("containers", "initContainers", "ephemeralContainers"):
        yield from (spec or {}).get(group) or ()


def _stop_signals(spec: Object | None) -> list[Object]:
    return [c for c in _containers(spec) if (c.get("lifecycle") or {}).get("stopSignal") is not None]


def _has_gated_fields(spec: Object) -> bool:
    """Whether a second look is worth it: nearly all pods have none of what is dropped."""
    if "schedulingGroup" in spec:
        return True
    for volume in spec.get("volumes") or ():
        if "ephemeral" in volume:
            return True
        projected = volume.get("projected")
        if projected:
            for source in projected.get("sources") or ():
                if "clusterTrustBundle" in source or "podCertificate" in source:
                    return True
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            if "lifecycle" in container:
                return True
    return False


def pod_spec(spec: Object | None, old: Object | None, on: Features) -> None:
    """ClusterTrustBundleProjection, PodCertificateRequest, ContainerStopSignals, GenericWorkload, CrossNamespaceVolumeDataSource."""
    if not spec or (old is None and not _has_gated_fields(spec)):
        return
    for source in _projected_sources(spec):
        for name, gate in _PROJECTIONS.items():
            if name in source and gate not in on and not any(s.get(name) is not None for s in _projected_sources(old)):
                del source[name]
    signals = _stop_signals(spec)
    if signals and "ContainerStopSignals" not in on and not _stop_signals(old):
        for container in signals:
            lifecycle = container["lifecycle"]
            del lifecycle["stopSignal"]
            if not lifecycle:
                del container["lifecycle"]
    if "GenericWorkload" not in on and spec.get("schedulingGroup") is not None and (old or {}).get("schedulingGroup") is None:
        del spec["schedulingGroup"]
    for volume in spec.get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template:
            claim_spec(template.get("spec"), None, on)


def claim_spec(spec: Object | None, old: Object | None, on: Features) -> None:
    """CrossNamespaceVolumeDataSource."""
    if "CrossNamespaceVolumeDataSource" in on:
        return
    reference = (spec or {}).get("dataSourceRef")
    if spec and reference and reference.get("namespace") and (old or {}).get("dataSourceRef") is None:
        del spec["dataSourceRef"]


def _spec(obj: Object | None, *path: str) -> Object | None:
    for name in path:
        obj = (obj or {}).get(name)
    return obj


def _in(*path: str) -> Drop:
    def drop(obj: Object, old: Object | None, on: Features) -> None:
        pod_spec(_spec(obj, *path), _spec(old, *path), on)

    return drop


def _claim(obj: Object, old: Object | None, on: Features) -> None:
    claim_spec(obj.get("spec"), (old or {}).get("spec"), on)


def _stateful_set(obj: Object, old: Object | None, on: Features) -> None:
    """MaxUnavailableStatefulSet, and what stands in templates."""
    pod_spec(_spec(obj, "spec", "template", "spec"), _spec(old, "spec", "template", "spec"), on)
    rolling = _spec(obj, "spec", "updateStrategy", "rollingUpdate")
    before = _spec(old, "spec", "updateStrategy", "rollingUpdate") or {}
    if rolling and "MaxUnavailableStatefulSet" not in on and before.get("maxUnavailable") is None:
        rolling.pop("maxUnavailable", None)


def _lease(obj: Object, old: Object | None, on: Features) -> None:
    """CoordinatedLeaderElection."""
    if "CoordinatedLeaderElection" in on:
        return
    spec = obj.get("spec") or {}
    for name in ("strategy", "preferredHolder"):
        if (_spec(old, "spec") or {}).get(name) is None:
            spec.pop(name, None)


def _node(obj: Object, old: Object | None, on: Features) -> None:
    """Dynamic kubelet configuration, which is gone."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if _spec(old, "spec", "configSource") is None:
        spec.pop("configSource", None)
    if _spec(old, "status", "config") is None:
        status.pop("config", None)


def _csi_driver(obj: Object, old: Object | None, on: Features) -> None:
    """VolumeLimitScaling."""
    if "VolumeLimitScaling" not in on and (_spec(old, "spec") or {}).get("preventPodSchedulingIfMissing") is None:
        (obj.get("spec") or {}).pop("preventPodSchedulingIfMissing", None)


_DEVICE_LISTS = ("bools", "ints", "strings", "versions")


def _resource_slice(obj: Object, old: Object | None, on: Features) -> None:
    """DRANodeAllocatableResources and DRAListTypeAttributes."""
    devices: Any = _spec(obj, "spec", "devices") or []
    before: Any = _spec(old, "spec", "devices") or []
    if "DRANodeAllocatableResources" not in on and not any(d.get("nodeAllocatableResourceMappings") for d in before):
        for device in devices:
            device.pop("nodeAllocatableResourceMappings", None)
    if "DRAListTypeAttributes" not in on and not any(
        name in (a or {}) for d in before for a in (d.get("attributes") or {}).values() for name in _DEVICE_LISTS
    ):
        for device in devices:
            for attribute in (device.get("attributes") or {}).values():
                for name in _DEVICE_LISTS:
                    attribute.pop(name, None)


_GROUP_FIELDS = {
    "schedulingConstraints": "TopologyAwareWorkloadScheduling",
    "resourceClaims": "DRAWorkloadResourceClaims",
    "disruptionMode": "WorkloadAwarePreemption",
    "priorityClassName": "WorkloadAwarePreemption",
    "priority": "WorkloadAwarePreemption",
}


def _group_fields(spec: Object, old: Object, on: Features) -> None:
    for name, gate in _GROUP_FIELDS.items():
        if gate not in on and not old.get(name):
            spec.pop(name, None)


def _pod_group(obj: Object, old: Object | None, on: Features) -> None:
    spec = obj.get("spec") or {}
    _group_fields(spec, _spec(old, "spec") or {}, on)
    spec.setdefault("disruptionMode", "Pod")  # a reader's default


def _workload(obj: Object, old: Object | None, on: Features) -> None:
    """Templates are compared by their places."""
    before: Any = _spec(old, "spec", "podGroupTemplates") or []
    for i, template in enumerate((obj.get("spec") or {}).get("podGroupTemplates") or ()):
        _group_fields(template, before[i] if i < len(before) else {}, on)
        template.setdefault("schedulingConstraints", None)  # always written


_TABLE: dict[tuple[str, str], Drop] = {
    ("v1", "Pod"): _in("spec"),
    ("v1", "PodTemplate"): _in("template", "spec"),
    ("v1", "ReplicationController"): _in("spec", "template", "spec"),
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Node"): _node,
    ("apps/v1", "DaemonSet"): _in("spec", "template", "spec"),
    ("apps/v1", "Deployment"): _in("spec", "template", "spec"),
    ("apps/v1", "ReplicaSet"): _in("spec", "template", "spec"),
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("batch/v1", "CronJob"): _in("spec", "jobTemplate", "spec", "template", "spec"),
    ("batch/v1", "Job"): _in("spec", "template", "spec"),
    ("coordination.k8s.io/v1", "Lease"): _lease,
    ("resource.k8s.io/v1", "ResourceSlice"): _resource_slice,
    ("scheduling.k8s.io/v1alpha2", "PodGroup"): _pod_group,
    ("scheduling.k8s.io/v1alpha2", "Workload"): _workload,
    ("storage.k8s.io/v1", "CSIDriver"): _csi_driver,
}


def drop_disabled(api_version: str, kind: str, obj: Object, old: Object | None, on: Features) -> None:
    """Drops, in place, what is behind gates other than those `on`, and `old` (None: there is none) does not use already."""
    drop = _TABLE.get((api_version, kind))
    if drop is not None:
        drop(obj, old, on)
