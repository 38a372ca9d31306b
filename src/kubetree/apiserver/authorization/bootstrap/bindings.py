"""Who has the bootstrap roles: every binding that a cluster starts with, beyond those of the controllers.

Facts of upstream's plugin/pkg/auth/authorizer/rbac/bootstrappolicy at v1.36, default feature gates. A subject is `User:name`,
`Group:name` or `ServiceAccount:namespace/name`.
"""

from __future__ import annotations

CLUSTER_ROLE_BINDINGS: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("Group:system:masters",),
    "system:basic-user": ("Group:system:authenticated",),
    "system:discovery": ("Group:system:authenticated",),
    "system:kube-controller-manager": ("User:system:kube-controller-manager",),
    "system:kube-dns": ("ServiceAccount:kube-system/kube-dns",),
    "system:kube-scheduler": ("User:system:kube-scheduler",),
    "system:monitoring": ("Group:system:monitoring",),
    "system:node": (),
    "system:node-proxier": ("User:system:kube-proxy",),
    "system:public-info-viewer": ("Group:system:authenticated", "Group:system:unauthenticated"),
    "system:service-account-issuer-discovery": ("Group:system:serviceaccounts",),
    "system:volume-scheduler": ("User:system:kube-scheduler",),
}
"""Name of both the cluster role and its binding, to subjects."""

ROLE_BINDINGS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        ("ServiceAccount:kube-system/bootstrap-signer",),
    ),
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        ("User:system:kube-controller-manager", "User:system:kube-scheduler"),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        (
            "User:system:kube-controller-manager",
            "ServiceAccount:kube-system/kube-controller-manager",
            "ServiceAccount:kube-system/leader-election-controller",
        ),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        ("User:system:kube-scheduler", "ServiceAccount:kube-system/kube-scheduler"),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        ("ServiceAccount:kube-system/bootstrap-signer",),
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "system:controller:cloud-provider",
        ("ServiceAccount:kube-system/cloud-provider",),
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "system:controller:token-cleaner",
        ("ServiceAccount:kube-system/token-cleaner",),
    ),
}
"""Namespace and name of the binding, to the role's name and subjects."""
