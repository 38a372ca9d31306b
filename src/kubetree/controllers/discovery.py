"""Which kinds the server serves now, custom ones included: aggregated discovery read into rows of kinds."""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api import errors
from kubetree.api.kind_table import every_kind
from kubetree.api.kinds import Kind, Subresource
from kubetree.client import Client

Object = dict[str, Any]

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_BUILTIN = every_kind()


def kinds_of(document: Object) -> list[Kind]:
    """The kinds of an APIGroupDiscoveryList, each in its preferred version only. Built-in ones are the table's own rows."""
    found: list[Kind] = []
    for group in document.get("items") or ():
        seen: set[str] = set()
        for version in group.get("versions") or ():
            for resource in version.get("resources") or ():
                if resource["resource"] not in seen:
                    seen.add(resource["resource"])
                    found.append(_row(group["metadata"].get("name", ""), version["version"], resource))
    return found


def _row(group: str, version: str, resource: Object) -> Kind:
    known = _BUILTIN.by_resource(group, version, resource["resource"])
    if known is not None:
        return known
    return Kind(
        group,
        version,
        resource["responseKind"]["kind"],
        resource["resource"],
        namespaced=resource["scope"] == "Namespaced",
        verbs=tuple(resource["verbs"]),
        subresources=tuple(
            Subresource(each["subresource"], "", "", "", tuple(each["verbs"])) for each in resource.get("subresources") or ()
        ),
    )


async def discover(client: Client) -> list[Kind]:
    """All kinds served. Raises ApiError when the server does not answer."""
    kinds: list[Kind] = []
    for path in ("/api", "/apis"):
        document = orjson.loads(await client.raw("GET", path, accept=ACCEPT))
        if document.get("kind") != "APIGroupDiscoveryList":
            raise errors.NotAcceptable(f"GET {path}: the server does not offer aggregated discovery")
        kinds += kinds_of(document)
    return kinds


def is_builtin(kind: Kind) -> bool:
    """Whether duties may name the kind, so that it stays followed whatever discovery says."""
    return _BUILTIN.by_kind(kind.api_version, kind.kind) is not None


def collectable(kind: Kind) -> bool:
    """Whether the garbage collector follows a kind: it can be listed, watched and deleted, and is no Event."""
    return {"list", "watch", "delete"} <= set(kind.verbs) and kind.kind != "Event"


def deletable(kind: Kind) -> bool:
    """Whether objects of the kind go with their namespace."""
    return kind.namespaced and "delete" in kind.verbs
