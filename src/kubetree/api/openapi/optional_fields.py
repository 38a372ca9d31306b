"""What OpenAPI lists as `enum` and `default` of fields of the versions that are off by default: the rest of `enums.py` and `defaults.py`."""

from __future__ import annotations

from typing import Any

ENUMS: tuple[tuple[str, str], ...] = (
    ("Equivalent Exact", "admissionregistration.v1alpha1.MatchResources.matchPolicy"),
    ("Fail Ignore", "admissionregistration.v1alpha1.MutatingAdmissionPolicySpec.failurePolicy"),
    (
        "IfNeeded Never",
        "admissionregistration.v1alpha1.MutatingAdmissionPolicySpec.reinvocationPolicy "
        "admissionregistration.v1beta1.MutatingAdmissionPolicySpec.reinvocationPolicy",
    ),
    ("ApplyConfiguration JSONPatch", "admissionregistration.v1alpha1.Mutation.patchType admissionregistration.v1beta1.Mutation.patchType"),
    (
        "* CONNECT CREATE DELETE UPDATE",
        "admissionregistration.v1alpha1.NamedRuleWithOperations.operations[] "
        "admissionregistration.v1beta1.NamedRuleWithOperations.operations[]",
    ),
    (
        "* Cluster Namespaced",
        "admissionregistration.v1alpha1.NamedRuleWithOperations.scope admissionregistration.v1beta1.NamedRuleWithOperations.scope",
    ),
    ("Allow Deny", "admissionregistration.v1alpha1.ParamRef.parameterNotFoundAction"),
    (
        "NoExecute NoSchedule None",
        "resource.v1alpha3.DeviceTaint.effect resource.v1beta1.DeviceTaint.effect "
        "resource.v1beta1.DeviceToleration.effect resource.v1beta2.DeviceTaint.effect "
        "resource.v1beta2.DeviceToleration.effect",
    ),
    ("FromClaim FromClass", "resource.v1beta1.DeviceAllocationConfiguration.source resource.v1beta2.DeviceAllocationConfiguration.source"),
    (
        "All ExactCount",
        "resource.v1beta1.DeviceRequest.allocationMode resource.v1beta1.DeviceSubRequest.allocationMode "
        "resource.v1beta2.DeviceSubRequest.allocationMode resource.v1beta2.ExactDeviceRequest.allocationMode",
    ),
    ("Equal Exists", "resource.v1beta1.DeviceToleration.operator resource.v1beta2.DeviceToleration.operator"),
    ("Pod PodGroup", "scheduling.v1alpha2.PodGroupSpec.disruptionMode scheduling.v1alpha2.PodGroupTemplate.disruptionMode"),
)
STATED: dict[str, Any] = {
    "certificates.v1beta1.PodCertificateRequestSpec.maxExpirationSeconds": 86400,
    "resource.v1alpha3.ResourcePoolStatusRequestSpec.limit": 100,
    "resource.v1beta1.DeviceToleration.operator": "Equal",
    "resource.v1beta2.DeviceToleration.operator": "Equal",
    "scheduling.v1alpha2.PodGroupSpec.disruptionMode": "Pod",
}
ZEROED = frozenset(
    [
        "resource.v1beta1.DeviceRequest.deviceClassName",
    ]
)
NONE = frozenset(
    [
        "apiserverinternal.v1alpha1.ServerStorageVersion.apiServerID",
        "apiserverinternal.v1alpha1.ServerStorageVersion.encodingVersion",
        "apiserverinternal.v1alpha1.StorageVersionCondition.message",
        "certificates.v1beta1.PodCertificateRequestSpec.stubPKCS10Request",
        "coordination.v1alpha2.LeaseCandidateSpec.strategy",
        "coordination.v1beta1.LeaseCandidateSpec.strategy",
        "networking.v1beta1.ParentReference.name",
        "networking.v1beta1.ParentReference.resource",
        "resource.v1alpha3.PoolStatus.driver",
        "resource.v1alpha3.PoolStatus.poolName",
        "resource.v1alpha3.ResourcePoolStatusRequestStatus.poolCount",
    ]
)
