"""ABAC: --authorization-policy-file, a policy a line. Follows pkg/auth/authorizer/abac and pkg/apis/abac."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubetree.apiserver.authentication.user import AUTHENTICATED_GROUP, User
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Decision
from kubetree.apiserver.authorization.rules import PolicyRule, Rules

_ALLOWED, _NO_OPINION = Answer(Decision.ALLOW), Answer(Decision.NO_OPINION, "No policy matched.")
_READING = ("get", "list", "watch")
_V1BETA1 = "abac.authorization.kubernetes.io/v1beta1"


@dataclass(frozen=True, slots=True)
class ABACPolicy:
    """The spec of one abac.authorization.kubernetes.io/v1beta1 Policy."""

    user: str = ""
    group: str = ""
    readonly: bool = False
    api_group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""

    def allows(self, asked: Attributes) -> bool:
        if not self.names(asked.user) or (self.readonly and asked.verb not in _READING):
            return False
        if not asked.is_resource:
            return self.path in ("*", asked.path) or (self.path.endswith("*") and asked.path.startswith(self.path.rstrip("*")))
        pairs = ((self.namespace, asked.namespace), (self.resource, asked.resource), (self.api_group, asked.group))
        return all(allowed in ("*", value) for allowed, value in pairs)

    def names(self, user: User) -> bool:
        if self.user and self.user not in ("*", user.name):
            return False
        if self.group and self.group != "*" and self.group not in user.groups:
            return False
        return bool(self.user or self.group)


class ABAC:
    """The policies of a file, a line each. One that allows is enough."""

    def __init__(self, policies: Sequence[ABACPolicy]) -> None:
        self._policies = tuple(policies)

    def authorize(self, attributes: Attributes) -> Answer:
        return _ALLOWED if any(policy.allows(attributes) for policy in self._policies) else _NO_OPINION

    def rules_of(self, user: User, namespace: str) -> Rules:
        rules = []
        for policy in self._policies:
            if not policy.names(user) or policy.namespace not in ("*", namespace):
                continue
            verbs = _READING if policy.readonly else ("*",)
            if policy.resource:
                rules.append(PolicyRule(verbs, (policy.api_group,), (policy.resource,)))
            if policy.path:
                rules.append(PolicyRule(verbs, urls=(policy.path,)))
        return Rules(rules)


def read_abac(path: Path) -> ABAC:
    """Raises OSError, and ValueError naming the line that cannot be read."""
    policies = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            policies.append(_policy(json.loads(line)))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"error reading policy file {path}, line {number}: {line}: {error}") from error
    return ABAC(policies)


def _policy(entry: Mapping[str, Any]) -> ABACPolicy:
    version = entry.get("apiVersion")
    if not version:
        return _unversioned(entry)
    if version != _V1BETA1 or entry.get("kind") != "Policy":
        raise ValueError(f'no kind "{entry.get("kind")}" is registered for version "{version}"')
    spec = entry.get("spec") or {}
    who = _subject(spec.get("user") or "", spec.get("group") or "")
    what = ("apiGroup", "resource", "namespace", "nonResourcePath")
    return ABACPolicy(*who, bool(spec.get("readonly")), *(spec.get(field) or "" for field in what))


def _unversioned(entry: Mapping[str, Any]) -> ABACPolicy:
    """The format before versions: what is not said holds for everything, and nobody named means everyone who is authenticated."""
    user, group = entry.get("user") or "", entry.get("group") or ""
    namespace, resource = entry.get("namespace") or "", entry.get("resource") or ""
    user, group = _subject(user, group) if user or group else ("", AUTHENTICATED_GROUP)
    path = "*" if not namespace and not resource else ""
    return ABACPolicy(user, group, bool(entry.get("readonly")), "*", resource or "*", namespace or "*", path)


def _subject(user: str, group: str) -> tuple[str, str]:
    """`*` as user or group means everyone who is authenticated."""
    return ("", AUTHENTICATED_GROUP) if "*" in (user, group) else (user, group)
