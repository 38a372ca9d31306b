"""RBAC policy rules: what one allows, and whether rules someone holds cover rules they want to give away.

Pure. Follows rbac/v1's evaluation_helpers.go and component-helpers' policy_comparator.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kubetree.api.errors import quoted_all
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Attributes

ALL = "*"


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rbac.authorization.k8s.io/v1 PolicyRule; every field as in the API, `names` being resourceNames and `urls` nonResourceURLs."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> PolicyRule:
        fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(tuple(rule.get(field) or ()) for field in fields))

    def to_dict(self) -> dict[str, list[str]]:
        fields = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        }
        return {field: list(values) for field, values in fields.items() if values}

    def matches_resource(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Without regard to names."""
        if verb not in self.verbs and ALL not in self.verbs:
            return False
        if group not in self.groups and ALL not in self.groups:
            return False
        if ALL in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources

    def matches_path(self, verb: str, path: str) -> bool:
        if verb not in self.verbs and ALL not in self.verbs:
            return False
        return any(_url_covers(url, path) for url in self.urls)

    def allows(self, attributes: Attributes) -> bool:
        if not attributes.is_resource:
            return self.matches_path(attributes.verb, attributes.path)
        if self.names and attributes.name not in self.names:
            return False
        return self.matches_resource(attributes.verb, attributes.group, attributes.resource, attributes.subresource)

    def __str__(self) -> str:
        """`{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`, as refusals name a rule."""
        parts = {
            "APIGroups": self.groups,
            "Resources": self.resources,
            "NonResourceURLs": self.urls,
            "ResourceNames": self.names,
            "Verbs": self.verbs,
        }
        return "{" + ", ".join(f"{label}:{quoted_all(values)}" for label, values in parts.items() if values) + "}"


class Rules(NamedTuple):
    """What an authorizer can tell of a user's rights; `incomplete`: there may be others."""

    rules: Sequence[PolicyRule] = ()
    incomplete: bool = False
    error: str = ""


class RuleSource(Protocol):
    """An authorizer that can tell a user's rules in a namespace: what SelfSubjectRulesReview shows."""

    def rules_of(self, user: User, namespace: str) -> Rules: ...


def breakdown(rule: PolicyRule) -> list[PolicyRule]:
    """The same permissions as rules of one group, one resource, one verb and at most one name each."""
    names: tuple[str, ...] = rule.names or ("",)
    single = [
        PolicyRule((verb,), (group,), (resource,), (name,) if name else ())
        for group in rule.groups
        for resource in rule.resources
        for verb in rule.verbs
        for name in names
    ]
    return single + [PolicyRule((verb,), urls=(url,)) for url in rule.urls for verb in rule.verbs]


def missing(held: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The broken-down permissions of `wanted` that no single rule of `held` covers."""
    return [single for rule in wanted for single in breakdown(rule) if not any(_covers(owner, single) for owner in held)]


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Broken-down rules that differ only by verb become one again; others stay as they are and come first."""
    others: list[PolicyRule] = []
    verbs: dict[PolicyRule, list[str]] = {}
    for rule in rules:
        if rule.urls or len(rule.groups) != 1 or len(rule.resources) != 1 or len(rule.names) > 1:
            others.append(rule)
        else:
            verbs.setdefault(PolicyRule((), rule.groups, rule.resources, rule.names), []).extend(rule.verbs)
    merged = [PolicyRule(tuple(found), key.groups, key.resources, key.names) for key, found in verbs.items()]
    return others + merged


def _covers(owner: PolicyRule, single: PolicyRule) -> bool:
    if ALL not in owner.verbs and not set(single.verbs) <= set(owner.verbs):
        return False
    if single.urls:
        return all(any(_url_covers(url, wanted) for url in owner.urls) for wanted in single.urls)
    if ALL not in owner.groups and not set(single.groups) <= set(owner.groups):
        return False
    if owner.names and (not single.names or not set(single.names) <= set(owner.names)):
        return False
    return ALL in owner.resources or all(_resource_covered(owner.resources, resource) for resource in single.resources)


def _resource_covered(held: tuple[str, ...], resource: str) -> bool:
    if resource in held:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in held


def _url_covers(url: str, path: str) -> bool:
    return url == path or (url.endswith("*") and path.startswith(url.rstrip("*")))
