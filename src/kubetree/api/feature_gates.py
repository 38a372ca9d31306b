"""The feature gates of v1.36: their names, how far they have come, whether they are on by default, and which of them need which.

A component resolves --feature-gates once, at its start, into `Features`: the names of those that are on. It is passed to who asks, so that
nothing reads a gate anywhere else, and asking is one look into a frozen set. Follows component-base's featuregate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

Features = frozenset[str]
"""The gates that are on."""


class Gate(NamedTuple):
    """`stage` is ALPHA, BETA, DEPRECATED, or '' for what is generally available."""

    name: str
    stage: str
    enabled: bool


_TABLE: dict[tuple[str, bool], str] = {
    ("", True): """
        APIServerTracing AllowServiceExternalIPs AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeNodeWithSelectors
        AuthorizeWithSelectors BtreeWatchCache CPUManagerPolicyOptions CRDValidationRatcheting CSIServiceAccountTokenSecrets
        ConsistentListFromCache CustomCPUCFSQuotaPeriod CustomResourceFieldSelectors DRAAdminAccess DRAPrioritizedList
        DeclarativeValidation DisableAllocatorDualWrite DynamicResourceAllocation ExecProbeTimeout
        ExternalServiceAccountTokenSigner ImageMaximumGCAge ImageVolume InOrderInformers InPlacePodVerticalScaling
        InformerResourceVersion JobBackoffLimitPerIndex JobManagedBy JobPodReplacementPolicy JobSuccessPolicy
        KubeletCgroupDriverFromCRI KubeletFineGrainedAuthz KubeletPSI KubeletPodResourcesDynamicResources KubeletPodResourcesGet
        KubeletTracing LogarithmicScaleDown MatchLabelKeysInPodAffinity MultiCIDRServiceAllocator MutableCSINodeAllocatableCount
        MutatingAdmissionPolicy NFTablesProxyMode NodeInclusionPolicyInPodTopologySpread NodeLogQuery NodeSwap
        OrderedNamespaceDeletion PodLifecycleSleepAction PodLifecycleSleepActionAllowZero PodObservedGenerationTracking
        PodSchedulingReadiness PreferSameTrafficDistribution ProcMountType RecoverVolumeExpansionFailure RecursiveReadOnlyMounts
        RelaxedDNSSearchValidation RelaxedEnvironmentVariableValidation ResilientWatchCacheInitialization RetryGenerateName
        SELinuxChangePolicy SELinuxMountReadWriteOncePod SchedulerQueueingHints SeparateTaintEvictionController
        ServiceAccountTokenJTI ServiceAccountTokenNodeBinding ServiceAccountTokenNodeBindingValidation
        ServiceAccountTokenPodNodeInfo SidecarContainers StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf
        StructuredAuthenticationConfiguration SupplementalGroupsPolicy SystemdWatchdog TopologyManagerPolicyOptions
        UserNamespacesSupport VolumeAttributesClass WinDSR WinOverlay
    """,
    ("BETA", True): """
        APIResponseCompression APIServerIdentity AllowParsingUserUIDFromCertAuth AtomicFIFO
        AuthorizePodWebsocketUpgradeCreatePermission CPUManagerPolicyBetaOptions CRDObservedGenerationTracking
        ClearingNominatedNodeNameAfterBinding ClientsAllowCARotation ClientsAllowTLSCacheGC ComponentFlagz ComponentStatusz
        ConstrainedImpersonation ContainerCheckpoint ContainerRestartRules ContextualLogging DRAConsumableCapacity
        DRADeviceBindingConditions DRADeviceTaints DRAExtendedResource DRAPartitionableDevices DRAResourceClaimDeviceStatus
        DRAResourceClaimGranularStatusAuthorization DRASchedulerFilterTimeout DeclarativeValidationBeta
        DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency EnvFiles ExtendWebSocketsToKubelet GracefulNodeShutdown
        GracefulNodeShutdownBasedOnPodPriority HPAConfigurableTolerance HostnameOverride InOrderInformersBatchProcess
        InPlacePodLevelResourcesVerticalScaling InPlacePodVerticalScalingInitContainers KubeletCrashLoopBackOffMax
        KubeletEnsureSecretPulledImages KubeletSeparateDiskGC KubeletServiceAccountTokenForCredentialProviders
        ListFromCacheSnapshot LoggingBetaOptions MatchLabelKeysInPodTopologySpread MatchLabelKeysInPodTopologySpreadSelectorMerge
        MutablePodResourcesForSuspendedJobs MutableSchedulingDirectivesForSuspendedJobs NodeDeclaredFeatures
        NominatedNodeNameForExpectation OpenAPIEnums OpportunisticBatching PLEGOnDemandRelist PodDeletionCost PodLevelResources
        PodReadyToStartContainersCondition PodTopologyLabelsAdmission PortForwardWebsockets PreventStaticPodAPIReferences
        RelaxedServiceNameValidation ReloadKubeletClientCAFile ReloadKubeletServerCertificateFile RemoteRequestHeaderUID
        ResourceHealthStatus ResourceHealthStatusMessage RestartAllContainersOnContainerExits RotateKubeletServerCertificate
        SchedulerAsyncPreemption SchedulerPopFromBackoffQ ServiceAccountNodeAudienceRestriction SizeBasedListCostEstimate
        StaleControllerConsistencyDaemonSet StaleControllerConsistencyJob StaleControllerConsistencyReplicaSet
        StaleControllerConsistencyStatefulSet StatefulSetSemanticRevisionComparison StorageVersionHash StrictIPCIDRValidation
        StructuredAuthenticationConfigurationEgressSelector StructuredAuthenticationConfigurationJWKSMetrics
        TokenRequestServiceAccountUIDValidation TopologyManagerPolicyBetaOptions TranslateStreamCloseWebsocketRequests
        UnauthenticatedHTTP2DOSMitigation UnknownVersionInteroperabilityProxy UnlockWhileProcessingFIFO
        WatchCacheInitializationPostStartHook WatchList WatchListClient WindowsGracefulNodeShutdown
    """,
    ("BETA", False): """
        AllBeta ClusterTrustBundle ClusterTrustBundleProjection ConcurrentWatchObjectDecode CoordinatedLeaderElection
        DRADeviceTaintRules LocalStorageCapacityIsolationFSQuotaMonitoring MaxUnavailableStatefulSet PodCertificateRequest
        SELinuxMount SchedulerAsyncAPICalls StorageVersionMigrator
    """,
    ("ALPHA", False): """
        APIServingWithRoutine AllAlpha AllowUnsafeMalformedObjectDeletion CBORServingAndStorage CPUManagerPolicyAlphaOptions
        CRIListStreaming CSIVolumeHealth ClientsAllowCBOR ClientsPreferCBOR CloudControllerManagerWatchBasedRoutesReconciliation
        CloudControllerManagerWebhook ContainerStopSignals ControllerManagerReleaseLeaderElectionLockOnExit
        CrossNamespaceVolumeDataSource DRAListTypeAttributes DRANodeAllocatableResources DRAResourcePoolStatus
        DRAWorkloadResourceClaims EventedPLEG GangScheduling GenericWorkload HPAScaleToZero ImageVolumeWithDigest
        InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory KubeletInUserNamespace LoggingAlphaOptions
        ManifestBasedAdmissionControlConfig MemoryQoS MutablePVNodeAffinity NativeHistograms PersistentVolumeClaimUnusedSinceTime
        PodAndContainerStatsFromCRI PodLevelResourceManagers PodLogsQuerySplitStreams PodsAPI QOSReserved
        ReduceDefaultCrashLoopBackOffDecay RuntimeClassInImageCriApi ShardedListAndWatch StorageCapacityScoring StorageVersionAPI
        TaintTolerationComparisonOperators TopologyAwareWorkloadScheduling TopologyManagerPolicyAlphaOptions
        UserNamespacesHostNetworkSupport VolumeLimitScaling WindowsCPUAndMemoryAffinity WorkloadAwarePreemption WorkloadWithJob
    """,
    ("DEPRECATED", True): """
        AggregatedDiscoveryRemoveBetaType DisableCPUQuotaWithExclusiveCPUs DisableNodeKubeProxyVersion
        KubeletPodResourcesListUseActivePods ServiceCIDRStatusFieldWiping StorageNamespaceIndex
    """,
    ("DEPRECATED", False): """
        AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests AllowOverwriteTerminationGracePeriodSeconds
        ChangeContainerStatusOnKubeletRestart DeclarativeValidationTakeover GitRepoVolumeDriver KMSv1
        KubeletRegistrationGetOnExistsOnly SeparateCacheWatchRPC WindowsHostNetwork
    """,
}


_NEEDS = """
    AuthorizeNodeWithSelectors:AuthorizeWithSelectors ClusterTrustBundleProjection:ClusterTrustBundle
    DRAAdminAccess:DynamicResourceAllocation DRAConsumableCapacity:DynamicResourceAllocation
    DRADeviceBindingConditions:DynamicResourceAllocation,DRAResourceClaimDeviceStatus DRADeviceTaintRules:DRADeviceTaints
    DRADeviceTaints:DynamicResourceAllocation DRAExtendedResource:DynamicResourceAllocation
    DRAListTypeAttributes:DynamicResourceAllocation DRANodeAllocatableResources:DynamicResourceAllocation
    DRAPartitionableDevices:DynamicResourceAllocation DRAPrioritizedList:DynamicResourceAllocation
    DRAResourceClaimGranularStatusAuthorization:DynamicResourceAllocation,DRAResourceClaimDeviceStatus
    DRAResourcePoolStatus:DynamicResourceAllocation DRASchedulerFilterTimeout:DynamicResourceAllocation
    DRAWorkloadResourceClaims:DynamicResourceAllocation,GenericWorkload DeclarativeValidationBeta:DeclarativeValidation
    DeclarativeValidationTakeover:DeclarativeValidation DisableAllocatorDualWrite:MultiCIDRServiceAllocator
    ExtendWebSocketsToKubelet:NodeDeclaredFeatures GangScheduling:GenericWorkload
    GracefulNodeShutdownBasedOnPodPriority:GracefulNodeShutdown ImageVolumeWithDigest:ImageVolume
    InPlacePodLevelResourcesVerticalScaling:InPlacePodVerticalScaling,PodLevelResources,NodeDeclaredFeatures
    InPlacePodVerticalScalingExclusiveCPUs:InPlacePodVerticalScaling
    InPlacePodVerticalScalingExclusiveMemory:InPlacePodVerticalScaling
    InPlacePodVerticalScalingInitContainers:InPlacePodVerticalScaling,NodeDeclaredFeatures
    MatchLabelKeysInPodTopologySpreadSelectorMerge:MatchLabelKeysInPodTopologySpread PodCertificateRequest:AuthorizeNodeWithSelectors
    PodLevelResourceManagers:PodLevelResources PodLifecycleSleepActionAllowZero:PodLifecycleSleepAction
    ProcMountType:UserNamespacesSupport ResourceHealthStatus:DynamicResourceAllocation ResourceHealthStatusMessage:ResourceHealthStatus
    RestartAllContainersOnContainerExits:ContainerRestartRules,NodeDeclaredFeatures
    ServiceAccountTokenNodeBinding:ServiceAccountTokenNodeBindingValidation StaleControllerConsistencyDaemonSet:AtomicFIFO
    StaleControllerConsistencyJob:AtomicFIFO StaleControllerConsistencyReplicaSet:AtomicFIFO
    StaleControllerConsistencyStatefulSet:AtomicFIFO StorageVersionAPI:APIServerIdentity
    StructuredAuthenticationConfigurationEgressSelector:StructuredAuthenticationConfiguration
    StructuredAuthenticationConfigurationJWKSMetrics:StructuredAuthenticationConfiguration
    TopologyAwareWorkloadScheduling:GenericWorkload UnknownVersionInteroperabilityProxy:APIServerIdentity
    UserNamespacesHostNetworkSupport:UserNamespacesSupport,NodeDeclaredFeatures WindowsGracefulNodeShutdown:GracefulNodeShutdown
    WorkloadAwarePreemption:GangScheduling WorkloadWithJob:GenericWorkload
