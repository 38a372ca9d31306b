"""audit.k8s.io/v1 Policy: which requests are recorded, at which level, without which stages. Pure but for `read_policy`.

Follows apiserver's audit/policy and apis/audit/validation.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import yaml

from kubetree.api.validation.names import dns_subdomain
from kubetree.apiserver.authorization.attributes import Attributes

log = logging.getLogger(__name__)

PATCH_ANNOTATION = "patch.webhook.admission.k8s.io/"
"""Keys of annotations that show parts of the request: they are for events that show the request."""
API_VERSION = "audit.k8s.io/v1"
REQUEST_RECEIVED, RESPONSE_STARTED, RESPONSE_COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
STAGES = (REQUEST_RECEIVED, RESPONSE_STARTED, RESPONSE_COMPLETE, PANIC)
_POLICY_FIELDS = frozenset({"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"})
_RULE_FIELDS = frozenset(
    {"level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages", "omitManagedFields"}
)

Object = dict[str, Any]


class Level(IntEnum):
    """How much is recorded, each level more than the one before."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def text(self) -> str:
        return _LEVEL_NAMES[self]


_LEVEL_NAMES = {Level.NONE: "None", Level.METADATA: "Metadata", Level.REQUEST: "Request", Level.REQUEST_RESPONSE: "RequestResponse"}
LEVELS = {name: level for level, name in _LEVEL_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Recording:
    """What the policy wants of one request."""

    level: Level
    omitted: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


NOTHING = Recording(Level.NONE)


@dataclass(frozen=True, slots=True)
class GroupResources:
    """One entry of a rule's `resources`; no resources are all of them."""

    group: str
    resources: tuple[str, ...]
    names: frozenset[str]

    def covers(self, asked: Attributes) -> bool:
        if self.group not in ("*", asked.group):
            return False
        if not self.resources:
            return True
        if self.names and asked.name not in self.names:
            return False
        combined = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        return any(
            pattern in ("*", combined) or (asked.subresource and pattern == f"*/{asked.subresource}") or pattern == f"{asked.resource}/*"
            for pattern in self.resources
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; an empty field applies to everything."""

    recording: Recording
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    resources: tuple[GroupResources, ...] = ()
    urls: tuple[str, ...] = ()

    def covers(self, asked: Attributes) -> bool:
        if self.users and asked.user.name not in self.users:
            return False
        if self.groups and self.groups.isdisjoint(asked.user.groups):
            return False
        if self.verbs and asked.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._covers_resource(asked)
        if self.urls:
            return not asked.is_resource and any(_url_covers(url, asked.path) for url in self.urls)
        return True

    def _covers_resource(self, asked: Attributes) -> bool:
        if not asked.is_resource or (self.namespaces and asked.namespace not in self.namespaces):
            return False
        return not self.resources or any(entry.covers(asked) for entry in self.resources)


class Policy:
    """The first rule that covers a request decides; what no rule covers is not recorded."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)

    @classmethod
    def of(cls, policy: Object) -> Policy:
        """`policy` is a valid Policy object."""
        omitted, no_managed = policy.get("omitStages") or (), bool(policy.get("omitManagedFields"))
        return cls([_rule(rule, omitted, no_managed) for rule in policy["rules"]])

    def recording(self, asked: Attributes) -> Recording:
        return next((rule.recording for rule in self.rules if rule.covers(asked)), NOTHING)


def read_policy(path: Path) -> Policy:
    """Raises OSError, and ValueError saying what is wrong where."""
    try:
        return Policy.of(parse_policy(path.read_bytes()))
    except ValueError as error:
        raise ValueError(f"loading audit policy file: {error}: from file {path}") from error


def parse_policy(text: bytes) -> Object:
    """Unknown fields are only warned of, as upstream's lenient second attempt does. Raises ValueError."""
    try:
        policy = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"failed decoding: {error}") from error
    if not isinstance(policy, dict):
        raise ValueError("failed decoding: couldn't get version/kind; the policy is no object")
    if (policy.get("apiVersion"), policy.get("kind")) != (API_VERSION, "Policy"):
        given = f'no kind "{policy.get("kind", "")}" is registered for version "{policy.get("apiVersion", "")}"'
        raise ValueError(f"failed decoding: {given}; use kind Policy of {API_VERSION}")
    if strange := sorted(_unknown(policy)):
        log.warning("audit policy contains unknown fields, which are ignored: %s", ", ".join(strange))
    faults = list(_faults(policy))
    if faults:
        raise ValueError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    if not policy.get("rules"):
        raise ValueError("loaded illegal policy with 0 rules")
    return policy


def _rule(rule: Object, omitted: Sequence[str], no_managed: bool) -> Rule:
    own = rule.get("omitManagedFields")
    recording = Recording(
        LEVELS[rule["level"]],
        frozenset((*omitted, *(rule.get("omitStages") or ()))),
        no_managed if own is None else bool(own),
    )
    users, groups, verbs, namespaces = (frozenset(rule.get(field) or ()) for field in ("users", "userGroups", "verbs", "namespaces"))
    resources = tuple(
        GroupResources(entry.get("group") or "", tuple(entry.get("resources") or ()), frozenset(entry.get("resourceNames") or ()))
        for entry in rule.get("resources") or ()
    )
    return Rule(recording, users, groups, verbs, namespaces, resources, tuple(rule.get("nonResourceURLs") or ()))


def _url_covers(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*")))


def _unknown(policy: Object) -> Iterator[str]:
    yield from policy.keys() - _POLICY_FIELDS
    for i, rule in enumerate(policy.get("rules") or ()):
        if isinstance(rule, dict):
            yield from (f"rules[{i}].{field}" for field in rule.keys() - _RULE_FIELDS)


def _faults(policy: Object) -> Iterator[str]:
    yield from _stage_faults(policy.get("omitStages"), "omitStages")
    for i, rule in enumerate(policy.get("rules") or ()):
        at = f"rules[{i}]"
        if not isinstance(rule, dict):
            yield f"{at}: Invalid value: must be an object"
            continue
        yield from _level_faults(rule.get("level"), f"{at}.level")
        yield from _url_faults(rule.get("nonResourceURLs") or (), f"{at}.nonResourceURLs")
        yield from _resource_faults(rule.get("resources") or (), f"{at}.resources")
        yield from _stage_faults(rule.get("omitStages"), f"{at}.omitStages")
        if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
            shown = json.dumps(rule["nonResourceURLs"], separators=(",", ":"))
            yield f"{at}.nonResourceURLs: Invalid value: {shown}: rules cannot apply to both regular resources and non-resource URLs"


def _level_faults(level: Any, at: str) -> Iterator[str]:
    if not level:
        yield f"{at}: Required value"
    elif level not in LEVELS:
        supported = ", ".join(f'"{name}"' for name in LEVELS)
        yield f'{at}: Unsupported value: "{level}": supported values: {supported}'


def _stage_faults(stages: Any, at: str) -> Iterator[str]:
    for i, stage in enumerate(stages or ()):
        if stage not in STAGES:
            yield f'{at}[{i}]: Invalid value: "{stage}": allowed stages are {",".join(STAGES)}'


def _url_faults(urls: Sequence[str], at: str) -> Iterator[str]:
    for i, url in enumerate(urls):
        if url == "*":
            continue
        if not url.startswith("/"):
            yield f"{at}[{i}]: Invalid value: \"{url}\": non-resource URL rules must begin with a '/' character"
        if "*" in url[:-1]:
            yield f"{at}[{i}]: Invalid value: \"{url}\": non-resource URL wildcards '*' must be the final character of the rule"


def _resource_faults(entries: Sequence[Object], at: str) -> Iterator[str]:
    for entry in entries:
        group = entry.get("group") or ""
        if group not in ("", "*") and (problems := dns_subdomain(group)):
            yield f'{at}.group: Invalid value: "{group}": {",".join(problems)}'
        if entry.get("resourceNames") and not entry.get("resources"):
            shown = json.dumps(entry["resourceNames"], separators=(",", ":"))
            yield f"{at}.resourceNames: Invalid value: {shown}: using resourceNames requires at least one resource"
