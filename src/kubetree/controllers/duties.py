"""The one wiring list: every duty of the controller manager, made for the options given."""

from __future__ import annotations

from kubetree.api.feature_gates import Features
from kubetree.controllers import (
    cluster_role_aggregation,
    disruption,
    endpoints,
    endpointslice_mirroring,
    endpointslices,
    garbage_collector,
    namespaces,
    node_ipam,
    node_lifecycle,
    node_ttl,
    pod_gc,
    pod_group_protection,
    policy_status,
    replicasets,
    replication_controllers,
    resource_quota,
    root_ca,
    service_accounts,
    service_cidrs,
    storage_protection,
    storage_version_gc,
    storage_version_migration,
    taint_eviction,
    token_secrets,
)
from kubetree.controllers.certificates import approving, cleaning, pod_request_cleaning, signing
from kubetree.controllers.cronjobs import timing
from kubetree.controllers.daemonsets import daemons
from kubetree.controllers.deployments import rollout
from kubetree.controllers.jobs import tracking, ttl_after_finished
from kubetree.controllers.options import Options
from kubetree.controllers.runner import Duty
from kubetree.controllers.statefulsets import replicas

GATED: tuple[tuple[Features, Duty], ...] = (
    (frozenset({"StorageVersionAPI", "APIServerIdentity"}), storage_version_gc.DUTY),
    (frozenset({"StorageVersionMigrator"}), storage_version_migration.DUTY),
    (frozenset({"GenericWorkload"}), pod_group_protection.DUTY),
    (frozenset({"PodCertificateRequest"}), pod_request_cleaning.DUTY),
)
"""Duties of kinds that are there only with feature gates."""


def duties(options: Options) -> list[Duty]:
    """The duties that `--controllers` asks for, those that others wait for first."""
    every = [
        service_accounts.DUTY,
        *([token_secrets.duty(options.service_account_key, options.root_ca)] if options.service_account_key else []),
        *([root_ca.duty(options.root_ca)] if options.root_ca else []),
        *([node_ipam.duty(options)] if options.allocate_node_cidrs and options.cluster_cidr else []),
        node_lifecycle.duty(options),
        taint_eviction.duty(),
        node_ttl.duty(),
        storage_protection.CLAIMS,
        storage_protection.VOLUMES,
        storage_protection.ATTRIBUTES_CLASSES,
        approving.DUTY,
        *([signing.duty(options.signing, options.signing_duration)] if options.signing else []),
        cleaning.DUTY,
        namespaces.DUTY,
        garbage_collector.duty(),
        replication_controllers.DUTY,
        replicasets.DUTY,
        rollout.DUTY,
        replicas.DUTY,
        daemons.duty(),
        tracking.duty(),
        ttl_after_finished.DUTY,
        timing.DUTY,
        endpoints.DUTY,
        endpointslices.DUTY,
        endpointslice_mirroring.DUTY,
        cluster_role_aggregation.DUTY,
        service_cidrs.DUTY,
        policy_status.DUTY,
        *(duty for gates, duty in GATED if gates <= options.features),
        resource_quota.duty(options.resource_quota_sync_period),
        disruption.DUTY,
        disruption.STALE,
        pod_gc.duty(options.terminated_pod_gc_threshold),
    ]
    return [duty for duty in every if options.enabled(duty.name)]
