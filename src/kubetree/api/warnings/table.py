"""What the server tells a client that did something legal but unwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.kinds import Kind
from kubetree.api.validation.pods.template import Template
from kubetree.api.warnings import cluster, definitions, network
from kubetree.api.warnings.pods import pod_warnings
from kubetree.api.warnings.values import Texts, claim_spec, host_name

Thing = dict[str, Any]
Warn = Callable[[Texts, Thing, Thing | None], None]
_POD = "the Pod's hostname"
_PODS = "Pod names and hostnames"


def _changed(obj: Thing, old: Thing) -> bool:
    after, before = obj["metadata"].get("generation", 0), old["metadata"].get("generation", 0)
    return bool(after != before)


def _pod(out: Texts, obj: Thing, old: Thing | None) -> None:
    """Of new ones only: later writes come from controllers."""
    if old is None:
        metadata = obj["metadata"]
        host_name(out, metadata.get("name") or "", _POD)
        pod_warnings(out, {"metadata": {"annotations": metadata.get("annotations")}, "spec": obj.get("spec")})


@lru_cache(maxsize=256)
def _is_silent(template: bytes) -> bool:
    """Whether there is nothing to say about pods of one template, found once."""
    out: Texts = []
    pod_warnings(out, orjson.loads(template))
    return not out


def _workload(*, names_pods: bool) -> Warn:
    def warn(out: Texts, obj: Thing, old: Thing | None) -> None:
        if old is None and names_pods:
            host_name(out, obj["metadata"].get("name") or "", _PODS)
        if old is None or _changed(obj, old):
            pod_warnings(out, (obj.get("spec") or {}).get("template") or {}, "spec.template.")

    return warn


def _pod_template(out: Texts, obj: Thing, old: Thing | None) -> None:
    if old is None or _changed(obj, old):
        pod_warnings(out, obj.get("template") or {}, "template.")


_templated = _workload(names_pods=False)


def _stateful_set(out: Texts, obj: Thing, old: Thing | None) -> None:
    _templated(out, obj, old)
    spec = obj.get("spec") or {}
    for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        at = f"spec.volumeClaimTemplates[{i}]"
        claim_spec(out, claim.get("spec") or {}, at if old is None else f"{at}.Spec")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        out.append("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended")


def _job_spec(out: Texts, spec: Thing, path: str) -> None:
    many = (spec.get("completions") or 0) > 100_000 and (spec.get("parallelism") or 0) > 10_000
    if many and spec.get("completionMode") == "Indexed":
        out.append(
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might "
            "not be able to track completedIndexes when a big number of indexes fail"
        )
    pod_warnings(out, spec.get("template") or {}, f"{path}.template.")


def _job(out: Texts, obj: Thing, old: Thing | None) -> None:
    if old is None:
        host_name(out, obj["metadata"].get("name") or "", _PODS)
    if old is None or _changed(obj, old):
        _job_spec(out, obj.get("spec") or {}, "spec")


def _cron_job(out: Texts, obj: Thing, old: Thing | None) -> None:
    spec = obj.get("spec") or {}
    if old is None:
        host_name(out, obj["metadata"].get("name") or "", _PODS)
    if old is None or _changed(obj, old):
        _job_spec(out, (spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    if old is not None and "TZ" in (spec.get("schedule") or ""):
        manual = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"
        out.append(f"cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see {manual} for more details")


_named = _workload(names_pods=True)
_TABLE: dict[tuple[str, str], Warn] = {
    ("", "Endpoints"): network.endpoints,
    ("", "Node"): cluster.node,
    ("", "PersistentVolume"): cluster.persistent_volume,
    ("", "PersistentVolumeClaim"): cluster.persistent_volume_claim,
    ("", "Pod"): _pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): _named,
    ("", "Secret"): cluster.secret,
    ("", "Service"): network.service,
    ("", "ServiceAccount"): cluster.service_account,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): cluster.static_name,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): cluster.static_name,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): cluster.static_name,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): cluster.static_name,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): cluster.static_name,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): cluster.static_name,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definitions.definition,
    ("apps", "DaemonSet"): _templated,
    ("apps", "Deployment"): _named,
    ("apps", "ReplicaSet"): _named,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("discovery.k8s.io", "EndpointSlice"): network.endpoint_slice,
    ("networking.k8s.io", "Ingress"): network.ingress,
    ("networking.k8s.io", "NetworkPolicy"): network.network_policy,
    ("node.k8s.io", "RuntimeClass"): cluster.runtime_class,
    ("resource.k8s.io", "ResourceSlice"): cluster.resource_slice,
    ("storage.k8s.io", "CSIDriver"): cluster.csi_driver,
    ("storage.k8s.io", "CSIStorageCapacity"): cluster.csi_storage_capacity,
    ("storage.k8s.io", "StorageClass"): cluster.storage_class,
}
_DEPRECATED = {
    ("v1", "ComponentStatus"): "v1 ComponentStatus is deprecated in v1.19+",
    ("v1", "Endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
_ENDS = """
    admissionregistration.k8s.io/v1alpha1 35 38 MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
    certificates.k8s.io/v1alpha1 34 37 ClusterTrustBundle
    coordination.k8s.io/v1alpha2 35 38 LeaseCandidate
    coordination.k8s.io/v1beta1 36 39 LeaseCandidate
    networking.k8s.io/v1beta1 34 37 IPAddress ServiceCIDR
    resource.k8s.io/v1alpha3 36 39 DeviceTaintRule
    resource.k8s.io/v1beta1 35 38 DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
    resource.k8s.io/v1beta2 36 39 DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
    storage.k8s.io/v1beta1 34 37 VolumeAttributesClass
"""
"""A version, the minor release since when it is deprecated and the one from which on it will not be there, and its kinds."""
_REPLACED = {("storage.k8s.io/v1beta1", "VolumeAttributesClass"): "; use storage.k8s.io/v1 VolumeAttributesClass"}
for _version, _since, _until, *_kinds in map(str.split, _ENDS.strip().splitlines()):
    for _name in _kinds:
        _end = f"{_version} {_name} is deprecated in v1.{_since}+, unavailable in v1.{_until}+"
        _DEPRECATED[_version, _name] = _end + _REPLACED.get((_version, _name), "")


def warnings(kind: Kind, obj: Thing, old: Thing | None, subresource: str = "", *, template: Template | None = None) -> list[str]:
    """Texts for Warning headers about a write, `old` None on creation. `template`: see validation.template_of."""
    if kind.behaviour is not None:
        return kind.behaviour.warnings(obj, old, subresource)
    out: Texts = []
    if template is not None and _is_silent(template.shape):
        host_name(out, obj["metadata"].get("name") or "", _POD)
        return out
    if subresource:
        if subresource == "status":
            network.status(out, kind, obj)
        return out
    warn = _TABLE.get((kind.group, kind.kind))
    if warn is not None:
        warn(out, obj, old)
    return out


def deprecation(kind: Kind) -> str:
    """What every request for a deprecated kind is answered with besides; empty for the others."""
    if kind.behaviour is not None:
        return kind.behaviour.deprecation
    return _DEPRECATED.get((kind.api_version, kind.kind), "")
