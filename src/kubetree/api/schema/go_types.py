"""How Go names the types of fields, where the definitions only say `string`: its messages about values of a wrong type show them.

Also which fields come from an embedded struct, whose name stands in the path of such a message.
"""

from __future__ import annotations

from functools import cache

_NAMED = """
admissionregistration.v1: MatchResources.matchPolicy=v1.MatchPolicyType MutatingAdmissionPolicySpec.failurePolicy=v1.FailurePolicyType
 MutatingAdmissionPolicySpec.reinvocationPolicy=v1.ReinvocationPolicyType MutatingWebhook.failurePolicy=v1.FailurePolicyType
 MutatingWebhook.matchPolicy=v1.MatchPolicyType MutatingWebhook.sideEffects=v1.SideEffectClass
 MutatingWebhook.reinvocationPolicy=v1.ReinvocationPolicyType Mutation.patchType=v1.PatchType
 NamedRuleWithOperations.operations=[]v1.OperationType NamedRuleWithOperations.scope=v1.ScopeType
 ParamRef.parameterNotFoundAction=v1.ParameterNotFoundActionType RuleWithOperations.operations=[]v1.OperationType
 RuleWithOperations.scope=v1.ScopeType ValidatingAdmissionPolicyBindingSpec.validationActions=[]v1.ValidationAction
 ValidatingAdmissionPolicySpec.failurePolicy=v1.FailurePolicyType ValidatingWebhook.failurePolicy=v1.FailurePolicyType
 ValidatingWebhook.matchPolicy=v1.MatchPolicyType ValidatingWebhook.sideEffects=v1.SideEffectClass Validation.reason=v1.StatusReason
apps.v1: DaemonSetCondition.type=v1.DaemonSetConditionType DaemonSetCondition.status=v1.ConditionStatus
 DaemonSetUpdateStrategy.type=v1.DaemonSetUpdateStrategyType DeploymentCondition.type=v1.DeploymentConditionType
 DeploymentCondition.status=v1.ConditionStatus DeploymentStrategy.type=v1.DeploymentStrategyType
 ReplicaSetCondition.type=v1.ReplicaSetConditionType ReplicaSetCondition.status=v1.ConditionStatus
 StatefulSetCondition.type=v1.StatefulSetConditionType StatefulSetCondition.status=v1.ConditionStatus
 StatefulSetPersistentVolumeClaimRetentionPolicy.whenDeleted=v1.PersistentVolumeClaimRetentionPolicyType
 StatefulSetPersistentVolumeClaimRetentionPolicy.whenScaled=v1.PersistentVolumeClaimRetentionPolicyType
 StatefulSetSpec.podManagementPolicy=v1.PodManagementPolicyType StatefulSetUpdateStrategy.type=v1.StatefulSetUpdateStrategyType
authentication.v1: BoundObjectReference.uid=types.UID UserInfo.extra=map[string]v1.ExtraValue
authorization.v1: SubjectAccessReviewSpec.extra=map[string]v1.ExtraValue
autoscaling.v2: ContainerResourceMetricSource.name=v1.ResourceName ContainerResourceMetricStatus.name=v1.ResourceName
 HPAScalingPolicy.type=v2.HPAScalingPolicyType HPAScalingRules.selectPolicy=v2.ScalingPolicySelect
 HorizontalPodAutoscalerCondition.type=v2.HorizontalPodAutoscalerConditionType HorizontalPodAutoscalerCondition.status=v1.ConditionStatus
 MetricSpec.type=v2.MetricSourceType MetricStatus.type=v2.MetricSourceType MetricTarget.type=v2.MetricTargetType
 ResourceMetricSource.name=v1.ResourceName ResourceMetricStatus.name=v1.ResourceName
batch.v1: CronJobSpec.concurrencyPolicy=v1.ConcurrencyPolicy JobCondition.type=v1.JobConditionType JobCondition.status=v1.ConditionStatus
 JobSpec.completionMode=v1.CompletionMode JobSpec.podReplacementPolicy=v1.PodReplacementPolicy
 PodFailurePolicyOnExitCodesRequirement.operator=v1.PodFailurePolicyOnExitCodesOperator
 PodFailurePolicyOnPodConditionsPattern.type=v1.PodConditionType PodFailurePolicyOnPodConditionsPattern.status=v1.ConditionStatus
 PodFailurePolicyRule.action=v1.PodFailurePolicyAction UncountedTerminatedPods.succeeded=[]types.UID
 UncountedTerminatedPods.failed=[]types.UID
certificates.v1: CertificateSigningRequestCondition.type=v1.RequestConditionType
 CertificateSigningRequestCondition.status=v1.ConditionStatus CertificateSigningRequestSpec.usages=[]v1.KeyUsage
 CertificateSigningRequestSpec.extra=map[string]v1.ExtraValue
coordination.v1: LeaseSpec.strategy=v1.CoordinatedLeaseStrategy
core.v1: AppArmorProfile.type=v1.AppArmorProfileType AttachedVolume.name=v1.UniqueVolumeName
 AzureDiskVolumeSource.cachingMode=v1.AzureDataDiskCachingMode AzureDiskVolumeSource.kind=v1.AzureDataDiskKind
 Capabilities.add=[]v1.Capability Capabilities.drop=[]v1.Capability ComponentCondition.type=v1.ComponentConditionType
 ComponentCondition.status=v1.ConditionStatus ConfigMapNodeConfigSource.uid=types.UID Container.restartPolicy=v1.ContainerRestartPolicy
 Container.terminationMessagePolicy=v1.TerminationMessagePolicy Container.imagePullPolicy=v1.PullPolicy ContainerPort.protocol=v1.Protocol
 ContainerResizePolicy.resourceName=v1.ResourceName ContainerResizePolicy.restartPolicy=v1.ResourceResizeRestartPolicy
 ContainerRestartRule.action=v1.ContainerRestartRuleAction
 ContainerRestartRuleOnExitCodes.operator=v1.ContainerRestartRuleOnExitCodesOperator ContainerStatus.allocatedResources=v1.ResourceList
 ContainerStatus.stopSignal=v1.Signal EmptyDirVolumeSource.medium=v1.StorageMedium EndpointPort.protocol=v1.Protocol
 EphemeralContainer.restartPolicy=v1.ContainerRestartPolicy EphemeralContainer.terminationMessagePolicy=v1.TerminationMessagePolicy
 EphemeralContainer.imagePullPolicy=v1.PullPolicy HTTPGetAction.scheme=v1.URIScheme HostPathVolumeSource.type=v1.HostPathType
 ImageVolumeSource.pullPolicy=v1.PullPolicy Lifecycle.stopSignal=v1.Signal LimitRangeItem.type=v1.LimitType
 LimitRangeItem.max=v1.ResourceList LimitRangeItem.min=v1.ResourceList LimitRangeItem.default=v1.ResourceList
 LimitRangeItem.defaultRequest=v1.ResourceList LimitRangeItem.maxLimitRequestRatio=v1.ResourceList
 LoadBalancerIngress.ipMode=v1.LoadBalancerIPMode ModifyVolumeStatus.status=v1.PersistentVolumeClaimModifyVolumeStatus
 NamespaceCondition.type=v1.NamespaceConditionType NamespaceCondition.status=v1.ConditionStatus
 NamespaceSpec.finalizers=[]v1.FinalizerName NamespaceStatus.phase=v1.NamespacePhase NodeAddress.type=v1.NodeAddressType
 NodeAllocatableResourceClaimStatus.resources=map[v1.ResourceName]resource.Quantity NodeCondition.type=v1.NodeConditionType
 NodeCondition.status=v1.ConditionStatus NodeSelectorRequirement.operator=v1.NodeSelectorOperator NodeStatus.capacity=v1.ResourceList
 NodeStatus.allocatable=v1.ResourceList NodeStatus.phase=v1.NodePhase NodeStatus.volumesInUse=[]v1.UniqueVolumeName
 ObjectReference.uid=types.UID PersistentVolumeClaimCondition.type=v1.PersistentVolumeClaimConditionType
 PersistentVolumeClaimCondition.status=v1.ConditionStatus PersistentVolumeClaimSpec.accessModes=[]v1.PersistentVolumeAccessMode
 PersistentVolumeClaimSpec.volumeMode=v1.PersistentVolumeMode PersistentVolumeClaimStatus.phase=v1.PersistentVolumeClaimPhase
 PersistentVolumeClaimStatus.accessModes=[]v1.PersistentVolumeAccessMode PersistentVolumeClaimStatus.capacity=v1.ResourceList
 PersistentVolumeClaimStatus.allocatedResources=v1.ResourceList
 PersistentVolumeClaimStatus.allocatedResourceStatuses=map[v1.ResourceName]v1.ClaimResourceStatus
 PersistentVolumeSpec.capacity=v1.ResourceList PersistentVolumeSpec.accessModes=[]v1.PersistentVolumeAccessMode
 PersistentVolumeSpec.persistentVolumeReclaimPolicy=v1.PersistentVolumeReclaimPolicy
 PersistentVolumeSpec.volumeMode=v1.PersistentVolumeMode PersistentVolumeStatus.phase=v1.PersistentVolumePhase
 PodCondition.type=v1.PodConditionType PodCondition.status=v1.ConditionStatus PodOS.name=v1.OSName
 PodReadinessGate.conditionType=v1.PodConditionType PodSecurityContext.supplementalGroupsPolicy=v1.SupplementalGroupsPolicy
 PodSecurityContext.fsGroupChangePolicy=v1.PodFSGroupChangePolicy PodSecurityContext.seLinuxChangePolicy=v1.PodSELinuxChangePolicy
 PodSpec.restartPolicy=v1.RestartPolicy PodSpec.dnsPolicy=v1.DNSPolicy PodSpec.preemptionPolicy=v1.PreemptionPolicy
 PodSpec.overhead=v1.ResourceList PodStatus.phase=v1.PodPhase PodStatus.qosClass=v1.PodQOSClass PodStatus.resize=v1.PodResizeStatus
 PodStatus.allocatedResources=v1.ResourceList PortStatus.protocol=v1.Protocol
 ReplicationControllerCondition.type=v1.ReplicationControllerConditionType ReplicationControllerCondition.status=v1.ConditionStatus
 ResourceHealth.resourceID=v1.ResourceID ResourceHealth.health=v1.ResourceHealthStatus ResourceQuotaSpec.hard=v1.ResourceList
 ResourceQuotaSpec.scopes=[]v1.ResourceQuotaScope ResourceQuotaStatus.hard=v1.ResourceList ResourceQuotaStatus.used=v1.ResourceList
 ResourceRequirements.limits=v1.ResourceList ResourceRequirements.requests=v1.ResourceList ResourceStatus.name=v1.ResourceName
 ScopedResourceSelectorRequirement.scopeName=v1.ResourceQuotaScope ScopedResourceSelectorRequirement.operator=v1.ScopeSelectorOperator
 SeccompProfile.type=v1.SeccompProfileType Secret.type=v1.SecretType SecurityContext.procMount=v1.ProcMountType
 ServicePort.protocol=v1.Protocol ServiceSpec.type=v1.ServiceType ServiceSpec.sessionAffinity=v1.ServiceAffinity
 ServiceSpec.externalTrafficPolicy=v1.ServiceExternalTrafficPolicy ServiceSpec.ipFamilies=[]v1.IPFamily
 ServiceSpec.ipFamilyPolicy=v1.IPFamilyPolicy ServiceSpec.internalTrafficPolicy=v1.ServiceInternalTrafficPolicy
 Taint.effect=v1.TaintEffect Toleration.operator=v1.TolerationOperator Toleration.effect=v1.TaintEffect
 TopologySpreadConstraint.whenUnsatisfiable=v1.UnsatisfiableConstraintAction
 TopologySpreadConstraint.nodeAffinityPolicy=v1.NodeInclusionPolicy TopologySpreadConstraint.nodeTaintsPolicy=v1.NodeInclusionPolicy
 VolumeMount.recursiveReadOnly=v1.RecursiveReadOnlyMode VolumeMount.mountPropagation=v1.MountPropagationMode
 VolumeMountStatus.recursiveReadOnly=v1.RecursiveReadOnlyMode VolumeResourceRequirements.limits=v1.ResourceList
 VolumeResourceRequirements.requests=v1.ResourceList
discovery.v1: EndpointPort.protocol=v1.Protocol EndpointSlice.addressType=v1.AddressType
flowcontrol.v1: FlowDistinguisherMethod.type=v1.FlowDistinguisherMethodType FlowSchemaCondition.type=v1.FlowSchemaConditionType
 FlowSchemaCondition.status=v1.ConditionStatus LimitResponse.type=v1.LimitResponseType
 PriorityLevelConfigurationCondition.type=v1.PriorityLevelConfigurationConditionType
 PriorityLevelConfigurationCondition.status=v1.ConditionStatus PriorityLevelConfigurationSpec.type=v1.PriorityLevelEnablement
 Subject.kind=v1.SubjectKind
networking.v1: HTTPIngressPath.pathType=v1.PathType IngressPortStatus.protocol=v1.Protocol NetworkPolicyPort.protocol=v1.Protocol
 NetworkPolicySpec.policyTypes=[]v1.PolicyType
node.v1: Overhead.podFixed=v1.ResourceList
policy.v1: PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy=v1.UnhealthyPodEvictionPolicyType
 PodDisruptionBudgetStatus.disruptedPods=map[string]v1.Time
resource.v1: CapacityRequirements.requests=map[v1.QualifiedName]resource.Quantity CounterSet.counters=map[string]v1.Counter
 Device.attributes=map[v1.QualifiedName]v1.DeviceAttribute Device.capacity=map[v1.QualifiedName]v1.DeviceCapacity
 Device.nodeAllocatableResourceMappings=map[v1.ResourceName]v1.NodeAllocatableResourceMapping
 DeviceAllocationConfiguration.source=v1.AllocationConfigSource DeviceConstraint.matchAttribute=v1.FullyQualifiedName
 DeviceConstraint.distinctAttribute=v1.FullyQualifiedName DeviceCounterConsumption.counters=map[string]v1.Counter
 DeviceRequestAllocationResult.shareID=types.UID DeviceRequestAllocationResult.consumedCapacity=map[v1.QualifiedName]resource.Quantity
 DeviceSubRequest.allocationMode=v1.DeviceAllocationMode DeviceTaint.effect=v1.DeviceTaintEffect
 DeviceToleration.operator=v1.DeviceTolerationOperator DeviceToleration.effect=v1.DeviceTaintEffect
 ExactDeviceRequest.allocationMode=v1.DeviceAllocationMode NodeAllocatableResourceMapping.capacityKey=v1.QualifiedName
 ResourceClaimConsumerReference.uid=types.UID
scheduling.v1: PriorityClass.preemptionPolicy=v1.PreemptionPolicy
storage.v1: CSIDriverSpec.volumeLifecycleModes=[]v1.VolumeLifecycleMode CSIDriverSpec.fsGroupPolicy=v1.FSGroupPolicy
 StorageClass.reclaimPolicy=v1.PersistentVolumeReclaimPolicy StorageClass.volumeBindingMode=v1.VolumeBindingMode
apiextensions.v1: CustomResourceConversion.strategy=v1.ConversionStrategyType
 CustomResourceDefinitionCondition.type=v1.CustomResourceDefinitionConditionType
 CustomResourceDefinitionCondition.status=v1.ConditionStatus CustomResourceDefinitionSpec.scope=v1.ResourceScope
 JSONSchemaProps.$schema=v1.JSONSchemaURL JSONSchemaProps.properties=map[string]v1.JSONSchemaProps
 JSONSchemaProps.patternProperties=map[string]v1.JSONSchemaProps JSONSchemaProps.dependencies=v1.JSONSchemaDependencies
 JSONSchemaProps.definitions=v1.JSONSchemaDefinitions ValidationRule.reason=v1.FieldValueErrorReason
meta.v1: Condition.status=v1.ConditionStatus DeleteOptions.propagationPolicy=v1.DeletionPropagation
 FieldSelectorRequirement.operator=v1.FieldSelectorOperator LabelSelectorRequirement.operator=v1.LabelSelectorOperator
 ManagedFieldsEntry.operation=v1.ManagedFieldsOperationType ObjectMeta.uid=types.UID OwnerReference.uid=types.UID
 Preconditions.uid=types.UID
apiregistration.v1: APIServiceCondition.type=v1.APIServiceConditionType APIServiceCondition.status=v1.ConditionStatus
"""
"""Fields by group, with the type that Go prints."""

