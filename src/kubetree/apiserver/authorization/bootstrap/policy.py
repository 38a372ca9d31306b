"""The bootstrap tables as API objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.apiserver.authorization.bootstrap.bindings import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS
from kubetree.apiserver.authorization.bootstrap.cluster_roles import CLUSTER_ROLES
from kubetree.apiserver.authorization.bootstrap.controller_roles import CONTROLLER_ROLES
from kubetree.apiserver.authorization.bootstrap.gated_roles import (
    GATED_BINDINGS,
    GATED_CLUSTER_ROLES,
    GATED_CONTROLLER_ROLES,
    Table,
    with_gated,
)
from kubetree.apiserver.authorization.bootstrap.namespace_roles import NAMESPACE_ROLES
from kubetree.apiserver.authorization.rules import PolicyRule

Object = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

AGGREGATED = {"admin": "admin", "edit": "edit", "view": "view"}
"""Roles made of all roles that carry the label aggregate-to-<value>."""
AGGREGATED_INTO = {
    "edit": "admin",
    "view": "edit",
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}


def cluster_roles(features: Features = DEFAULT_FEATURES) -> list[Object]:
    """All cluster roles, with what the gates that are on add. The aggregated ones come with the rules they have on a new cluster, so that no
    client sees them empty."""
    table = with_gated(CLUSTER_ROLES, GATED_CLUSTER_ROLES, features)
    roles = [_cluster_role(name, rules, table) for name, rules in table.items()]
    controllers = with_gated(CONTROLLER_ROLES, GATED_CONTROLLER_ROLES, features)
    return roles + [_cluster_role(f"system:controller:{name}", rules, table) for name, rules in controllers.items()]


def cluster_role_bindings(features: Features = DEFAULT_FEATURES) -> list[Object]:
    table = CLUSTER_ROLE_BINDINGS | {name: subjects for gate, name, subjects in GATED_BINDINGS if gate in features}
    bindings = [_binding("ClusterRole", name, name, subjects) for name, subjects in table.items()]
    for name in with_gated(CONTROLLER_ROLES, GATED_CONTROLLER_ROLES, features):
        role = f"system:controller:{name}"
        bindings.append(_binding("ClusterRole", role, role, [f"ServiceAccount:kube-system/{name}"]))
    return bindings


def roles() -> list[Object]:
    return [_object("Role", name, namespace, rules=_rules(rules)) for (namespace, name), rules in NAMESPACE_ROLES.items()]


def role_bindings() -> list[Object]:
    return [_binding("Role", name, role, subjects, namespace) for (namespace, name), (role, subjects) in ROLE_BINDINGS.items()]


def _cluster_role(name: str, rules: Iterable[PolicyRule], table: Table) -> Object:
    aggregate = AGGREGATED.get(name)
    role = _object("ClusterRole", name, rules=_rules(rules if aggregate is None else _aggregated_rules(aggregate, table)))
    if name in AGGREGATED_INTO:
        role["metadata"]["labels"][_AGGREGATE + AGGREGATED_INTO[name]] = "true"
    if aggregate is not None:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_AGGREGATE + aggregate: "true"}}]}
    return role


def _aggregated_rules(target: str, table: Table) -> list[PolicyRule]:
    """In order of the roles' names, each rule once: what the aggregation controller will come to."""
    found: dict[PolicyRule, None] = {}
    for name in sorted(source for source, into in AGGREGATED_INTO.items() if into == target):
        nested = AGGREGATED.get(name)
        found |= dict.fromkeys(table[name] if nested is None else _aggregated_rules(nested, table))
    return list(found)


def _binding(role_kind: str, name: str, role: str, subjects: Iterable[str], namespace: str = "") -> Object:
    reference = {"apiGroup": GROUP, "kind": role_kind, "name": role}
    listed = [_subject(subject) for subject in subjects]
    binding = _object("RoleBinding" if namespace else "ClusterRoleBinding", name, namespace, roleRef=reference)
    return binding | ({"subjects": listed} if listed else {})


def _subject(text: str) -> dict[str, str]:
    kind, _, name = text.partition(":")
    if kind != "ServiceAccount":
        return {"kind": kind, "apiGroup": GROUP, "name": name}
    namespace, _, name = name.partition("/")
    return {"kind": kind, "name": name, "namespace": namespace}


def _rules(rules: Iterable[PolicyRule]) -> list[dict[str, list[str]]]:
    return [rule.to_dict() for rule in rules]


def _object(kind: str, name: str, namespace: str = "", **fields: Any) -> Object:
    metadata: Object = {"name": name, "labels": dict(_LABELS), "annotations": {AUTOUPDATE: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, **fields}
