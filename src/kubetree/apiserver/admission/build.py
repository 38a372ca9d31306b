"""Which plugins run, in which order: the table of all of them, and the flags that switch them on and off."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kind_table import builtin, kind
from kubetree.api.kinds import Kinds
from kubetree.apiserver.admission.always import AlwaysAdmit, AlwaysDeny
from kubetree.apiserver.admission.always_pull_images import AlwaysPullImages
from kubetree.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateRequestor,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
    PodCertificateSigner,
)
from kubetree.apiserver.admission.chain import AdmissionChain
from kubetree.apiserver.admission.claim_resize import PersistentVolumeClaimResize
from kubetree.apiserver.admission.configuration import Configuration, read_configuration
from kubetree.apiserver.admission.default_classes import DefaultIngressClass, DefaultStorageClass
from kubetree.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from kubetree.apiserver.admission.deny_service_external_ips import DenyServiceExternalIPs
from kubetree.apiserver.admission.device_claims import DeviceClaims
from kubetree.apiserver.admission.event_rate_limit import EventRateLimit
from kubetree.apiserver.admission.extended_resource_toleration import ExtendedResourceToleration
from kubetree.apiserver.admission.hard_anti_affinity import LimitPodHardAntiAffinityTopology
from kubetree.apiserver.admission.image_policy import ImagePolicyWebhook
from kubetree.apiserver.admission.image_policy import settings as image_policy_settings
from kubetree.apiserver.admission.limit_ranger import LimitRanger
from kubetree.apiserver.admission.matching.selectors import Namespaces
from kubetree.apiserver.admission.matching.targets import Equivalents
from kubetree.apiserver.admission.matching.versions import Convert
from kubetree.apiserver.admission.matching.versions import convert as convert_builtin
from kubetree.apiserver.admission.metrics import AdmissionMetrics
from kubetree.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kubetree.apiserver.admission.namespace_provision import NamespaceAutoProvision, NamespaceExists
from kubetree.apiserver.admission.node_declared_features import NodeDeclaredFeatureValidator
from kubetree.apiserver.admission.node_restriction import NodeRestriction
from kubetree.apiserver.admission.owner_references import OwnerReferencesPermissionEnforcement
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.pod_groups import JobValidation, PodGroupProtection, PodGroupWorkloadExists
from kubetree.apiserver.admission.pod_node_selector import PodNodeSelector
from kubetree.apiserver.admission.pod_resize import PodResizeValidator
from kubetree.apiserver.admission.pod_security import PodSecurity
from kubetree.apiserver.admission.pod_security import Settings as PodSecuritySettings
from kubetree.apiserver.admission.pod_security import settings as pod_security_settings
from kubetree.apiserver.admission.pod_toleration_restriction import PodTolerationRestriction
from kubetree.apiserver.admission.pod_topology_labels import PodTopologyLabels
from kubetree.apiserver.admission.policies import mutations, validations
from kubetree.apiserver.admission.policies.definitions import Definitions
from kubetree.apiserver.admission.policies.matches import Matches
from kubetree.apiserver.admission.policies.mutating import MutatingAdmissionPolicy
from kubetree.apiserver.admission.policies.param_access import ParameterAccess
from kubetree.apiserver.admission.policies.params import Params
from kubetree.apiserver.admission.policies.validating import ValidatingAdmissionPolicy
from kubetree.apiserver.admission.priority import Priority
from kubetree.apiserver.admission.rbac_escalation import RBACEscalation
from kubetree.apiserver.admission.resource_quota import ResourceQuota
from kubetree.apiserver.admission.runtime_class import RuntimeClass
from kubetree.apiserver.admission.service_account import ServiceAccount
from kubetree.apiserver.admission.storage_protection import StorageObjectInUseProtection
from kubetree.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from kubetree.apiserver.admission.webhooks.calls import Caller
from kubetree.apiserver.admission.webhooks.configurations import Configurations
from kubetree.apiserver.admission.webhooks.mutating import MutatingAdmissionWebhook
from kubetree.apiserver.admission.webhooks.validating import ValidatingAdmissionWebhook
from kubetree.apiserver.authorization.build import Authorization
from kubetree.apiserver.authorization.escalation import EscalationCheck
from kubetree.apiserver.authorization.rbac import RBAC
from kubetree.apiserver.identifiers import new_suffix as random_suffix
from kubetree.apiserver.identifiers import new_uuid
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.counters import Counters
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.registry import Writer
from kubetree.apiserver.webhooks import Credentials, WebhookClient, load_credentials, service_resolver
from kubetree.client.config import ConfigError

_GROUP = "admissionregistration.k8s.io/v1"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Needs:
    """What plugins are made of. `clock` gives seconds that only grow, `now` the time, UTC."""

    lister: Lister
    writer: Writer
    authorization: Authorization
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = field(default=_utc_now)
    new_suffix: Callable[[], str] = field(default=random_suffix)
    kinds: Kinds = field(default_factory=builtin)
    caller: Caller | None = None
    configuration: Configuration = field(default_factory=Configuration)
    toleration_seconds: tuple[int, int] = (300, 300)
    """On nodes that are not ready and on those that are not reachable."""
    counters: Counters = field(default_factory=Counters)
    features: Features = DEFAULT_FEATURES

    def hooks(self, plugin: type[Plugin], name: str, step: str) -> Configurations:
        return Configurations(self.lister, kind(_GROUP, name), step, _webhook_credentials(self.configuration, plugin.name))

    def validating(self) -> Plugin:
        rows = (kind(_GROUP, "ValidatingAdmissionPolicy"), kind(_GROUP, "ValidatingAdmissionPolicyBinding"))
        calls = self.calls()
        definitions = Definitions(self.lister, *rows, validations.compile_policy)
        return ValidatingAdmissionPolicy(definitions, self.matches(), calls.convert, calls.authorizer, calls.metrics, self.clock)

    def mutating(self) -> Plugin:
        rows = (kind(_GROUP, "MutatingAdmissionPolicy"), kind(_GROUP, "MutatingAdmissionPolicyBinding"))
        calls = self.calls()
        definitions = Definitions(self.lister, *rows, mutations.compile_policy)
        return MutatingAdmissionPolicy(definitions, self.matches(), self.kinds, calls.convert, calls.authorizer, calls.metrics, self.clock)

    def matches(self) -> Matches:
        calls = self.calls()
        return Matches(calls.equivalents, calls.namespaces, Params(self.lister, self.kinds, calls.convert))

    def calls(self) -> Caller:
        assert self.caller is not None
        return self.caller


@dataclass(frozen=True, slots=True)
class Registered:
    """A row of the table: `by_default` as upstream has it."""

    plugin: type[Plugin]
    make: Callable[[Needs], Plugin]
    by_default: bool = True
    gate: str = ""
    """The feature gate without which the plugin does nothing, whether enabled or disabled."""


def _pod_security(configuration: Configuration) -> PodSecuritySettings:
    return pod_security_settings(configuration.typed("PodSecurity", "pod-security.admission.config.k8s.io", "PodSecurityConfiguration"))


def _webhook_credentials(configuration: Configuration, plugin: str) -> Credentials:
    """A file of credentials, which the plugin's part names by an absolute path."""
    given = configuration.typed(plugin, "apiserver.config.k8s.io", "WebhookAdmissionConfiguration")
    file = given.get("kubeConfigFile") or ""
    if not file:
        return Credentials()
    if not Path(file).is_absolute():
        raise ValueError(f'kubeConfigFile: Invalid value: "{file}": must be an absolute file path')
    try:
        return load_credentials(Path(file))
    except ConfigError as error:
        raise ValueError(f"{plugin}: {error}") from None