_EMBEDDED = """
admissionregistration.v1.NamedRuleWithOperations RuleWithOperations: operations
admissionregistration.v1.NamedRuleWithOperations RuleWithOperations.Rule: apiGroups apiVersions resources scope
admissionregistration.v1.RuleWithOperations Rule: apiGroups apiVersions resources scope
core.v1.ConfigMapEnvSource LocalObjectReference: name
core.v1.ConfigMapKeySelector LocalObjectReference: name
core.v1.ConfigMapProjection LocalObjectReference: name
core.v1.ConfigMapVolumeSource LocalObjectReference: name
core.v1.EphemeralContainer EphemeralContainerCommon: name image command args workingDir ports envFrom env resources resizePolicy
 restartPolicy restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle terminationMessagePath
 terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty
core.v1.PersistentVolumeSpec PersistentVolumeSource: gcePersistentDisk awsElasticBlockStore hostPath glusterfs nfs rbd iscsi cinder cephfs
 fc flocker flexVolume azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO local storageos csi
core.v1.Probe ProbeHandler: exec httpGet tcpSocket grpc
core.v1.SecretEnvSource LocalObjectReference: name
core.v1.SecretKeySelector LocalObjectReference: name
core.v1.SecretProjection LocalObjectReference: name
core.v1.Volume VolumeSource: hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs
 persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume quobyte azureDisk
 photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image
networking.v1.IngressRule IngressRuleValue: http
resource.v1.DeviceAllocationConfiguration DeviceConfiguration: opaque
resource.v1.DeviceClaimConfiguration DeviceConfiguration: opaque
resource.v1.DeviceClassConfiguration DeviceConfiguration: opaque
"""
"""By definition and embedded struct: its fields."""


def _short(name: str) -> str:
    return ".".join(name.split(".")[-3:])


@cache
def _named() -> dict[str, str]:
    found, group = {}, ""
    for word in _NAMED.split():
        if word.endswith(":"):
            group = word[:-1]
        else:
            field, _, go_type = word.partition("=")
            found[f"{group}.{field}"] = go_type
    return found


@cache
def _embedded() -> dict[str, str]:
    found, definition, struct = {}, "", ""
    for line in _EMBEDDED.strip().splitlines():
        if not line.startswith(" "):
            definition, struct, line = line.split(" ", 2)
        for field in line.split():
            found[f"{definition}.{field}"] = struct.removesuffix(":")
    return found


def named_type(name: str, field: str) -> str:
    """`v1.DNSPolicy` for PodSpec's dnsPolicy, `[]v1.KeyUsage` for a list; '' for types without a name of their own."""
    return _named().get(f"{_short(name)}.{field}", "")


def path_of(name: str, field: str) -> tuple[str, ...]:
    """A field's part of the path: with the struct it is embedded by before it, if it is."""
    struct = _embedded().get(f"{_short(name)}.{field}")
    return (struct, field) if struct else (field,)
