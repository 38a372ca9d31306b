"""Which function fills in which kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.defaults import autoscaling, cluster, networking, pods, registration, resource_claims, storage, workloads

DEFAULTS: dict[tuple[str, str], Callable[[dict[str, Any]], None]] = {
    ("v1", "ConfigMap"): cluster.config_map,
    ("v1", "Endpoints"): networking.endpoints,
    ("v1", "LimitRange"): cluster.limit_range,
    ("v1", "Namespace"): cluster.namespace,
    ("v1", "Node"): cluster.node,
    ("v1", "PersistentVolume"): storage.persistent_volume,
    ("v1", "PersistentVolumeClaim"): storage.persistent_volume_claim,
    ("v1", "Pod"): pods.pod,
    ("v1", "PodTemplate"): workloads.pod_template,
    ("v1", "ReplicationController"): workloads.replication_controller,
    ("v1", "ResourceQuota"): cluster.resource_quota,
    ("v1", "Secret"): cluster.secret,
    ("v1", "Service"): networking.service,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"): registration.admission_policy,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"): registration.admission_policy_binding,
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): registration.mutating_webhook_configuration,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): registration.admission_policy,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): registration.admission_policy_binding,
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): registration.validating_webhook_configuration,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): registration.custom_resource_definition,
    ("apiregistration.k8s.io/v1", "APIService"): registration.api_service,
    ("apps/v1", "DaemonSet"): workloads.daemon_set,
    ("apps/v1", "Deployment"): workloads.deployment,
    ("apps/v1", "ReplicaSet"): workloads.replica_set,
    ("apps/v1", "StatefulSet"): workloads.stateful_set,
    ("autoscaling/v1", "HorizontalPodAutoscaler"): autoscaling.horizontal_pod_autoscaler_v1,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling.horizontal_pod_autoscaler,
    ("batch/v1", "CronJob"): workloads.cron_job,
    ("batch/v1", "Job"): workloads.job,
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): cluster.certificate_signing_request,
    ("discovery.k8s.io/v1", "EndpointSlice"): networking.endpoint_slice,
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): cluster.flow_schema,
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): cluster.priority_level_configuration,
    ("networking.k8s.io/v1", "IngressClass"): networking.ingress_class,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking.network_policy,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): cluster.role_binding,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): cluster.role_binding,
    ("resource.k8s.io/v1", "ResourceClaim"): resource_claims.resource_claim,
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): resource_claims.resource_claim_template,
    ("scheduling.k8s.io/v1", "PriorityClass"): cluster.priority_class,
    ("storage.k8s.io/v1", "CSIDriver"): storage.csi_driver,
    ("storage.k8s.io/v1", "StorageClass"): storage.storage_class,
}
