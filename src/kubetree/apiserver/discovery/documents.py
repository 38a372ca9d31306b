"""Discovery documents as pure functions of the table of kinds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cmp_to_key
from typing import Any, NamedTuple

from kubetree.api.kinds import Kind, Kinds, Subresource
from kubetree.api.version_order import version_order
from kubetree.apiserver.aggregation.api_services import priority_of

Object = dict[str, Any]


class Served(NamedTuple):
    """A group and version that discovery tells of; `document` is its APIVersionDiscovery."""

    group: str
    version: str
    group_priority: int
    version_priority: int
    document: Object


def groups(kinds: Kinds) -> dict[str, list[str]]:
    """Named groups of this server in discovery's order, each with its versions, the preferred one first."""
    versions = dict.fromkeys((kind.group, kind.version) for kind in kinds if kind.group)
    return {group: [s.version for s in rows] for group, rows in ordered(_bare(*found) for found in versions).items()}


def _bare(group: str, version: str) -> Served:
    return Served(group, version, *priority_of(group, version), {})


def ordered(served: Iterable[Served]) -> dict[str, list[Served]]:
    """Groups by the highest priority that any of their versions asks for, then by name; versions by priority, then as versions go."""
    found: dict[str, list[Served]] = {}
    for row in served:
        found.setdefault(row.group, []).append(row)
    by_priority = sorted(found, key=lambda group: (-max(row.group_priority for row in found[group]), group))
    return {group: sorted(found[group], key=cmp_to_key(_version_first)) for group in by_priority}


def _version_first(a: Served, b: Served) -> int:
    return b.version_priority - a.version_priority or version_order(a.version, b.version)


def api_versions(server_address: str) -> Object:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def group_document(group: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def group_list(found: Mapping[str, list[str]]) -> Object:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_document(g, v) for g, v in found.items()]}


def resource_list(kinds: Kinds, group: str, version: str, *, hashes: bool = True) -> Object | None:
    """metav1.APIResourceList of one group version, None when there is none. `hashes`: with storageVersionHash."""
    rows = [k for k in kinds if k.group == group and k.version == version]
    if not rows:
        return None
    resources: list[Object] = []
    for kind in sorted(rows, key=lambda k: k.plural):
        resources.append(_resource(kind, hashes))
        for sub in _subresources(kind):
            row: Object = {"name": f"{kind.plural}/{sub.name}", "singularName": "", "namespaced": kind.namespaced}
            if sub.group and (sub.group, sub.version) != (kind.group, kind.version):
                row["group"], row["version"] = sub.group, sub.version
            row["kind"] = sub.kind or kind.kind
            row["verbs"] = list(sub.verbs)
            resources.append(row)
    if not group:
        return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}", "resources": resources}


def _subresources(kind: Kind) -> Iterable[Subresource]:
    """Custom resources list their status first."""
    return sorted(kind.subresources, key=lambda s: s.name, reverse=kind.behaviour is not None)


def _resource(kind: Kind, hashes: bool) -> Object:
    row: Object = {"name": kind.plural, "singularName": kind.singular_name, "namespaced": kind.namespaced, "kind": kind.kind}
    row["verbs"] = list(kind.verbs)
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.stored and hashes:
        row["storageVersionHash"] = storage_hash(kind)
    return row


_HASHED_AS = {
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): "v1beta1",
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): "v1beta1",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "v1beta1",
}
"""Kinds that upstream stores in an older version than ours: the hash is upstream's, for clients that see both."""


def storage_hash(kind: Kind) -> str:
    """A short hash that changes when objects are stored in another version, as discovery carries it."""
    group, _, version = kind.stored_as.rpartition("/")
    version = _HASHED_AS.get((kind.group, kind.kind), version)
    digest = hashlib.sha256(f"{group}/{version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated(kinds: Kinds, others: Iterable[Served] = (), *, legacy: bool) -> Object:
    """apidiscovery.k8s.io APIGroupDiscoveryList, without kind and apiVersion: of /api when `legacy`, else of /apis.

    `others` are groups and versions of other servers; they come before this server's own of the same name.
    """
    rows: dict[tuple[str, str], list[Kind]] = {}
    for kind in kinds:
        if (not kind.group) == legacy:
            rows.setdefault((kind.group, kind.version), []).append(kind)
    found = {key: Served(*key, *priority_of(*key), _version_discovery(key[1], listed)) for key, listed in rows.items()}
    found |= {(row.group, row.version): row for row in others if (not row.group) == legacy}
    items = [_group_discovery(group, versions) for group, versions in ordered(found.values()).items()]
    return {"metadata": {}, "items": items}


def _group_discovery(group: str, versions: list[Served]) -> Object:
    return {"metadata": {"name": group} if group else {}, "versions": [row.document for row in versions]}


def _version_discovery(version: str, rows: list[Kind]) -> Object:
    listed = sorted(rows, key=lambda k: k.plural)
    return {"version": version, "resources": [_resource_discovery(kind) for kind in listed], "freshness": "Current"}


def _resource_discovery(kind: Kind) -> Object:
    """An empty group or version of a responseKind stands for the list's own; those of custom resources are written out, as upstream does."""
    own = (kind.group, kind.version) if kind.behaviour is not None else ("", "")
    row: Object = {
        "resource": kind.plural,
        "responseKind": {"group": own[0], "version": own[1], "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular_name,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.subresources:
        row["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {"group": sub.group or own[0], "version": sub.version or own[1], "kind": sub.kind or kind.kind},
                "verbs": list(sub.verbs),
            }
            for sub in _subresources(kind)
        ]
    return row
