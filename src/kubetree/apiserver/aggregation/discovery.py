"""What another server serves, asked of it: aggregated discovery where it has that, else the legacy documents, converted.

Follows kube-aggregator's handler_discovery.go and endpoints.ConvertGroupVersionIntoToDiscovery.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from kubetree.api import protobuf
from kubetree.apiserver.aggregation.remote import CHECKER, MALFORMED, Remote, Transport, Unreachable

Object = dict[str, Any]
TIMEOUT = 5.0
_LIST = "g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
_ACCEPT = ",".join(f"application/json;{_LIST.format(version)}" for version in ("v2", "v2beta1"))
_LIST_OF = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2"}
_NO_KIND = {"group": "", "version": "", "kind": ""}


async def refresh(remote: Remote, transport: Transport) -> bool:
    """Brings `remote.discovery` up to date; what was known stays, marked as stale, when the server does not answer. Whether it changed."""
    before = (remote.discovery, remote.stale)
    try:
        found = await _fetch(remote, transport)
        protobuf.encode(_LIST_OF | {"items": [{"versions": [found]}]})  # what is no discovery fails here, not when somebody asks for all
        remote.discovery = found
        remote.stale = False
    except (Unreachable, *MALFORMED):
        remote.stale = True
    return (remote.discovery, remote.stale) != before


async def _fetch(remote: Remote, transport: Transport) -> Object:
    """Raises Unreachable, ValueError."""
    if not remote.available:
        raise Unreachable("service unavailable")
    headers = {"Accept": _ACCEPT} | ({"If-None-Match": remote.etag} if remote.etag else {})
    status, answered, body = await transport.fetch(remote, "/apis", CHECKER, headers, TIMEOUT)
    if status == 304 and remote.discovery is not None:
        return remote.discovery
    if status == 503:
        raise Unreachable("service unavailable")
    if status == 200 and "as=APIGroupDiscoveryList" in answered.get("Content-Type", ""):
        remote.etag = answered.get("Etag", "")
        return _of_list(orjson.loads(body), remote.group, remote.version)
    path = remote.path if remote.group else f"/api/{remote.version}"
    status, _, body = await transport.fetch(remote, path, CHECKER, {"Accept": "application/json"}, TIMEOUT)
    if status != 200:
        raise Unreachable(f"failed to download legacy discovery for {path}")
    return {"version": remote.version, "resources": converted(orjson.loads(body).get("resources") or ())}


def _of_list(document: Object, group: str, version: str) -> Object:
    """Of an APIGroupDiscoveryList; empty for a server that does not tell of the group and version."""
    for item in document.get("items") or ():
        if ((item.get("metadata") or {}).get("name") or "") == group:
            for found in item.get("versions") or ():
                if found.get("version") == version:
                    return _with_kinds(found)
    return {"version": version}


def _with_kinds(found: Object) -> Object:
    """Old clients cannot do without a responseKind."""
    for resource in found.get("resources") or ():
        for row in (resource, *(resource.get("subresources") or ())):
            if row.get("responseKind") is None:
                row["responseKind"] = _NO_KIND
    return found


def converted(rows: Iterable[Object]) -> list[Object]:
    """APIResourceDiscovery of metav1.APIResource rows. Raises ValueError when scopes contradict each other."""
    found: dict[str, Object] = {}
    subresources = []
    for row in rows:
        name, _, sub = row["name"].partition("/")
        if sub:
            subresources.append((name, sub, row))
            continue
        made: Object = {
            "resource": name,
            "responseKind": _kind(row),
            "scope": _scope(row),
            "singularResource": row.get("singularName") or "",
            "verbs": row.get("verbs") or [],
        }
        found[name] = made | {key: row[key] for key in ("shortNames", "categories") if row.get(key)}
    for name, sub, row in subresources:
        parent = found.setdefault(
            name, {"resource": name, "responseKind": _NO_KIND, "scope": _scope(row), "singularResource": "", "verbs": None}
        )
        if parent["scope"] != _scope(row):
            raise ValueError(f"{name} and {name}/{sub} are of different scopes")
        made = {"subresource": sub, "responseKind": _kind(row) if row.get("kind") else _NO_KIND, "verbs": row.get("verbs") or []}
        parent.setdefault("subresources", []).append(made)
    return list(found.values())


def _scope(row: Object) -> str:
    return "Namespaced" if row.get("namespaced") else "Cluster"


def _kind(row: Object) -> Object:
    return {"group": row.get("group") or "", "version": row.get("version") or "", "kind": row.get("kind") or ""}
