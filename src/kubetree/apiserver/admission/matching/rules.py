"""RuleWithOperations: operations, groups, versions, resources and scope. Follows admission/plugin/webhook/predicates/rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = dict[str, Any]
_ANY = "*"
_EXEMPT_GROUP = "admissionregistration.k8s.io"
_EXEMPT_RESOURCES = frozenset(
    {
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    }
)


class Asked(NamedTuple):
    """What rules look at. `namespace` of a request for a Namespace is that namespace's name."""

    operation: str
    group: str
    version: str
    resource: str
    subresource: str
    namespace: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, ready to be asked. `*` in a set stands for everything."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    """Resource and subresource, '' for the object itself."""
    scope: str
    names: frozenset[str] = frozenset()
    """Only policies' rules have names; empty means all."""

    def matches(self, asked: Asked) -> bool:
        return self.concerns(asked) and self._in_scope(asked) and (not self.names or asked.name in self.names)

    def concerns(self, asked: Asked) -> bool:
        """Whether it matches in some scope and for some name."""
        return (
            _has(self.operations, asked.operation)
            and _has(self.groups, asked.group)
            and _has(self.versions, asked.version)
            and self._has_resource(asked.resource, asked.subresource)
        )

    def _has_resource(self, resource: str, subresource: str) -> bool:
        return any(wanted in (_ANY, resource) and below in (_ANY, subresource) for wanted, below in self.resources)

    def _in_scope(self, asked: Asked) -> bool:
        if self.scope == _ANY:
            return True
        of_cluster = not asked.namespace or (asked.resource == "namespaces" and not asked.group and asked.version == "v1")
        return of_cluster if self.scope == "Cluster" else not of_cluster


def rule(given: Object) -> Rule:
    """Of a RuleWithOperations or NamedRuleWithOperations."""
    resources = []
    for text in given.get("resources") or ():
        resource, _, subresource = text.partition("/")
        resources.append((resource, subresource))
    return Rule(
        _set(given, "operations"),
        _set(given, "apiGroups"),
        _set(given, "apiVersions"),
        tuple(resources),
        given.get("scope") or _ANY,
        _set(given, "resourceNames"),
    )


def rules(given: Sequence[Object] | None) -> tuple[Rule, ...]:
    return tuple(rule(entry) for entry in given or ())


def exempt(group: str, plural: str) -> bool:
    """What configures admission is never admitted by it, or a broken configuration could not be mended."""
    return group == _EXEMPT_GROUP and plural in _EXEMPT_RESOURCES


def _set(given: Object, field: str) -> frozenset[str]:
    return frozenset(given.get(field) or ())


def _has(values: frozenset[str], value: str) -> bool:
    return value in values or _ANY in values
