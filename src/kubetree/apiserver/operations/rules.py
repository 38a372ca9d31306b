"""The small ways in which kinds differ on delete: tables read by the generic operations.

Follows the strategies and storages under upstream's pkg/registry.
"""

from __future__ import annotations

from kubetree.api.errors import forbidden
from kubetree.api.kinds import Kind
from kubetree.apiserver.wire.options import DeleteOptions

RETURNS_DELETED = frozenset(
    {
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
        "deviceclasses.resource.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "resourceslices.resource.k8s.io",
        "devicetaintrules.resource.k8s.io",
        "resourcepoolstatusrequests.resource.k8s.io",
    }
)
"""DELETE answers with the object; the others answer with a Status."""

_ORPHANS_BY_DEFAULT = frozenset({"replicationcontrollers", "jobs.batch"})
_NEVER_COLLECTED = frozenset({"events", "events.events.k8s.io"})


def is_custom(kind: Kind) -> bool:
    """Kinds of custom resource definitions: rows that are not built in."""
    return kind.behaviour is not None


def returns_deleted(kind: Kind) -> bool:
    return kind.group_resource in RETURNS_DELETED


def orphans_by_default(kind: Kind) -> bool:
    """A delete without a policy leaves the dependents: for kinds whose first clients expected it."""
    return kind.group_resource in _ORPHANS_BY_DEFAULT


PRESERVED = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)


def deletion_warnings(kind: Kind, options: DeleteOptions) -> list[str]:
    """What a client is told that deletes without saying what becomes of the dependents."""
    silent = options.policy is None and options.orphan is None
    return [PRESERVED] if silent and kind.group_resource == "jobs.batch" else []


_KEPT = {("priorityclasses.scheduling.k8s.io", name) for name in ("system-node-critical", "system-cluster-critical")}


def refuse_deletion(kind: Kind, name: str) -> None:
    """Raises Forbidden for what the cluster cannot be without. A collection is deleted with all that is in it, as upstream's."""
    if (kind.group_resource, name) in _KEPT:
        raise forbidden(kind.plural, kind.group, name, "this is a system priority class and cannot be deleted")


def collected(kind: Kind) -> bool:
    """Whether the garbage collector's finalizers mean anything on this kind."""
    return kind.group_resource not in _NEVER_COLLECTED
