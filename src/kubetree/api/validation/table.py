"""Which rules hold for which kind."""

from __future__ import annotations

from kubetree.api.validation import (
    admission_policies,
    autoscaling,
    certificates,
    core,
    cron_jobs,
    endpoints,
    events,
    flow_control,
    job_status,
    jobs,
    lease_candidates,
    networking,
    persistent_volumes,
    pod_certificates,
    pod_groups,
    policies,
    quotas,
    rbac,
    services,
    storage,
    storage_migrations,
    storage_versions,
    trust_bundles,
    webhooks,
    workloads,
)  # fmt: skip
from kubetree.api.validation.custom_resources import definitions
from kubetree.api.validation.devices import claims, rules, slices
from kubetree.api.validation.names import any_name, config_map_key, dns_label, path_segment
from kubetree.api.validation.pods import pod, resize
from kubetree.api.validation.pods import status as pod_status
from kubetree.api.validation.rules import Rules

_RBAC = rbac.GROUP
_ADMISSION, _FLOW, _STORAGE = "admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io", "storage.k8s.io"
_AUTOSCALER_STATUS = {"status": autoscaling.autoscaler_status}

TABLE: dict[tuple[str, str], Rules] = {
    ("v1", "ConfigMap"): Rules(core.config_map, core.config_map_update),
    ("v1", "Endpoints"): Rules(endpoints.create, endpoints.update),
    ("v1", "Event"): Rules(events.core, events.core_update, name=path_segment),
    ("v1", "LimitRange"): Rules(quotas.limit_range),
    ("v1", "Namespace"): Rules(
        core.namespace,
        lambda errs, new, old: None,
        name=dns_label,
        subresources={"status": core.namespace_status, "finalize": core.namespace_finalize},
    ),
    ("v1", "Node"): Rules(core.node, core.node_update, anew=True, subresources={"status": core.node_update}),
    ("v1", "PersistentVolume"): Rules(
        persistent_volumes.volume,
        persistent_volumes.volume_update,
        anew=True,
        gate="MutablePVNodeAffinity",
        gated=Rules(persistent_volumes.volume, persistent_volumes.movable_volume_update, anew=True),
    ),
    ("v1", "PersistentVolumeClaim"): Rules(
        persistent_volumes.claim, persistent_volumes.claim_update, subresources={"status": persistent_volumes.claim_status}
    ),
    ("v1", "Pod"): Rules(
        pod.create,
        pod.update,
        subresources={"status": pod_status.update, "ephemeralcontainers": pod.update_ephemeral_containers, "resize": resize.update},
    ),
    ("v1", "PodTemplate"): Rules(core.pod_template, core.pod_template_update),
    ("v1", "ReplicationController"): Rules(
        workloads.replication_controller, prefix=path_segment, subresources={"status": workloads.replica_status}
    ),
    ("v1", "ResourceQuota"): Rules(
        quotas.resource_quota, quotas.resource_quota_update, subresources={"status": quotas.resource_quota_status}
    ),
    ("v1", "Secret"): Rules(core.secret, core.secret_update),
    ("v1", "Service"): Rules(services.create, services.update, name=dns_label, subresources={"status": services.status}),
    ("v1", "ServiceAccount"): Rules(),
    (f"{_ADMISSION}/v1", "MutatingAdmissionPolicy"): Rules(admission_policies.mutating_policy),
    (f"{_ADMISSION}/v1", "MutatingAdmissionPolicyBinding"): Rules(admission_policies.mutating_binding),
    (f"{_ADMISSION}/v1", "MutatingWebhookConfiguration"): Rules(webhooks.configuration(mutating=True)),
    (f"{_ADMISSION}/v1", "ValidatingAdmissionPolicy"): Rules(
        admission_policies.validating_policy, subresources={"status": admission_policies.validating_policy_status}
    ),
    (f"{_ADMISSION}/v1", "ValidatingAdmissionPolicyBinding"): Rules(admission_policies.validating_binding),
    (f"{_ADMISSION}/v1", "ValidatingWebhookConfiguration"): Rules(webhooks.configuration(mutating=False)),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): Rules(
        definitions.create, definitions.update, subresources={"status": definitions.status}, any_finalizer=True
    ),
    ("apiregistration.k8s.io/v1", "APIService"): Rules(
        policies.api_service, name=path_segment, subresources={"status": policies.api_service_status}
    ),
    ("apps/v1", "ControllerRevision"): Rules(workloads.controller_revision, workloads.controller_revision_update),
    ("apps/v1", "DaemonSet"): Rules(
        workloads.daemon_set, workloads.daemon_set_update, subresources={"status": workloads.daemon_set_status}
    ),
    ("apps/v1", "Deployment"): Rules(
        workloads.deployment, workloads.keeps_selector(workloads.deployment), subresources={"status": workloads.deployment_status}
    ),
    ("apps/v1", "ReplicaSet"): Rules(
        workloads.replica_set, workloads.keeps_selector(workloads.replica_set), subresources={"status": workloads.replica_status}
    ),
    ("apps/v1", "StatefulSet"): Rules(
        workloads.stateful_set, workloads.stateful_set_update, name=dns_label, subresources={"status": workloads.stateful_set_status}
    ),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview"): Rules(policies.local_subject_access_review, metadata=False),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): Rules(policies.self_subject_access_review, metadata=False),
    ("authorization.k8s.io/v1", "SubjectAccessReview"): Rules(policies.subject_access_review, metadata=False),
    ("authentication.k8s.io/v1", "SelfSubjectReview"): Rules(metadata=False),
    ("authentication.k8s.io/v1", "TokenReview"): Rules(metadata=False),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): Rules(metadata=False),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): Rules(autoscaling.autoscaler_v1, subresources=_AUTOSCALER_STATUS),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): Rules(
        autoscaling.autoscaler,
        autoscaling.autoscaler_update,
        subresources=_AUTOSCALER_STATUS,
        gate="HPAScaleToZero",
        gated=Rules(autoscaling.autoscaler_to_zero, autoscaling.autoscaler_to_zero_update, subresources=_AUTOSCALER_STATUS),
    ),
    ("batch/v1", "CronJob"): Rules(cron_jobs.create, cron_jobs.update),
    ("batch/v1", "Job"): Rules(jobs.create, jobs.update, anew=True, subresources={"status": job_status.update}),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): Rules(
        certificates.create,
        certificates.update,
        name=any_name,
        subresources={"status": certificates.status, "approval": certificates.approval},
    ),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle"): Rules(trust_bundles.create, trust_bundles.update, name=any_name),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest"): Rules(
        pod_certificates.create, pod_certificates.update, subresources={"status": pod_certificates.status}
    ),
    ("coordination.k8s.io/v1", "Lease"): Rules(policies.lease),
    ("coordination.k8s.io/v1beta1", "LeaseCandidate"): Rules(lease_candidates.create, lease_candidates.update, name=config_map_key),
    ("discovery.k8s.io/v1", "EndpointSlice"): Rules(endpoints.create_slice, endpoints.update_slice),
    ("events.k8s.io/v1", "Event"): Rules(events.create, events.update),
    (f"{_FLOW}/v1", "FlowSchema"): Rules(flow_control.flow_schema, subresources={"status": flow_control.status}),
    (f"{_FLOW}/v1", "PriorityLevelConfiguration"): Rules(flow_control.priority_level, subresources={"status": flow_control.status}),
    ("internal.apiserver.k8s.io/v1alpha1", "StorageVersion"): Rules(
        storage_versions.create, storage_versions.update, name=storage_versions.name, subresources={"status": storage_versions.status}
    ),
    ("networking.k8s.io/v1", "Ingress"): Rules(
        networking.ingress, networking.ingress_update, subresources={"status": networking.ingress_status}
    ),
    ("networking.k8s.io/v1", "IngressClass"): Rules(networking.ingress_class, networking.ingress_class_update),
    ("networking.k8s.io/v1", "IPAddress"): Rules(
        networking.ip_address, networking.ip_address_update, name=networking.ip_address_name, anew=True
    ),
    ("networking.k8s.io/v1", "NetworkPolicy"): Rules(networking.network_policy, networking.network_policy_update),
    ("networking.k8s.io/v1", "ServiceCIDR"): Rules(networking.service_cidr, networking.service_cidr_update),
    ("node.k8s.io/v1", "RuntimeClass"): Rules(policies.runtime_class, policies.runtime_class_update, anew=True),
    ("policy/v1", "PodDisruptionBudget"): Rules(
        policies.disruption_budget, name=path_segment, subresources={"status": policies.disruption_budget_status}
    ),
    (f"{_RBAC}/v1", "ClusterRole"): Rules(rbac.cluster_role, name=path_segment),
    (f"{_RBAC}/v1", "ClusterRoleBinding"): Rules(rbac.binding(False), rbac.binding_update(False), name=path_segment),
    (f"{_RBAC}/v1", "Role"): Rules(rbac.role, name=path_segment),
    (f"{_RBAC}/v1", "RoleBinding"): Rules(rbac.binding(True), rbac.binding_update(True), name=path_segment),
    ("resource.k8s.io/v1", "DeviceClass"): Rules(claims.device_class, prefix=path_segment),
    ("resource.k8s.io/v1", "ResourceClaim"): Rules(claims.claim, claims.claim_update, subresources={"status": claims.claim_status}),
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): Rules(claims.template, claims.template_update, anew=True),
    ("resource.k8s.io/v1", "ResourceSlice"): Rules(slices.create, slices.update),
    ("resource.k8s.io/v1alpha3", "DeviceTaintRule"): Rules(
        rules.taint_rule, rules.taint_rule_update, subresources={"status": rules.taint_rule_status}
    ),
    ("resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest"): Rules(
        rules.pool_request, rules.pool_request_update, subresources={"status": rules.pool_request_status}
    ),
    ("scheduling.k8s.io/v1", "PriorityClass"): Rules(core.priority_class, core.priority_class_update),
    ("scheduling.k8s.io/v1alpha2", "PodGroup"): Rules(
        pod_groups.pod_group, pod_groups.pod_group_update, subresources={"status": pod_groups.pod_group_status}
    ),
    ("scheduling.k8s.io/v1alpha2", "Workload"): Rules(pod_groups.workload, pod_groups.workload_update),
    (f"{_STORAGE}/v1", "CSIDriver"): Rules(storage.csi_driver, storage.csi_driver_update),
    (f"{_STORAGE}/v1", "CSINode"): Rules(storage.csi_node, storage.csi_node_update),
    (f"{_STORAGE}/v1", "CSIStorageCapacity"): Rules(storage.csi_storage_capacity, storage.csi_storage_capacity_update, anew=True),
    (f"{_STORAGE}/v1", "StorageClass"): Rules(storage.storage_class, storage.storage_class_update, anew=True),
    (f"{_STORAGE}/v1", "VolumeAttachment"): Rules(
        storage.attachment, storage.attachment_update, subresources={"status": storage.attachment_status}
    ),
    (f"{_STORAGE}/v1", "VolumeAttributesClass"): Rules(storage.volume_attributes_class, storage.volume_attributes_class_update),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration"): Rules(
        storage_migrations.create, storage_migrations.update, subresources={"status": storage_migrations.status}
    ),
}

OTHER = Rules()
"""Kinds without rules of their own, custom resources among them: metadata only."""
