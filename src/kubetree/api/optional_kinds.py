"""The built-in kinds that Kubernetes v1.36 serves only when --runtime-config asks for them, some only behind a feature gate.

Each version goes with its stage: what is alpha or beta is off by default. What a kind has in common with its generally available version
(defaults, rules, columns) is found under the row it is stored as.
"""

from __future__ import annotations

from functools import partial

from kubetree.api.kinds import STATUS, Kind

_row = partial(Kind, optional=True)
_cluster_row = partial(_row, namespaced=False)
_ADMISSION, _CERTIFICATES = "admissionregistration.k8s.io", "certificates.k8s.io"
_COORDINATION, _NETWORKING, _RESOURCE = "coordination.k8s.io", "networking.k8s.io", "resource.k8s.io"
_policy = partial(_cluster_row, storage_version=f"{_ADMISSION}/v1", categories=("api-extensions",))
_networking = partial(_cluster_row, storage_version=f"{_NETWORKING}/v1")
_resource = partial(_row, storage_version=f"{_RESOURCE}/v1")
_bundle = partial(_cluster_row, storage_version=f"{_CERTIFICATES}/v1beta1", gate="ClusterTrustBundle")
_candidate = partial(_row, storage_version=f"{_COORDINATION}/v1beta1")
_workload = partial(_row, "scheduling.k8s.io", "v1alpha2", gate="GenericWorkload")

OPTIONAL_ROWS: tuple[Kind, ...] = (
    _cluster_row("internal.apiserver.k8s.io", "v1alpha1", "StorageVersion", "storageversions", subresources=(STATUS,)),
    _bundle(_CERTIFICATES, "v1beta1", "ClusterTrustBundle", "clustertrustbundles"),
    _row(
        _CERTIFICATES,
        "v1beta1",
        "PodCertificateRequest",
        "podcertificaterequests",
        gate="PodCertificateRequest",
        subresources=(STATUS,),
    ),
    _bundle(_CERTIFICATES, "v1alpha1", "ClusterTrustBundle", "clustertrustbundles"),
    _candidate(_COORDINATION, "v1beta1", "LeaseCandidate", "leasecandidates"),
    _candidate(_COORDINATION, "v1alpha2", "LeaseCandidate", "leasecandidates"),
    _networking(_NETWORKING, "v1beta1", "IPAddress", "ipaddresses", short_names=("ip",)),
    _networking(_NETWORKING, "v1beta1", "ServiceCIDR", "servicecidrs", subresources=(STATUS,)),
    _workload("PodGroup", "podgroups", subresources=(STATUS,)),
    _workload("Workload", "workloads"),
    _cluster_row(
        "storage.k8s.io",
        "v1beta1",
        "VolumeAttributesClass",
        "volumeattributesclasses",
        storage_version="storage.k8s.io/v1",
        short_names=("vac",),
    ),
    _cluster_row(
        "storagemigration.k8s.io",
        "v1beta1",
        "StorageVersionMigration",
        "storageversionmigrations",
        gate="StorageVersionMigrator",
        subresources=(STATUS,),
    ),
    *(
        row
        for version in ("v1beta1", "v1alpha1")
        for row in (
            _policy(_ADMISSION, version, "MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
            _policy(_ADMISSION, version, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
        )
    ),
    *(
        row
        for version in ("v1beta2", "v1beta1")
        for row in (
            _resource(_RESOURCE, version, "DeviceClass", "deviceclasses", namespaced=False),
            _resource(_RESOURCE, version, "ResourceClaim", "resourceclaims", subresources=(STATUS,)),
            _resource(_RESOURCE, version, "ResourceClaimTemplate", "resourceclaimtemplates"),
            _resource(_RESOURCE, version, "ResourceSlice", "resourceslices", namespaced=False),
        )
    ),
    *(
        _cluster_row(
            _RESOURCE,
            version,
            "DeviceTaintRule",
            "devicetaintrules",
            storage_version=f"{_RESOURCE}/v1alpha3",
            subresources=(STATUS,),
        )
        for version in ("v1beta2", "v1alpha3")
    ),
    _cluster_row(_RESOURCE, "v1alpha3", "ResourcePoolStatusRequest", "resourcepoolstatusrequests", subresources=(STATUS,)),
)
