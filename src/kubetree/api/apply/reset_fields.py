"""Fields that an endpoint resets to what was there before: nobody comes to own them by writing there.

Status on the main resource, spec (and sometimes metadata) on the status subresource, all but its own fields on other subresources.
Follows GetResetFields and GetResetFieldsFilter of upstream's strategies.
"""

from __future__ import annotations

from kubetree.api.apply.field_sets import LEAF, Node, matching, recursive_difference
from kubetree.api.kinds import Kind

_STATUS: Node = {"f:status": LEAF}
_SPEC: Node = {"f:spec": LEAF}
_SPEC_AND_METADATA: Node = {"f:spec": LEAF, "f:metadata": LEAF}
_RESOURCES: Node = {"*": {"f:resources": LEAF, "f:resizePolicy": LEAF}}

_ALL_METADATA_RESET = frozenset(
    {
        "APIService", "CustomResourceDefinition", "DeviceTaintRule", "FlowSchema", "PodGroup", "PriorityLevelConfiguration",
        "ResourceClaim", "ResourcePoolStatusRequest", "ServiceCIDR", "StorageVersion", "StorageVersionMigration",
        "ValidatingAdmissionPolicy", "VolumeAttachment",
    }
)  # fmt: skip

_EXCLUDED: dict[tuple[str, str], Node] = {
    ("CertificateSigningRequest", ""): {"f:spec": LEAF, "f:status": LEAF},
    ("CertificateSigningRequest", "status"): {"f:spec": LEAF, "f:status": {"f:conditions": LEAF}},
    ("CertificateSigningRequest", "approval"): {"f:spec": LEAF, "f:status": {"f:certificate": LEAF}},
    ("Deployment", "status"): {"f:spec": LEAF, "f:metadata": {"f:labels": LEAF}},
    ("Pod", "status"): {"f:spec": LEAF, "f:metadata": {"f:deletionTimestamp": LEAF, "f:ownerReferences": LEAF}},
}
_INCLUDED: dict[tuple[str, str], Node] = {
    ("Pod", "ephemeralcontainers"): {"f:spec": {"f:ephemeralContainers": LEAF}},
    ("Pod", "resize"): {"f:spec": {"f:containers": _RESOURCES, "f:initContainers": _RESOURCES}},
}


def without_reset_fields(fields: Node, kind: Kind, subresource: str, *, builtin: bool = True) -> Node:
    """`fields` as far as a write to `subresource` ('' for the object itself) can own them."""
    if not fields:
        return fields
    key = kind.kind, subresource
    if builtin and key in _INCLUDED:
        return matching(fields, _INCLUDED[key])
    if not builtin and subresource == "status":
        return matching(fields, _STATUS)
    excluded = _EXCLUDED.get(key) if builtin else None
    if excluded is None:
        if subresource == "":
            if "f:status" not in fields or kind.subresource("status") is None:
                return fields
            excluded = _STATUS
        elif subresource == "status":
            excluded = _SPEC_AND_METADATA if kind.kind in _ALL_METADATA_RESET else _SPEC
        else:
            return fields
    return recursive_difference(fields, excluded)
