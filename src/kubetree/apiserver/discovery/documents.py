"""Discovery documents as pure functions of the table of kinds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from kubetree.api.custom_resources.versions import priority
from kubetree.api.kinds import Kind, Kinds, Subresource

Object = dict[str, Any]


def groups(kinds: Kinds) -> dict[str, list[str]]:
    """Named groups in order, each with its versions, the preferred one first."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        if kind.group and kind.version not in found.setdefault(kind.group, []):
            found[kind.group].append(kind.version)
    return {group: sorted(versions, key=priority, reverse=True) for group, versions in found.items()}


def api_versions(server_address: str) -> Object:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def group_document(group: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def group_list(kinds: Kinds) -> Object:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_document(g, v) for g, v in groups(kinds).items()]}


def resource_list(kinds: Kinds, group: str, version: str) -> Object | None:
    """metav1.APIResourceList of one group version, None when there is none."""
    rows = [k for k in kinds if k.group == group and k.version == version]
    if not rows:
        return None
    resources: list[Object] = []
    for kind in sorted(rows, key=lambda k: k.plural):
        resources.append(_resource(kind))
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


def _resource(kind: Kind) -> Object:
    row: Object = {"name": kind.plural, "singularName": kind.singular_name, "namespaced": kind.namespaced, "kind": kind.kind}
    row["verbs"] = list(kind.verbs)
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.stored:
        row["storageVersionHash"] = storage_hash(kind)
    return row


def storage_hash(kind: Kind) -> str:
    """A short hash that changes when objects are stored in another version, as discovery carries it."""
    group, _, version = kind.stored_as.rpartition("/")
    digest = hashlib.sha256(f"{group}/{version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated(kinds: Kinds, *, legacy: bool, version: str) -> Object:
    """apidiscovery.k8s.io APIGroupDiscoveryList: of /api when `legacy`, else of /apis."""
    tree = {"": ["v1"]} if legacy else groups(kinds)
    items = [_group_discovery(kinds, group, versions) for group, versions in tree.items()]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}, "items": items}


def _group_discovery(kinds: Kinds, group: str, versions: list[str]) -> Object:
    metadata: Object = {"creationTimestamp": None}
    if group:
        metadata["name"] = group
    return {"metadata": metadata, "versions": [_version_discovery(kinds, group, v) for v in versions]}


def _version_discovery(kinds: Kinds, group: str, version: str) -> Object:
    rows: Iterable[Kind] = sorted((k for k in kinds if k.group == group and k.version == version), key=lambda k: k.plural)
    return {"version": version, "resources": [_resource_discovery(kind) for kind in rows], "freshness": "Current"}


def _resource_discovery(kind: Kind) -> Object:
    """An empty group or version of a responseKind stands for the list's own."""
    row: Object = {
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
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
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind or kind.kind},
                "verbs": list(sub.verbs),
            }
            for sub in _subresources(kind)
        ]
    return row
