"""The table of strategies: one row a kind says who owns status and generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.strategies import hooks

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """How a kind is prepared.

    `status`: what status is on creation, fields that are not optional on the wire included; None for kinds where clients own it.
    `generation`: the paths whose change counts it up; empty for kinds that do not use it. `status_keeps_metadata`: writing
    status leaves labels, annotations, finalizers and owners alone (metav1.ResetObjectMetaForStatus).
    """

    status: Object | None = None
    generation: tuple[str, ...] = ()
    create: Callable[[Object], None] | None = None
    update: Callable[[Object, Object], None] | None = None
    status_update: Callable[[Object, Object], None] | None = None
    status_keeps_metadata: bool = False
    creates_on_update: bool = False
    starts_at: int = 1
    unconditional_update: bool = True


_SPEC = ("spec",)
_ADMISSION = "admissionregistration.k8s.io/v1"
_RBAC = "rbac.authorization.k8s.io/v1"
_LOAD_BALANCER: Object = {"loadBalancer": {}}

ROWS: dict[tuple[str, str], Row] = {
    ("v1", "Endpoints"): Row(creates_on_update=True),
    ("v1", "Event"): Row(creates_on_update=True),
    ("events.k8s.io/v1", "Event"): Row(creates_on_update=True),
    ("v1", "LimitRange"): Row(create=hooks.limit_range_create, creates_on_update=True),
    ("v1", "Namespace"): Row({"phase": "Active"}, create=hooks.namespace_create, update=hooks.namespace_update),
    ("v1", "Node"): Row(update=hooks.keep_status, status_update=hooks.node_status),
    ("v1", "PersistentVolume"): Row(
        {"phase": "Pending"}, create=hooks.persistent_volume_create, status_update=hooks.persistent_volume_status
    ),
    ("v1", "PersistentVolumeClaim"): Row({"phase": "Pending"}, create=hooks.claim_create, update=hooks.claim_update),
    ("v1", "Pod"): Row({}, _SPEC, hooks.pod_create, None, hooks.pod_status),
    ("v1", "PodTemplate"): Row(generation=("template",)),
    ("v1", "ReplicationController"): Row({"replicas": 0}, _SPEC),
    ("v1", "ResourceQuota"): Row({}),
    ("v1", "Secret"): Row(update=hooks.secret_update),
    ("v1", "ServiceAccount"): Row(create=hooks.service_account, update=lambda new, old: hooks.service_account(new)),
    ("v1", "Service"): Row(_LOAD_BALANCER, update=hooks.service_update, creates_on_update=True),
    (_ADMISSION, "MutatingAdmissionPolicy"): Row(generation=_SPEC, unconditional_update=False),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): Row(generation=_SPEC, unconditional_update=False),
    (_ADMISSION, "MutatingWebhookConfiguration"): Row(generation=("webhooks",), unconditional_update=False),
    (_ADMISSION, "ValidatingAdmissionPolicy"): Row({}, _SPEC, status_keeps_metadata=True, unconditional_update=False),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): Row(generation=_SPEC, unconditional_update=False),
    (_ADMISSION, "ValidatingWebhookConfiguration"): Row(generation=("webhooks",), unconditional_update=False),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): Row(
        {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None},
        _SPEC,
        hooks.definition_create,
        hooks.definition_update,
        unconditional_update=False,
    ),
    ("apiregistration.k8s.io/v1", "APIService"): Row(
        {}, create=hooks.api_service_create, status_keeps_metadata=True, unconditional_update=False
    ),
    ("apps/v1", "DaemonSet"): Row(
        {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
        _SPEC,
        hooks.daemon_set_create,
        hooks.daemon_set_update,
        hooks.daemon_set_status,
    ),
    ("apps/v1", "Deployment"): Row({}, ("spec", "metadata.annotations"), status_update=hooks.keep_labels),
    ("apps/v1", "ReplicaSet"): Row({"replicas": 0}, _SPEC),
    ("apps/v1", "StatefulSet"): Row({"replicas": 0, "availableReplicas": 0}, _SPEC),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): Row({"currentReplicas": 0, "desiredReplicas": 0}),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): Row({"desiredReplicas": 0, "currentMetrics": None}),
    ("batch/v1", "CronJob"): Row({}, _SPEC),
    ("batch/v1", "Job"): Row({}, _SPEC, hooks.job_create),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): Row({}, update=hooks.keep_spec),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle"): Row(unconditional_update=False),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest"): Row({}, status_keeps_metadata=True, unconditional_update=False),
    ("coordination.k8s.io/v1", "Lease"): Row(creates_on_update=True, unconditional_update=False),
    ("coordination.k8s.io/v1beta1", "LeaseCandidate"): Row(creates_on_update=True, unconditional_update=False),
    ("discovery.k8s.io/v1", "EndpointSlice"): Row(
        generation=("endpoints", "ports", "addressType", "metadata.labels"),
        create=hooks.endpoint_slice_create,
        update=hooks.endpoint_slice_update,
    ),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): Row({}, _SPEC, status_update=hooks.keep_generate_name, status_keeps_metadata=True),
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): Row(
        {}, _SPEC, status_update=hooks.keep_generate_name, status_keeps_metadata=True
    ),
    ("internal.apiserver.k8s.io/v1alpha1", "StorageVersion"): Row({}, status_keeps_metadata=True, unconditional_update=False),
    ("networking.k8s.io/v1", "Ingress"): Row(_LOAD_BALANCER, _SPEC),
    ("networking.k8s.io/v1", "IngressClass"): Row(generation=_SPEC),
    ("networking.k8s.io/v1", "NetworkPolicy"): Row(generation=_SPEC),
    ("networking.k8s.io/v1", "ServiceCIDR"): Row({}, status_keeps_metadata=True),
    ("node.k8s.io/v1", "RuntimeClass"): Row(unconditional_update=False),
    ("policy/v1", "PodDisruptionBudget"): Row(
        {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}, _SPEC, unconditional_update=False
    ),
    (_RBAC, "ClusterRole"): Row(creates_on_update=True),
    (_RBAC, "ClusterRoleBinding"): Row(creates_on_update=True),
    (_RBAC, "Role"): Row(creates_on_update=True),
    (_RBAC, "RoleBinding"): Row(creates_on_update=True),
    ("resource.k8s.io/v1", "DeviceClass"): Row(generation=_SPEC),
    ("resource.k8s.io/v1", "ResourceClaim"): Row({}, status_keeps_metadata=True),
    ("resource.k8s.io/v1", "ResourceSlice"): Row(generation=_SPEC, create=hooks.resource_slice_create),
    ("resource.k8s.io/v1alpha3", "DeviceTaintRule"): Row({}, _SPEC, status_keeps_metadata=True),
    ("resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest"): Row(
        create=hooks.without_status, update=hooks.keep_status, status_keeps_metadata=True, unconditional_update=False
    ),
    ("scheduling.k8s.io/v1", "PriorityClass"): Row(generation=("value",)),
    ("scheduling.k8s.io/v1alpha2", "PodGroup"): Row({}, status_keeps_metadata=True),
    ("storage.k8s.io/v1", "CSIDriver"): Row(generation=_SPEC, starts_at=0, unconditional_update=False),
    ("storage.k8s.io/v1", "CSINode"): Row(unconditional_update=False),
    ("storage.k8s.io/v1", "CSIStorageCapacity"): Row(unconditional_update=False),
    ("storage.k8s.io/v1", "VolumeAttachment"): Row({"attached": False}, status_keeps_metadata=True, unconditional_update=False),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration"): Row({}, status_keeps_metadata=True, unconditional_update=False),
}

_PLAIN = Row()
_BUILTIN_GROUPS = frozenset(
    {"", "apps", "autoscaling", "batch", "policy", "authentication.k8s.io", "authorization.k8s.io", "storage.k8s.io", "networking.k8s.io",
     "node.k8s.io", "resource.k8s.io", "certificates.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
     "admissionregistration.k8s.io"}
)  # fmt: skip


def is_custom(kind: Kind) -> bool:
    """A kind from a CustomResourceDefinition: no built-in row."""
    return kind.behaviour is not None or ((kind.api_version, kind.kind) not in ROWS and kind.group not in _BUILTIN_GROUPS)


def row(kind: Kind) -> Row:
    """The strategy of a built-in kind: of a version without a row, that of the version that it is stored as."""
    return ROWS.get((kind.api_version, kind.kind)) or ROWS.get((kind.stored_as, kind.kind), _PLAIN)
