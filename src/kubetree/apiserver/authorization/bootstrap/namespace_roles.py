"""The roles of kube-system and kube-public, by namespace and name.

Facts of upstream's plugin/pkg/auth/authorizer/rbac/bootstrappolicy at v1.36, default feature gates.
"""

from __future__ import annotations

from kubetree.apiserver.authorization.bootstrap.rules import allow

NAMESPACE_ROLES = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        allow("get list watch", "core", "configmaps"),
        allow("update", "core", "configmaps", "cluster-info"),
        allow("create patch update", "core events.k8s.io", "events"),
    ),
    ("kube-system", "extension-apiserver-authentication-reader"): (
        allow("get list watch", "core", "configmaps", "extension-apiserver-authentication"),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        allow("create get list update watch", "coordination.k8s.io", "leases"),
        allow("create get list update watch", "coordination.k8s.io", "leasecandidates"),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        allow("create get list update watch", "coordination.k8s.io", "leases"),
        allow("create get list update watch", "coordination.k8s.io", "leasecandidates"),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (allow("get list watch", "core", "secrets"),),
    ("kube-system", "system:controller:cloud-provider"): (allow("create get list watch", "core", "configmaps"),),
    ("kube-system", "system:controller:token-cleaner"): (
        allow("delete get list watch", "core", "secrets"),
        allow("create patch update", "core events.k8s.io", "events"),
    ),
}