def _pod_tolerations(needs: Needs) -> Plugin:
    group = "podtolerationrestriction.admission.k8s.io"
    given = needs.configuration.typed("PodTolerationRestriction", group, "Configuration")
    return PodTolerationRestriction(needs.lister, needs.writer, given.get("default") or (), given.get("whitelist") or ())


def _event_limits(needs: Needs) -> Plugin:
    given = needs.configuration.typed("EventRateLimit", "eventratelimit.admission.k8s.io", "Configuration")
    return EventRateLimit(given.get("limits") or (), needs.clock)


def _limited_resources(configuration: Configuration) -> Sequence[dict[str, Any]]:
    given = configuration.of("ResourceQuota")
    if given.get("kind") == "Configuration":
        given = configuration.typed("ResourceQuota", "resourcequota.admission.k8s.io", "Configuration")
    else:
        given = configuration.typed("ResourceQuota", "apiserver.config.k8s.io", "ResourceQuotaConfiguration")
    return given.get("limitedResources") or ()


PLUGINS: tuple[Registered, ...] = (
    Registered(AlwaysAdmit, lambda n: AlwaysAdmit(), by_default=False),
    Registered(NamespaceAutoProvision, lambda n: NamespaceAutoProvision(n.lister, n.writer), by_default=False),
    Registered(NamespaceLifecycle, lambda n: NamespaceLifecycle(n.lister, n.writer, n.clock)),
    Registered(NamespaceExists, lambda n: NamespaceExists(n.lister, n.writer), by_default=False),
    Registered(LimitPodHardAntiAffinityTopology, lambda n: LimitPodHardAntiAffinityTopology(), by_default=False),
    Registered(LimitRanger, lambda n: LimitRanger(n.lister, n.writer)),
    Registered(ServiceAccount, lambda n: ServiceAccount(n.lister, n.writer, n.new_suffix)),
    Registered(NodeRestriction, lambda n: NodeRestriction(n.lister, n.authorization.authorizer, n.features), by_default=False),
    Registered(TaintNodesByCondition, lambda n: TaintNodesByCondition()),
    Registered(AlwaysPullImages, lambda n: AlwaysPullImages(), by_default=False),
    Registered(
        ImagePolicyWebhook,
        lambda n: ImagePolicyWebhook(image_policy_settings(n.configuration), n.calls().client, n.clock),
        by_default=False,
    ),
    Registered(PodSecurity, lambda n: PodSecurity(n.lister, n.writer, _pod_security(n.configuration), n.counters)),
    Registered(
        PodNodeSelector,
        lambda n: PodNodeSelector(n.lister, n.writer, n.configuration.of("PodNodeSelector").get("podNodeSelectorPluginConfig")),
        by_default=False,
    ),
    Registered(Priority, lambda n: Priority(n.lister, n.features)),
    Registered(DefaultTolerationSeconds, lambda n: DefaultTolerationSeconds(*n.toleration_seconds)),
    Registered(PodTolerationRestriction, _pod_tolerations, by_default=False),
    Registered(EventRateLimit, _event_limits, by_default=False),
    Registered(ExtendedResourceToleration, lambda n: ExtendedResourceToleration(), by_default=False),
    Registered(DefaultStorageClass, lambda n: DefaultStorageClass(n.lister)),
    Registered(StorageObjectInUseProtection, lambda n: StorageObjectInUseProtection()),
    Registered(PodGroupProtection, lambda n: PodGroupProtection(), gate="GenericWorkload"),
    Registered(
        OwnerReferencesPermissionEnforcement,
        lambda n: OwnerReferencesPermissionEnforcement(n.authorization.authorizer, n.kinds),
        by_default=False,
    ),
    Registered(PersistentVolumeClaimResize, lambda n: PersistentVolumeClaimResize(n.lister)),
    Registered(RuntimeClass, lambda n: RuntimeClass(n.lister, n.writer)),
    Registered(CertificateApproval, lambda n: CertificateApproval(n.authorization.authorizer)),
    Registered(CertificateSigning, lambda n: CertificateSigning(n.authorization.authorizer)),
    Registered(ClusterTrustBundleAttest, lambda n: ClusterTrustBundleAttest(n.authorization.authorizer), gate="ClusterTrustBundle"),
    Registered(CertificateSubjectRestriction, lambda n: CertificateSubjectRestriction()),
    Registered(DefaultIngressClass, lambda n: DefaultIngressClass(n.lister)),
    Registered(DenyServiceExternalIPs, lambda n: DenyServiceExternalIPs(), by_default=False),
    Registered(PodTopologyLabels, lambda n: PodTopologyLabels(n.lister), gate="PodTopologyLabelsAdmission"),
    Registered(PodGroupWorkloadExists, lambda n: PodGroupWorkloadExists(n.lister, n.writer), gate="GenericWorkload"),
    Registered(NodeDeclaredFeatureValidator, lambda n: NodeDeclaredFeatureValidator(n.lister), gate="NodeDeclaredFeatures"),
    Registered(JobValidation, lambda n: JobValidation(n.lister), gate="GenericWorkload"),
    Registered(PodResizeValidator, lambda n: PodResizeValidator(n.lister)),
    Registered(MutatingAdmissionPolicy, lambda n: n.mutating()),
    Registered(
        MutatingAdmissionWebhook,
        lambda n: MutatingAdmissionWebhook(n.hooks(MutatingAdmissionWebhook, "MutatingWebhookConfiguration", "admit"), n.calls()),
    ),
    Registered(ValidatingAdmissionPolicy, lambda n: n.validating()),
    Registered(
        ValidatingAdmissionWebhook,
        lambda n: ValidatingAdmissionWebhook(
            n.hooks(ValidatingAdmissionWebhook, "ValidatingWebhookConfiguration", "validating"), n.calls()
        ),
    ),
    Registered(ResourceQuota, lambda n: ResourceQuota(n.lister, n.writer, n.now, _limited_resources(n.configuration))),
    Registered(AlwaysDeny, lambda n: AlwaysDeny(), by_default=False),
)
"""All plugins in upstream's order (pkg/kubeapiserver/options/plugins.go)."""


