"""Fields that hold a struct by value in upstream's Go types: they are always there, if only as {}.

The definitions do not say so, but ownership shows it: nobody ever owns `spec` or `spec.template` as such, and a container always comes with
`resources`. OpenAPI v3 marks these fields with `default: {}`.
"""

from __future__ import annotations

_EVERYWHERE = ("metadata", "spec", "status")
_NOT = frozenset({"CustomResourceSubresources.status", "v1alpha3.ResourcePoolStatusRequest.status"})

_FIELDS = """
core.v1: Binding.target Container.resources ContainerStatus.lastState ContainerStatus.state EphemeralContainer.resources Event.involvedObject
 Event.source NodeDaemonEndpoints.kubeletEndpoint NodeStatus.daemonEndpoints NodeStatus.nodeInfo PersistentVolumeClaimSpec.resources
 PodTemplate.template PreferredSchedulingTerm.preference ServiceStatus.loadBalancer WeightedPodAffinityTerm.podAffinityTerm
apiextensions.v1: CustomResourceDefinitionSpec.names CustomResourceDefinitionStatus.acceptedNames
events.v1: Event.deprecatedSource Event.regarding
batch.v1: CronJobSpec.jobTemplate JobSpec.template
meta.v1: APIGroup.preferredVersion
admissionregistration.v1: MutatingWebhook.clientConfig ValidatingWebhook.clientConfig
autoscaling.v1: HorizontalPodAutoscalerSpec.scaleTargetRef
autoscaling.v2: HorizontalPodAutoscalerSpec.scaleTargetRef ContainerResourceMetricSource.target ContainerResourceMetricStatus.current
 ExternalMetricSource.metric ExternalMetricSource.target ExternalMetricStatus.current ExternalMetricStatus.metric ObjectMetricSource.metric
 ObjectMetricSource.describedObject ObjectMetricSource.target ObjectMetricStatus.current ObjectMetricStatus.describedObject
 ObjectMetricStatus.metric PodsMetricSource.metric PodsMetricSource.target PodsMetricStatus.current PodsMetricStatus.metric
 ResourceMetricSource.target ResourceMetricStatus.current
discovery.v1: Endpoint.conditions
apps.v1: DaemonSetSpec.template DaemonSetSpec.updateStrategy DeploymentSpec.strategy DeploymentSpec.template ReplicaSetSpec.template
 StatefulSetSpec.template StatefulSetSpec.updateStrategy
resource.v1: AllocationResult.devices ResourceClaimSpec.devices ResourceSliceSpec.pool
resource.v1beta1: AllocationResult.devices ResourceClaimSpec.devices ResourceSliceSpec.pool
resource.v1beta2: AllocationResult.devices ResourceClaimSpec.devices ResourceSliceSpec.pool DeviceTaintRuleSpec.taint
resource.v1alpha3: DeviceTaintRuleSpec.taint
rbac.v1: ClusterRoleBinding.roleRef RoleBinding.roleRef
storagemigration.v1beta1: StorageVersionMigrationSpec.resource
scheduling.v1alpha2: PodGroupSpec.schedulingPolicy PodGroupTemplate.schedulingPolicy
flowcontrol.v1: FlowSchemaSpec.priorityLevelConfiguration LimitedPriorityLevelConfiguration.limitResponse
networking.v1: HTTPIngressPath.backend IngressServiceBackend.port IngressStatus.loadBalancer NetworkPolicySpec.podSelector
storage.v1: VolumeAttachmentSpec.source
authentication.v1: SelfSubjectReviewStatus.userInfo TokenReviewStatus.user
"""


def _parse() -> frozenset[str]:
    found, group = set(), ""
    for word in _FIELDS.split():
        if word.endswith(":"):
            group = word[:-1]
        else:
            found.add(f"{group}.{word}")
    return frozenset(found)


_KNOWN = _parse()


def is_value_struct(owner: str, field: str) -> bool:
    """Whether field `field` of definition `owner`, which refers to another definition, holds it by value."""
    group, version, kind = owner.split(".")[-3:]
    if field in _EVERYWHERE:
        return f"{kind}.{field}" not in _NOT and f"{version}.{kind}.{field}" not in _NOT
    return f"{group}.{version}.{kind}.{field}" in _KNOWN
