"""What the bootstrap roles allow besides while a feature gate is on that is off by default, and what not without one. Facts of upstream's bootstrappolicy at v1.36.

A role that is named in no other table is there only with the gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from kubetree.api.feature_gates import Features
from kubetree.apiserver.authorization.bootstrap.rules import allow
from kubetree.apiserver.authorization.rules import PolicyRule

Rules = tuple[PolicyRule, ...]
Table = dict[str, Rules]
_READ, _WRITE = "get list watch", "create delete deletecollection patch update"
_CERTIFICATES, _RESOURCE, _SCHEDULING = "certificates.k8s.io", "resource.k8s.io", "scheduling.k8s.io"
_EVENTS = allow("create patch update", "core events.k8s.io", "events")

GATED_CLUSTER_ROLES: tuple[tuple[str, str, Rules], ...] = (
    ("GenericWorkload", "system:aggregate-to-view", (allow(_READ, _SCHEDULING, "podgroups podgroups/status workloads"),)),
    ("GenericWorkload", "system:aggregate-to-edit", (allow(_WRITE, _SCHEDULING, "podgroups workloads"),)),
    ("ClusterTrustBundle", "system:node", (allow(_READ, _CERTIFICATES, "clustertrustbundles"),)),
    ("PodCertificateRequest", "system:node", (allow("create get list watch", _CERTIFICATES, "podcertificaterequests"),)),
    ("DRADeviceTaintRules", "system:kube-scheduler", (allow(_READ, _RESOURCE, "devicetaintrules"),)),
    (
        "GenericWorkload",
        "system:kube-scheduler",
        (allow(_READ, _SCHEDULING, "podgroups"), allow("patch update", _SCHEDULING, "podgroups/status")),
    ),
    ("ClusterTrustBundle", "system:cluster-trust-bundle-discovery", (allow(_READ, _CERTIFICATES, "clustertrustbundles"),)),
)
"""(gate, role, rules)."""

GATED_BINDINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("ClusterTrustBundle", "system:cluster-trust-bundle-discovery", ("Group:system:serviceaccounts",)),
)
"""(gate, cluster role and its binding, subjects)."""

GATED_CONTROLLER_ROLES: tuple[tuple[str, str, Rules], ...] = (
    (
        "StorageVersionAPI",
        "storage-version-garbage-collector",
        (
            allow(_READ, "coordination.k8s.io", "leases"),
            allow("delete get list patch update watch", "internal.apiserver.k8s.io", "storageversions"),
            allow("get patch update", "internal.apiserver.k8s.io", "storageversions/status"),
        ),
    ),
    (
        "StorageVersionMigrator",
        "storage-version-migrator-controller",
        (
            allow("create list patch", "*", "*"),
            allow("get", "apiextensions.k8s.io", "customresourcedefinitions"),
            allow("patch", "apiextensions.k8s.io", "customresourcedefinitions/status"),
            allow("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
        ),
    ),
    ("PodCertificateRequest", "podcertificaterequestcleaner", (allow("delete get list watch", _CERTIFICATES, "podcertificaterequests"),)),
    (
        "ClusterTrustBundle",
        "kube-apiserver-serving-clustertrustbundle-publisher",
        (
            allow("attest", _CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-serving"),
            allow("create delete list update watch", _CERTIFICATES, "clustertrustbundles"),
            _EVENTS,
        ),
    ),
    (
        "GenericWorkload",
        "podgroup-protection-controller",
        (allow("get list update watch", _SCHEDULING, "podgroups"), allow(_READ, "core", "pods")),
    ),
    ("WorkloadWithJob", "job-controller", (allow("create get list watch", _SCHEDULING, "podgroups workloads"),)),
    (
        "DRAWorkloadResourceClaims",
        "resource-claim-controller",
        (allow(_READ, _SCHEDULING, "podgroups"), allow("patch update", _SCHEDULING, "podgroups/status")),
    ),
    (
        "DRADeviceTaintRules",
        "device-taint-eviction-controller",
        (allow("patch update", _RESOURCE, "devicetaintrules/status"), allow(_READ, _RESOURCE, "devicetaintrules")),
    ),
    (
        "DRAResourcePoolStatus",
        "resourcepoolstatusrequest-controller",
        (
            allow("delete get list watch", _RESOURCE, "resourcepoolstatusrequests"),
            allow("patch update", _RESOURCE, "resourcepoolstatusrequests/status"),
            allow(_READ, _RESOURCE, "resourceslices"),
            allow(_READ, _RESOURCE, "resourceclaims"),
            _EVENTS,
        ),
    ),
)
"""(gate, controller, rules)."""


_PAGES = {"/flagz": "ComponentFlagz", "/statusz": "ComponentStatusz"}


def with_gated(table: Table, gated: Iterable[tuple[str, str, Rules]], features: Features) -> Table:
    """The table with what the gates that are on add."""
    found = dict(table)
    for gate, name, rules in gated:
        if gate in features:
            found[name] = found.get(name, ()) + rules
    missing = {url for url, gate in _PAGES.items() if gate not in features}
    return {name: tuple(_without(rule, missing) for rule in rules) for name, rules in found.items()} if missing else found


def _without(rule: PolicyRule, urls: Set[str]) -> PolicyRule:
    return rule if urls.isdisjoint(rule.urls) else replace(rule, urls=tuple(url for url in rule.urls if url not in urls))
