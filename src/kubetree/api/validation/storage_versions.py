"""StorageVersions: what API servers say of themselves must make sense. Follows pkg/apis/apiserverinternal/validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.validation.errors import Errors, duplicate, each, invalid, required
from kubetree.api.validation.names import dns_1035_label, dns_subdomain, label_key

Thing = dict[str, Any]
_EMPTY = "must be non-empty"
_NO_VERSION = (
    "an apiVersion is a DNS-1035 label, which must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?') with "
    "an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyVersion')"
)


def name(value: str) -> tuple[str, ...]:
    """`<group>.<resource>`."""
    group, dot, resource = value.rpartition(".")
    if not dot:
        return ("name must be in the form of <group>.<resource>",)
    found = [f"the group segment {message}" for message in dns_subdomain(group)]
    return tuple(found + [f"the resource segment {message}" for message in dns_1035_label(resource)])


def create(errs: Errors, obj: Thing) -> None:
    _status(errs, obj.get("status") or {})


def update(errs: Errors, new: Thing, old: Thing) -> None:
    """There is nothing in a spec."""


def status(errs: Errors, new: Thing, old: Thing) -> None:
    _status(errs, new.get("status") or {})


def _status(errs: Errors, found: Thing) -> None:
    entries, servers = found.get("storageVersions") or [], set()
    for i, entry in enumerate(entries):
        at, server = f"status.storageVersions[{i}]", entry.get("apiServerID") or ""
        if server in servers:
            errs.append(duplicate(f"{at}.apiServerID", server))
        servers.add(server)
        _entry(errs, entry, at)
    _common_version(errs, found.get("commonEncodingVersion"), {entry.get("encodingVersion") or "" for entry in entries})
    _conditions(errs, found.get("conditions") or ())


def _entry(errs: Errors, entry: Thing, path: str) -> None:
    server, encoding = entry.get("apiServerID") or "", entry.get("encodingVersion") or ""
    decodable = entry.get("decodableVersions") or []
    each(errs, f"{path}.apiServerID", server, dns_subdomain(server))
    _version(errs, f"{path}.encodingVersion", encoding)
    for i, version in enumerate(decodable):
        _version(errs, f"{path}.decodableVersions[{i}]", version)
    if encoding not in decodable:
        why = f"decodableVersions must include encodingVersion {encoding}"
        errs.append(invalid(f"{path}.decodableVersions", entry.get("decodableVersions"), why))
    for i, version in enumerate(entry.get("servedVersions") or ()):
        _version(errs, f"{path}.servedVersions[{i}]", version)
        if version not in decodable:
            why = f"individual served version : {version} must be included in decodableVersions : [{' '.join(decodable)}]"
            errs.append(invalid(f"{path}.servedVersions[{i}]", version, why))


def _version(errs: Errors, path: str, value: str) -> None:
    messages = _version_messages(value)
    if messages:
        errs.append(invalid(path, value, ",".join(messages)))


def _version_messages(value: str) -> list[str]:
    group, slash, version = value.rpartition("/")
    if "/" in group:
        return [_NO_VERSION]
    found = []
    if slash:
        found += [f"group part: {message}" for message in (dns_subdomain(group) if group else (_EMPTY,))]
    return found + [f"version part: {message}" for message in (dns_1035_label(version) if version else (_EMPTY,))]


def _common_version(errs: Errors, said: str | None, versions: set[str]) -> None:
    path, actual = "status.commonEncodingVersion", next(iter(versions)) if len(versions) == 1 else None
    if actual is None and said is not None:
        why = "should be nil if servers do not agree on the same encoding version, or if there is no server reporting the supported versions yet"
        errs.append(invalid(path, said, why))
    elif actual is not None and said is None:
        errs.append(invalid(path, None, f"the common encoding version is {actual}"))
    elif actual != said:
        errs.append(invalid(path, said, f"the actual common encoding version is {actual}"))


def _conditions(errs: Errors, conditions: Sequence[Thing]) -> None:
    """Paths as upstream has them, without `conditions`."""
    seen: dict[str, int] = {}
    for i, condition in enumerate(conditions):
        sort, value = condition.get("type") or "", condition.get("status") or ""
        if sort in seen:
            why = f"the type of the condition is not unique, it also appears in conditions[{seen[sort]}]"
            errs.append(invalid(f"status[{i}].type", sort, why))
        seen[sort] = i
        each(errs, f"status[{i}].type", sort, label_key(sort))
        each(errs, f"status[{i}].status", value, label_key(value))
        for field in ("reason", "message"):
            if not condition.get(field):
                errs.append(required(f"status[{i}].{field}"))
