"""Which FlowSchema a request belongs to. Pure. Follows apiserver/pkg/util/flowcontrol/rule.go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubetree.apiserver.authentication.user import User, split_service_account
from kubetree.apiserver.flow_control.bootstrap import CATCH_ALL
from kubetree.apiserver.wire.request_info import RequestInfo

Object = dict[str, Any]


def in_order(schemas: Iterable[Object]) -> list[Object]:
    """By matchingPrecedence, then by name: the first that matches wins."""
    return sorted(schemas, key=lambda s: (s["spec"].get("matchingPrecedence", 0), s["metadata"]["name"]))


def schema_of(schemas: Sequence[Object], user: User, info: RequestInfo) -> Object:
    """`schemas` in order. What nothing matches belongs to the one that catches all."""
    for schema in schemas:
        if any(_matches(rule, user, info) for rule in schema["spec"].get("rules") or ()):
            return schema
    return next(s for s in schemas if s["metadata"]["name"] == CATCH_ALL)


def distinguisher(schema: Object, user: User, info: RequestInfo) -> str:
    """What tells the flows of a schema apart: ByUser, ByNamespace, or nothing."""
    method = (schema["spec"].get("distinguisherMethod") or {}).get("type")
    return {"ByUser": user.name, "ByNamespace": info.namespace}.get(method or "", "")


def _matches(rule: Object, user: User, info: RequestInfo) -> bool:
    if not any(_is(subject, user) for subject in rule.get("subjects") or ()):
        return False
    if info.is_resource:
        return any(_resource(r, info) for r in rule.get("resourceRules") or ())
    return any(_path(r, info) for r in rule.get("nonResourceRules") or ())


def _is(subject: Object, user: User) -> bool:
    kind = subject.get("kind")
    if kind == "User":
        return subject["user"]["name"] in ("*", user.name)
    if kind == "Group":
        name = subject["group"]["name"]
        return name == "*" or name in user.groups
    account, wanted = split_service_account(user.name), subject.get("serviceAccount") or {}
    return account is not None and account[0] == wanted.get("namespace") and wanted.get("name") in ("*", account[1])


def _holds(values: Sequence[str], value: str) -> bool:
    return value in values or "*" in values


def _resource(rule: Object, info: RequestInfo) -> bool:
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (_holds(rule["verbs"], info.verb) and _holds(rule["resources"], resource) and _holds(rule["apiGroups"], info.group)):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _holds(rule.get("namespaces") or (), info.namespace)


def _path(rule: Object, info: RequestInfo) -> bool:
    if not _holds(rule["verbs"], info.verb):
        return False
    return any(p in ("*", info.path) or (p.endswith("*") and info.path.startswith(p[:-1])) for p in rule["nonResourceURLs"])
