"""What a URL asks for: the pure reading of method, path and query that every middleware works from.

Follows apiserver/pkg/endpoints/request/requestinfo.go, with its special cases for namespaces, `watch/` and `proxy/` prefixes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from kubetree.api.selectors import parse_field_selector

Query = Mapping[str, list[str]]

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SPECIAL_VERBS = ("proxy", "watch")
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_SELECTED_VERBS = ("list", "watch", "deletecollection")
_NO_QUERY: Query = {}
_REMEMBERED = 512
"""Bytes of a request target up to which its reading is remembered: clients ask the same few over and over."""


@dataclass(slots=True)
class RequestInfo:
    """`verb` is the API verb for a resource request, else the lowered HTTP method. `rest` is the path below a proxy subresource.

    Shared by requests for the same target: not changed once it has been read.
    """

    path: str
    verb: str
    is_resource: bool = False
    prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: tuple[str, ...] = ()
    field_selector: str = ""
    label_selector: str = ""
    via_prefix: bool = field(default=False)
    """The deprecated /api/v1/watch/... form."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Target:
    """A request target that was read; shared by all requests for it. `refused`: why there is no telling what it asks for."""

    path: str
    query: Query
    info: RequestInfo
    refused: str = ""


def read(method: str, raw: str) -> Target:
    """`raw` is path and query as they were sent."""
    return _remembered(method, raw) if len(raw) <= _REMEMBERED else _read(method, raw)


def _read(method: str, raw: str) -> Target:
    path, _, text = raw.partition("?")
    if "%" in path:
        path = unquote(path)
    query = parse_qs(text, keep_blank_values=True) if text else _NO_QUERY
    try:
        return Target(path, query, parse(method, path, query))
    except ValueError as error:
        return Target(path, query, RequestInfo(path, method.lower()), str(error))


_remembered = lru_cache(maxsize=2048)(_read)


def truthy(values: list[str] | None) -> bool:
    """A boolean query parameter as upstream converts it: absent, `false` and `0` are false, everything else true."""
    return bool(values) and values[0].lower() not in ("false", "0")  # type: ignore[index]


def parse(method: str, path: str, query: Query) -> RequestInfo:
    """`path` is percent-decoded. Raises ValueError for a special verb without a resource."""
    info = RequestInfo(path, method.lower())
    parts = path.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return info
    if parts[0] == "apis":
        if len(parts) < 4:
            return info
        info.group, at = parts[1], 2
    else:
        at = 1
    info.prefix, info.is_resource = parts[0], True
    info.version = parts[at]
    parts = parts[at + 1 :]
    if parts[0] in _SPECIAL_VERBS:
        if len(parts) < 2:
            raise ValueError(f"unable to determine kind and namespace from url, {path}")
        info.verb, parts, info.via_prefix = parts[0], parts[1:], True
    else:
        info.verb = _VERBS.get(method, "")
    if parts[0] == "namespaces" and len(parts) > 1:
        info.namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    info.resource = parts[0]
    if len(parts) > 1:
        info.name = parts[1]
    if len(parts) > 2 and info.via_prefix:
        info.rest = tuple(parts[2:])
    elif len(parts) > 2:
        info.subresource, info.rest = parts[2], tuple(parts[3:])
    if not info.name:
        _collection_verb(info, query)
    if not info.via_prefix and info.verb in _SELECTED_VERBS:
        info.field_selector = first(query, "fieldSelector")
        info.label_selector = first(query, "labelSelector")
    return info


def _collection_verb(info: RequestInfo, query: Query) -> None:
    if info.verb == "get":
        info.verb = "watch" if truthy(query.get("watch")) else "list"
        info.name = _named_by(first(query, "fieldSelector"))
    elif info.verb == "delete":
        info.verb = "deletecollection"


def _named_by(field_selector: str) -> str:
    """The one name that a selector such as metadata.name=x asks for, so that RBAC's resourceNames can allow it."""
    try:
        requirements = parse_field_selector(field_selector).requirements if field_selector else ()
    except ValueError:
        return ""
    for requirement in requirements:
        if requirement.key == "metadata.name" and requirement.operator in ("=", "=="):
            name = requirement.value
            return name if "/" not in name and "%" not in name and name not in (".", "..") else ""
    return ""


def first(query: Query, key: str) -> str:
    """The first of a parameter's values, '' where there is none."""
    values = query.get(key)
    return values[0] if values else ""