def enabled_plugins(enable: Sequence[str], disable: Sequence[str], features: Features = DEFAULT_FEATURES) -> list[Registered]:
    """The rows to run, of those whose feature is on. Raises ValueError for names that are not in the table and for names both enabled and disabled."""
    known = {row.plugin.name for row in PLUGINS}
    for name in (*enable, *disable):
        if name not in known:
            flag = "enable" if name in enable else "disable"
            raise ValueError(f'{flag}-admission-plugins plugin "{name}" is unknown')
    both = sorted(set(enable) & set(disable))
    if both:
        raise ValueError(f"[{' '.join(both)}] in enable-admission-plugins and disable-admission-plugins overlapped")
    there = [row for row in PLUGINS if not row.gate or row.gate in features]
    return [row for row in there if row.plugin.name not in disable and (row.by_default or row.plugin.name in enable)]


def build_admission(
    config: Config,
    lister: Lister,
    writer: Writer,
    authorization: Authorization,
    *,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _utc_now,
    new_suffix: Callable[[], str] = random_suffix,
    kinds: Kinds | None = None,
    webhooks: WebhookClient | None = None,
    metrics: AdmissionMetrics | None = None,
    convert: Convert = convert_builtin,
    left: Callable[[], float] = lambda: math.inf,
    counters: Counters | None = None,
) -> AdmissionChain:
    """The chain for --enable-admission-plugins and --disable-admission-plugins, with the checks that are always on at its ends.
    `left` gives the seconds that the request of this task still has.

    Raises ValueError for plugins that there are not and for configuration that they cannot go by.
    """
    kinds, metrics = kinds or builtin(), metrics or AdmissionMetrics()
    client = webhooks or WebhookClient(service_resolver(lister, endpoints=False))
    caller = Caller(
        client, Equivalents(kinds), Namespaces(lister, writer), convert, authorization.authorizer, metrics, new_uuid, left, clock
    )
    seconds = config.default_not_ready_toleration_seconds, config.default_unreachable_toleration_seconds
    configuration = read_configuration(config.admission_control_config_file)
    features = config.features
    needs = Needs(
        lister, writer, authorization, clock, now, new_suffix, kinds, caller, configuration, seconds, counters or Counters(), features
    )
    plugins = [row.make(needs) for row in enabled_plugins(config.enable_admission_plugins, config.disable_admission_plugins, features)]
    plugins.insert(0, ParameterAccess(authorization.authorizer, kinds, writer))
    if not config.always_allow:  # whatever the modes: roles may be for another server to go by
        plugins.insert(0, RBACEscalation(EscalationCheck(authorization.rbac or RBAC(lister), authorization.authorizer)))
    plugins += [CertificateRequestor(), DeviceClaims(writer, authorization.authorizer)]
    if "PodCertificateRequest" in features:
        plugins.append(PodCertificateSigner(authorization.authorizer, now))
    return AdmissionChain(plugins, metrics, clock)
