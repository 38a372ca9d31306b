"""What is kept of objects in the caches: enough for every duty, and no more, since a cluster has many pods.

A slimmed object must never be written back whole. Duties patch pods, and update only kinds that are kept whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from kubetree.api.kinds import Kind

Object = dict[str, Any]

_POD_SPEC = (
    "nodeName", "hostname", "subdomain", "restartPolicy", "tolerations", "readinessGates", "terminationGracePeriodSeconds",
    "priority", "priorityClassName", "activeDeadlineSeconds", "affinity", "nodeSelector", "overhead", "resources",
    "topologySpreadConstraints", "hostNetwork", "schedulerName", "serviceAccountName", "schedulingGates",
    "schedulingGroup",
)  # fmt: skip
_CONTAINER = ("name", "image", "ports", "resources", "restartPolicy")
_POD_STATUS = (
    "phase", "conditions", "podIP", "podIPs", "reason", "startTime", "qosClass", "resize", "observedGeneration", "allocatedResources",
    "resources",
)  # fmt: skip
_ALIKE_SPEC = ("tolerations", "affinity", "topologySpreadConstraints", "nodeSelector")
_ALIKE_METADATA = ("labels", "ownerReferences", "finalizers")
_CONTAINER_STATUS = ("name", "restartCount", "state", "ready", "allocatedResources", "resources")


def without_managed_fields(obj: Object) -> Object:
    """The object less what no controller reads, and a third of a small one is."""
    metadata = obj["metadata"]
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {field: value for field, value in metadata.items() if field != "managedFields"}}


_POOL: dict[bytes, Any] = {}
_POOL_SIZE = 20_000


def shared(value: Any) -> Any:
    """The same value, one object for all that are equal: the pods of a ReplicaSet differ in little, and nobody changes any."""
    if len(_POOL) >= _POOL_SIZE:
        _POOL.clear()
    return _POOL.setdefault(orjson.dumps(value), value)


def metadata_only(obj: Object) -> Object:
    """For kinds that only the garbage collector looks at."""
    slim = without_managed_fields(obj)
    return {"apiVersion": slim["apiVersion"], "kind": slim["kind"], "metadata": slim["metadata"]}


def pod(obj: Object) -> Object:
    """A pod without what only its kubelet needs: environments, mounts, probes, commands, most volumes."""
    slim = without_managed_fields(obj)
    spec, status = slim["spec"], slim.get("status") or {}
    kept = _of(spec, _POD_SPEC)
    for field in ("containers", "initContainers"):
        if field in spec:
            kept[field] = shared([_of(container, _CONTAINER) for container in spec[field]])
    for field in _ALIKE_SPEC:
        if field in kept:
            kept[field] = shared(kept[field])
    metadata = {**slim["metadata"]}
    for field in _ALIKE_METADATA:
        if field in metadata:
            metadata[field] = shared(metadata[field])
    if volumes := [v for v in spec.get("volumes") or () if "persistentVolumeClaim" in v or "ephemeral" in v]:
        kept["volumes"] = volumes
    told = _of(status, _POD_STATUS)
    for field in ("containerStatuses", "initContainerStatuses"):
        if field in status:
            told[field] = [_of(container, _CONTAINER_STATUS) for container in status[field]]
    return {**slim, "metadata": metadata, "spec": kept, "status": told}


def config_map(obj: Object) -> Object:
    """Only the data of the CA bundle is read."""
    return without_managed_fields(obj) if obj["metadata"]["name"] == "kube-root-ca.crt" else metadata_only(obj)


def secret(obj: Object) -> Object:
    """Only what service accounts' secrets hold is read."""
    return without_managed_fields(obj) if obj.get("type") == "kubernetes.io/service-account-token" else metadata_only(obj)


def _of(obj: Mapping[str, Any], fields: Iterable[str]) -> Object:
    return {field: obj[field] for field in fields if field in obj}


_BY_KIND: dict[tuple[str, str], Callable[[Object], Object]] = {
    ("v1", "Pod"): pod,
    ("v1", "ConfigMap"): config_map,
    ("v1", "Secret"): secret,
}
_WHOLE = {("v1", "Service"), ("v1", "PersistentVolumeClaim"), ("v1", "ResourceQuota")}
"""Kept whole even when followed for their owners only: quotas count what they ask for."""


def slimming(kind: Kind, *, named: bool) -> Callable[[Object], Object]:
    """What to keep of a kind; `named` when a duty watches it by name and not just as one of all."""
    identity = (kind.api_version, kind.kind)
    found = _BY_KIND.get(identity)
    if found is not None:
        return found
    return without_managed_fields if named or identity in _WHOLE else metadata_only