"""
_ALL = {"ALPHA": "AllAlpha", "BETA": "AllBeta"}
"""The gate that speaks for all of a stage that are not named themselves."""
_TRUTH = {text: value for value, texts in ((True, "1 t T true TRUE True"), (False, "0 f F false FALSE False")) for text in texts.split()}
"""As Go's strconv.ParseBool reads it."""


GOVERNED: Features = frozenset(
    [
        "APIServerIdentity",
        "ClusterTrustBundle",
        "ClusterTrustBundleProjection",
        "ComponentFlagz",
        "ComponentStatusz",
        "ContainerStopSignals",
        "CoordinatedLeaderElection",
        "CrossNamespaceVolumeDataSource",
        "DRADeviceTaintRules",
        "DRAListTypeAttributes",
        "DRANodeAllocatableResources",
        "DRAResourcePoolStatus",
        "DRAWorkloadResourceClaims",
        "GenericWorkload",
        "HPAScaleToZero",
        "MaxUnavailableStatefulSet",
        "MutablePVNodeAffinity",
        "NodeDeclaredFeatures",
        "PodCertificateRequest",
        "PodTopologyLabelsAdmission",
        "StorageVersionAPI",
        "StorageVersionHash",
        "StorageVersionMigrator",
        "TopologyAwareWorkloadScheduling",
        "UnknownVersionInteroperabilityProxy",
        "VolumeLimitScaling",
        "WatchList",
        "WorkloadAwarePreemption",
    ]
)
"""Those that somebody here asks; what the others stand for is as it is by default."""


