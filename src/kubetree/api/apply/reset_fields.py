"""Fields that an endpoint resets to what was there before: nobody comes to own them by writing there.

Status on the main resource, spec (and sometimes metadata) on the status subresource. Follows GetResetFields of upstream's strategies; the
filters that pods have for resizing and ephemeral containers never come to bear there, so what is written through these and dropped is owned
all the same.
"""

from __future__ import annotations

from kubetree.api.apply.field_sets import LEAF, Node, matching, recursive_difference
from kubetree.api.kinds import Kind

_STATUS: Node = {"f:status": LEAF}
_SPEC: Node = {"f:spec": LEAF}
_SPEC_AND_METADATA: Node = {"f:spec": LEAF, "f:metadata": LEAF}

_ALL_METADATA_RESET = frozenset(
    {
        "APIService", "DeviceTaintRule", "FlowSchema", "PodGroup", "PriorityLevelConfiguration",
        "ResourceClaim", "ResourcePoolStatusRequest", "ServiceCIDR", "StorageVersion", "StorageVersionMigration",
        "ValidatingAdmissionPolicy", "VolumeAttachment",
    }
)  # fmt: skip

_EXCLUDED: dict[tuple[str, str], Node] = {
    ("CertificateSigningRequest", ""): {"f:spec": LEAF, "f:status": LEAF},
    ("CertificateSigningRequest", "status"): {"f:spec": LEAF, "f:status": {"f:conditions": LEAF}},
    ("CertificateSigningRequest", "approval"): {"f:spec": LEAF, "f:status": {"f:certificate": LEAF}},
    ("Deployment", "status"): {"f:spec": LEAF, "f:metadata": {"f:labels": LEAF}},
    ("Namespace", "finalize"): _STATUS,
    ("PodCertificateRequest", ""): LEAF,
    ("Pod", "status"): {"f:spec": LEAF, "f:metadata": {"f:deletionTimestamp": LEAF, "f:ownerReferences": LEAF}},
}


_Rule = tuple[Node | None, Node]
"""(what alone can be owned or None for everything, what cannot be owned)"""

_rules: dict[tuple[str, str, str], _Rule] = {}


def without_reset_fields(fields: Node, kind: Kind, subresource: str, *, builtin: bool = True) -> Node:
    """`fields` as far as a write to `subresource` ('' for the object itself) can own them."""
    if not fields:
        return fields
    if builtin:
        key = kind.group, kind.kind, subresource
        rule = _rules.get(key)
        if rule is None:
            rule = _rules[key] = _builtin_rule(kind, subresource)
    else:
        rule = _custom_rule(kind, subresource)
    included, excluded = rule
    if included is not None:
        return matching(fields, included)
    if excluded is _STATUS:
        return {key: node for key, node in fields.items() if key != "f:status"} if "f:status" in fields else fields
    return recursive_difference(fields, excluded) if excluded else fields


def _builtin_rule(kind: Kind, subresource: str) -> _Rule:
    key = kind.kind, subresource
    if key in _EXCLUDED:
        return None, _EXCLUDED[key]
    if subresource == "status":
        return None, _SPEC_AND_METADATA if kind.kind in _ALL_METADATA_RESET else _SPEC
    return None, _STATUS if subresource == "" and kind.subresource("status") is not None else LEAF


def _custom_rule(kind: Kind, subresource: str) -> _Rule:
    if subresource == "status":
        return _STATUS, LEAF
    return None, _STATUS if subresource == "" and kind.subresource("status") is not None else LEAF
