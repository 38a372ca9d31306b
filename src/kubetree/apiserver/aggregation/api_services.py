"""What APIService objects say: which group and version, how high in discovery, served where, and whether it can be used now. Pure.

Follows kube-aggregator's apis/apiregistration/v1/helper and controlplane/apiserver's table of priorities.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key
from typing import Any, NamedTuple

from kubetree.api.kind_table import kind
from kubetree.api.objects import condition
from kubetree.api.version_order import version_order

Object = dict[str, Any]
API_SERVICE = kind("apiregistration.k8s.io/v1", "APIService")
OWN_GROUP = API_SERVICE.group
AVAILABLE = "Available"
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
"""Values of the label: kept as wanted when the server starts, or all the time."""


class Priority(NamedTuple):
    """groupPriorityMinimum and versionPriority: the higher, the earlier in discovery."""

    group: int
    version: int


OWN_PRIORITY = Priority(20001, 0)
"""Above all that an APIService may ask for: the group of APIServices comes first."""
CUSTOM_PRIORITY = Priority(1000, 100)
"""Of groups and versions of custom resources, which go by name and version among each other."""
BUILT_IN: dict[tuple[str, str], Priority] = {
    ("", "v1"): Priority(18000, 1),
    ("apps", "v1"): Priority(17800, 15),
    ("events.k8s.io", "v1"): Priority(17750, 15),
    ("authentication.k8s.io", "v1"): Priority(17700, 15),
    ("authorization.k8s.io", "v1"): Priority(17600, 15),
    ("autoscaling", "v1"): Priority(17500, 15),
    ("autoscaling", "v2"): Priority(17500, 30),
    ("batch", "v1"): Priority(17400, 15),
    ("certificates.k8s.io", "v1"): Priority(17300, 15),
    ("certificates.k8s.io", "v1beta1"): Priority(17300, 9),
    ("certificates.k8s.io", "v1alpha1"): Priority(17300, 1),
    ("networking.k8s.io", "v1"): Priority(17200, 15),
    ("networking.k8s.io", "v1beta1"): Priority(17200, 9),
    ("policy", "v1"): Priority(17100, 15),
    ("rbac.authorization.k8s.io", "v1"): Priority(17000, 15),
    ("storage.k8s.io", "v1"): Priority(16800, 15),
    ("storage.k8s.io", "v1beta1"): Priority(16800, 9),
    ("admissionregistration.k8s.io", "v1"): Priority(16700, 15),
    ("admissionregistration.k8s.io", "v1beta1"): Priority(16700, 12),
    ("admissionregistration.k8s.io", "v1alpha1"): Priority(16700, 9),
    ("apiextensions.k8s.io", "v1"): Priority(16700, 15),
    ("scheduling.k8s.io", "v1"): Priority(16600, 15),
    ("scheduling.k8s.io", "v1alpha2"): Priority(16600, 2),
    ("coordination.k8s.io", "v1"): Priority(16500, 15),
    ("coordination.k8s.io", "v1beta1"): Priority(16500, 13),
    ("coordination.k8s.io", "v1alpha2"): Priority(16500, 12),
    ("node.k8s.io", "v1"): Priority(16300, 15),
    ("discovery.k8s.io", "v1"): Priority(16200, 15),
    ("resource.k8s.io", "v1"): Priority(16200, 21),
    ("resource.k8s.io", "v1beta2"): Priority(16200, 15),
    ("resource.k8s.io", "v1beta1"): Priority(16200, 9),
    ("resource.k8s.io", "v1alpha3"): Priority(16200, 1),
    ("flowcontrol.apiserver.k8s.io", "v1"): Priority(16100, 21),
    ("internal.apiserver.k8s.io", "v1alpha1"): Priority(16000, 9),
    ("storagemigration.k8s.io", "v1beta1"): Priority(15800, 9),
}


def priority_of(group: str, version: str) -> Priority:
    """Of what this server serves itself."""
    if group == OWN_GROUP:
        return OWN_PRIORITY
    return BUILT_IN.get((group, version), CUSTOM_PRIORITY)


def name_of(group: str, version: str) -> str:
    """`v1.apps`; `v1.` for the core group."""
    return f"{version}.{group}"


def local_spec(group: str, version: str, priority: Priority) -> Object:
    """The spec that this server gives the APIService of what it serves itself."""
    spec: Object = {"group": group} if group else {}
    return spec | {"version": version, "groupPriorityMinimum": priority.group, "versionPriority": priority.version}


def is_remote(obj: Object) -> bool:
    """The API of this server itself cannot be given away."""
    return obj["spec"].get("service") is not None and obj["spec"].get("group") != OWN_GROUP


def with_condition(obj: Object, status: str, reason: str, message: str, now: str) -> Object:
    """The object with its Available condition as told; `now` is when it turned, if it did."""
    found = condition(obj, AVAILABLE)
    turned = found is None or found.get("status") != status
    made = {
        "type": AVAILABLE,
        "status": status,
        "lastTransitionTime": now if found is None or turned else found.get("lastTransitionTime"),
        "reason": reason,
        "message": message,
    }
    others = [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") != AVAILABLE]
    return {**obj, "status": {**(obj.get("status") or {}), "conditions": [*others, made]}}


def by_group(services: Iterable[Object]) -> dict[str, list[str]]:
    """Groups in discovery's order, each with its versions, the preferred one first. The legacy group is ''."""
    ordered = sorted(services, key=lambda o: (-(o["spec"].get("groupPriorityMinimum") or 0), o["metadata"]["name"]))
    found: dict[str, list[Object]] = {}
    for obj in ordered:
        found.setdefault(obj["spec"].get("group") or "", []).append(obj["spec"])
    return {group: [spec["version"] for spec in sorted(specs, key=cmp_to_key(_version_first))] for group, specs in found.items()}


def _version_first(a: Object, b: Object) -> int:
    first, second = a.get("versionPriority") or 0, b.get("versionPriority") or 0
    if first != second:
        return -1 if first > second else 1
    return version_order(a["version"], b["version"])
