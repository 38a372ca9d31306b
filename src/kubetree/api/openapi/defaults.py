"""Defaults that OpenAPI v3 names: most follow from a rule, the rest stand here, where the types of v1.36 say otherwise."""

from __future__ import annotations

from typing import Any

from kubetree.api.openapi.optional_fields import NONE, STATED, ZEROED

_ZERO: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}
_STATED: dict[str, Any] = STATED | {
    "core.v1.AzureDiskVolumeSource.cachingMode": "ReadWrite",
    "core.v1.AzureDiskVolumeSource.fsType": "ext4",
    "core.v1.AzureDiskVolumeSource.kind": "Shared",
    "core.v1.AzureDiskVolumeSource.readOnly": False,
    "core.v1.ContainerPort.protocol": "TCP",
    "core.v1.FileKeySelector.optional": False,
    "core.v1.ISCSIPersistentVolumeSource.iscsiInterface": "default",
    "core.v1.ISCSIVolumeSource.iscsiInterface": "default",
    "core.v1.RBDPersistentVolumeSource.keyring": "/etc/ceph/keyring",
    "core.v1.RBDPersistentVolumeSource.pool": "rbd",
    "core.v1.RBDPersistentVolumeSource.user": "admin",
    "core.v1.RBDVolumeSource.keyring": "/etc/ceph/keyring",
    "core.v1.RBDVolumeSource.pool": "rbd",
    "core.v1.RBDVolumeSource.user": "admin",
    "core.v1.ReplicationControllerSpec.replicas": 1,
    "core.v1.ScaleIOPersistentVolumeSource.fsType": "xfs",
    "core.v1.ScaleIOPersistentVolumeSource.storageMode": "ThinProvisioned",
    "core.v1.ScaleIOVolumeSource.fsType": "xfs",
    "core.v1.ScaleIOVolumeSource.storageMode": "ThinProvisioned",
    "core.v1.ServicePort.protocol": "TCP",
    "resource.v1.DeviceToleration.operator": "Equal",
}
_ZEROED = ZEROED | frozenset(
    [
        "apps.v1.StatefulSetOrdinals.start",
        "apps.v1.StatefulSetSpec.serviceName",
        "apps.v1.StatefulSetStatus.availableReplicas",
        "authentication.v1.TokenRequestStatus.token",
        "autoscaling.v1.ScaleSpec.replicas",
        "batch.v1.PodFailurePolicyOnPodConditionsPattern.status",
        "core.v1.ConfigMapEnvSource.name",
        "core.v1.ConfigMapKeySelector.name",
        "core.v1.ConfigMapProjection.name",
        "core.v1.ConfigMapVolumeSource.name",
        "core.v1.Event.reportingComponent",
        "core.v1.Event.reportingInstance",
        "core.v1.GRPCAction.service",
        "core.v1.LocalObjectReference.name",
        "core.v1.NodeRuntimeHandler.name",
        "core.v1.ReplicationControllerSpec.minReadySeconds",
        "core.v1.SecretEnvSource.name",
        "core.v1.SecretKeySelector.name",
        "core.v1.SecretProjection.name",
        "flowcontrol.v1.FlowSchemaSpec.matchingPrecedence",
        "flowcontrol.v1.QueuingConfiguration.handSize",
        "flowcontrol.v1.QueuingConfiguration.queueLengthLimit",
        "flowcontrol.v1.QueuingConfiguration.queues",
        "policy.v1.PodDisruptionBudgetStatus.currentHealthy",
        "policy.v1.PodDisruptionBudgetStatus.desiredHealthy",
        "policy.v1.PodDisruptionBudgetStatus.disruptionsAllowed",
        "policy.v1.PodDisruptionBudgetStatus.expectedPods",
        "rbac.v1.RoleRef.apiGroup",
        "scheduling.v1.PriorityClass.value",
    ]
)
"""Not required, or left out when empty, and still with their type's zero value."""
_NONE = NONE | frozenset(
    [
        "admissionregistration.v1.MutatingWebhook.sideEffects",
        "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec.policyName",
        "admissionregistration.v1.ValidatingWebhook.sideEffects",
        "authentication.v1.TokenReviewSpec.token",
        "certificates.v1.CertificateSigningRequestSpec.request",
        "core.v1.ContainerRestartRule.action",
        "core.v1.ContainerRestartRuleOnExitCodes.operator",
        "core.v1.ImageVolumeStatus.imageRef",
        "core.v1.PodCertificateProjection.keyType",
        "core.v1.PodCertificateProjection.signerName",
        "networking.v1.HTTPIngressPath.pathType",
        "networking.v1.ParentReference.name",
        "networking.v1.ParentReference.resource",
    ]
)
"""Required, and still without a default."""


def default_of(definition: str, field: str, type: str, *, required: bool) -> Any:
    """The default of a scalar field of a definition by its full name; None for one without."""
    name = f"{definition.removeprefix('io.k8s.api.')}.{field}"
    if name in _STATED:
        return _STATED[name]
    if name in _NONE:
        return None
    return _ZERO.get(type) if required or name in _ZEROED else None
