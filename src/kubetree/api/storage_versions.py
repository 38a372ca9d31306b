"""StorageVersion objects: what API servers say of the versions that they encode a resource in. Pure.

The API server writes its own entry, kube-controller-manager takes out those of servers that are gone; both then say anew whether all agree.
Follows apiserver/pkg/storageversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubetree.api.objects import condition

Object = dict[str, Any]
EQUAL = "AllEncodingVersionsEqual"


def object_name(group: str, plural: str) -> str:
    """`apps.deployments`, `core.pods`."""
    return f"{group or 'core'}.{plural}"


def server_entry(server: str, encoding: str, decodable: Sequence[str], served: Sequence[str]) -> Object:
    entry: Object = {"apiServerID": server, "encodingVersion": encoding, "decodableVersions": list(decodable)}
    return entry | ({"servedVersions": list(served)} if served else {})


def with_entry(obj: Object, entry: Object, now: str) -> Object:
    """The object with this entry in the place of its server's, or at the end."""
    entries = list((obj.get("status") or {}).get("storageVersions") or ())
    at = next((i for i, each in enumerate(entries) if each["apiServerID"] == entry["apiServerID"]), len(entries))
    entries[at : at + 1] = [entry]
    return with_entries(obj, entries, now)


def with_entries(obj: Object, entries: Iterable[Object], now: str) -> Object:
    """The object with these entries, the version that all of them encode in, and the condition that says whether there is one. `now` is
    when that turned, if it did."""
    status, listed = dict(obj.get("status") or {}), list(entries)
    before = status.pop("commonEncodingVersion", None)
    versions = {entry["encodingVersion"] for entry in listed}
    common = versions.pop() if len(versions) == 1 else None
    agreed = ("True", "CommonEncodingVersionSet", "Common encoding version set")
    value, reason, message = agreed if common is not None else ("False", "CommonEncodingVersionUnset", "Common encoding version unset")
    standing = condition(obj, EQUAL)
    turned = standing is None or standing["status"] != value or (before is not None and common is not None and before != common)
    generation = obj["metadata"].get("generation") or 0
    made: Object = {"type": EQUAL, "status": value} | ({"observedGeneration": generation} if generation else {})
    made["lastTransitionTime"] = now if turned or standing is None else standing.get("lastTransitionTime")
    made |= {"reason": reason, "message": message}
    conditions = list(status.get("conditions") or ())
    at = next((i for i, each in enumerate(conditions) if each["type"] == EQUAL), len(conditions))
    conditions[at : at + 1] = [made]
    status |= {"storageVersions": listed, "conditions": conditions}
    if common is not None:
        status["commonEncodingVersion"] = common
    return {**obj, "status": status}