def gates() -> Iterator[Gate]:
    """All of them, by name."""
    rows = [Gate(name, stage, enabled) for (stage, enabled), names in _TABLE.items() for name in names.split()]
    return iter(sorted(rows))


def resolve(wanted: Mapping[str, bool]) -> Features:
    """What is on when `wanted` is asked for: what is named counts more than AllAlpha and AllBeta, those more than the default."""
    on = set()
    for gate in gates():
        value = wanted.get(gate.name)
        if value is None and gate.name not in _ALL.values():
            value = wanted.get(_ALL.get(gate.stage, ""))
        if gate.enabled if value is None else value:
            on.add(gate.name)
    return frozenset(on)


DEFAULT_FEATURES = resolve({})


def ignored_gates(wanted: Mapping[str, bool]) -> list[str]:
    """`name=value` of those asked for that differ from the default, and nothing comes of it."""
    known = {gate.name: gate.enabled for gate in gates()}
    asked = {name: value for name, value in wanted.items() if name not in GOVERNED and name not in _ALL.values()}
    return [f"{name}={str(value).lower()}" for name, value in asked.items() if known.get(name) is not value]


def read_gates(texts: Mapping[str, str]) -> tuple[dict[str, bool], list[str]]:
    """The values of --feature-gates, with or without their component before the name, as gates and values; and what is wrong with them, in
    upstream's words."""
    known, values, faults = {gate.name: gate for gate in gates()}, {}, []
    for key, text in texts.items():
        component, _, name = key.rpartition(":")
        gate, value = known.get(name), _TRUTH.get(text)
        if component not in ("", "kube"):
            faults.append(f"component not registered: {component}")
        elif gate is None:
            faults.append(f"unrecognized feature gate: {name}")
        elif not text:
            faults.append(f"missing bool value for {name}")
        elif value is None:
            faults.append(f'invalid value of {name}={text}, err: strconv.ParseBool: parsing "{text}": invalid syntax')
        elif value != gate.enabled and not gate.stage:
            word = "true" if gate.enabled else "false"
            faults.append(f"cannot set feature gate {name} to {str(value).lower()}, feature is locked to {word}")
        else:
            values[name] = value
    return values, faults or _unmet(resolve(values))


def _unmet(features: Features) -> list[str]:
    """Gates that are on although one that they need is off."""
    found = []
    for entry in _NEEDS.split():
        name, _, needed = entry.partition(":")
        off = [each for each in needed.split(",") if each not in features]
        if name in features and off:
            found.append(f"{name} is enabled, but depends on features that are disabled: [{' '.join(off)}]")
    return found
