"""metadata.managedFields: who owns which fields, one entry for each manager, operation, version and subresource."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from kubetree.api.apply.field_sets import LEAF, Node, union

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"


class ManagerKey(NamedTuple):
    """What makes two writes one manager's. The version counts for updates only."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    def describe(self) -> str:
        """`"kubectl" with subresource "status" using apps/v1`: how conflicts name a manager."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns, in the terms of `api_version`; `time` of the last write that changed its set, '' for unknown."""

    fields: Node
    api_version: str
    time: str = ""


Managed = dict[ManagerKey, Entry]


def manager_key(manager: str, operation: str, api_version: str, subresource: str) -> ManagerKey:
    """What tells one entry of managedFields from another."""
    return ManagerKey(manager or "unknown", operation, "" if operation == APPLY else api_version, subresource)


def decode(entries: Iterable[dict[str, Any]] | None) -> Managed:
    """Raises ValueError for entries that are not as they must be, with upstream's wording."""
    out: Managed = {}
    for i, entry in enumerate(entries or ()):
        operation, api_version, kind = entry.get("operation"), entry.get("apiVersion") or "", entry.get("fieldsType") or ""
        if operation not in (APPLY, UPDATE):
            raise ValueError("operation must be `Apply` or `Update`")
        if not api_version:
            raise ValueError("apiVersion must not be empty")
        if not kind:
            raise ValueError(f"missing fieldsType in managed fields entry {i}")
        if kind != "FieldsV1":
            raise ValueError(f'invalid fieldsType "{kind}" in managed fields entry {i}')
        fields = entry.get("fieldsV1")
        if fields is not None and not isinstance(fields, dict):
            raise ValueError("error decoding set: fieldsV1 must be an object")
        key = ManagerKey(entry.get("manager") or "", operation, "" if operation == APPLY else api_version, entry.get("subresource") or "")
        out[key] = Entry(fields or LEAF, api_version, entry.get("time") or "")
    return out


def encode(managed: Managed) -> list[dict[str, Any]]:
    """The entries in upstream's order: appliers before updaters, older before newer."""
    keys = list(managed)
    if len(keys) > 1:
        keys.sort(key=lambda k: (k.operation, managed[k].time, k.manager, managed[k].api_version, k.subresource))
    return [_encoded(key, managed[key]) for key in keys]


def _encoded(key: ManagerKey, entry: Entry) -> dict[str, Any]:
    out: dict[str, Any] = {"manager": key.manager, "operation": key.operation, "apiVersion": entry.api_version}
    if entry.time:
        out["time"] = entry.time
    out["fieldsType"] = "FieldsV1"
    out["fieldsV1"] = entry.fields
    if key.subresource:
        out["subresource"] = key.subresource
    return out


def is_reset(entries: Any) -> bool:
    """Whether a request means to clear managedFields: an empty list, or one empty entry."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and not entries[0]))


def capped(managed: Managed) -> Managed:
    """At most ten updaters: the oldest of each version become one, `ancient-changes`."""
    updaters = [key for key in managed if key.operation == UPDATE]
    if len(updaters) <= MAX_UPDATE_MANAGERS:
        return managed
    updaters.sort(key=lambda key: (managed[key].time, key))
    out, count = dict(managed), len(updaters)
    first: dict[str, ManagerKey] = {}
    for key in updaters:
        if count <= MAX_UPDATE_MANAGERS:
            break
        version = managed[key].api_version
        if version not in first:
            first[version] = key
            continue
        bucket = manager_key(ANCIENT, UPDATE, version, "")
        if bucket not in out:
            out[bucket] = out.pop(first[version])
        entry = out.pop(key)
        out[bucket] = replace(out[bucket], fields=union(entry.fields, out[bucket].fields), time=entry.time)
        count -= 1
    return out
