"""Nobody may give away permissions that they do not hold: the checks on writes of roles and bindings.

Follows pkg/registry/rbac (escalation_check.go, policybased storages), with its wording. Holders of the verbs `escalate` and `bind`
and system:masters are exempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.errors import Forbidden, forbidden, not_found, quoted_all
from kubetree.api.kinds import Kind
from kubetree.apiserver.authentication.user import MASTERS_GROUP, User
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.rbac import RBAC, RoleNotFound
from kubetree.apiserver.authorization.rules import PolicyRule, compact, missing

GROUP = "rbac.authorization.k8s.io"
_EVERYTHING = (PolicyRule(("*",), ("*",), ("*",)), PolicyRule(("*",), urls=("*",)))

Object = dict[str, Any]


class EscalationCheck:
    def __init__(self, rbac: RBAC, authorizer: Authorizer) -> None:
        self._rbac = rbac
        self._authorizer = authorizer

    def check_role(self, kind: Kind, user: User, namespace: str, name: str, new: Object, old: Object | None) -> None:
        """For Role and ClusterRole. Raises Forbidden."""
        question = Attributes(user, "escalate", group=GROUP, version="*", resource=kind.plural, namespace=namespace, name=name)
        if MASTERS_GROUP in user.groups or self._allowed(question) or (old is not None and only_gc_fields(new, old)):
            return
        self._confirm(kind, user, namespace, new, [PolicyRule.of(rule) for rule in new.get("rules") or ()])
        aggregates = _aggregates(new) or (old is not None and _aggregates(old))
        if aggregates and missing(self._held(user, namespace), _EVERYTHING):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise forbidden(kind.plural, GROUP, new["metadata"].get("name", ""), why)

    def check_binding(self, kind: Kind, user: User, namespace: str, new: Object, old: Object | None) -> None:
        """For RoleBinding and ClusterRoleBinding. Raises Forbidden, and NotFound for a role that does not exist,
        which as upstream's names the binding's resource."""
        if MASTERS_GROUP in user.groups or (old is not None and only_gc_fields(new, old)):
            return
        reference = new.get("roleRef") or {}
        resource = {"ClusterRole": "clusterroles", "Role": "roles"}.get(reference.get("kind", ""))
        if resource is None:
            return
        question = Attributes(
            user, "bind", group=GROUP, version="*", resource=resource, namespace=namespace, name=reference.get("name", "")
        )
        if self._allowed(question):
            return
        try:
            rules = self._rbac.role_rules(reference, namespace)
        except RoleNotFound as error:
            raise not_found(kind.plural, GROUP, reference.get("name", "")) from error
        self._confirm(kind, user, namespace, new, rules)

    def _allowed(self, question: Attributes) -> bool:
        return self._authorizer.authorize(question).decision is Decision.ALLOW

    def _held(self, user: User, namespace: str) -> list[PolicyRule]:
        return [rule for rule, _ in self._rbac.grants(user, namespace)]

    def _confirm(self, kind: Kind, user: User, namespace: str, new: Object, wanted: Sequence[PolicyRule]) -> None:
        lacking = missing(self._held(user, namespace), wanted)
        if lacking:
            raise self._refusal(kind, user, namespace, new["metadata"].get("name", ""), lacking)

    def _refusal(self, kind: Kind, user: User, namespace: str, name: str, lacking: Sequence[PolicyRule]) -> Forbidden:
        lines = "\n".join(sorted({str(rule) for rule in compact(lacking)}))
        why = f'user "{user.name}" (groups={quoted_all(user.groups)}) is attempting to grant RBAC permissions not currently held:\n{lines}'
        errors = self._rbac.errors(user, namespace)
        return forbidden(kind.plural, GROUP, name, f"{why}; resolution errors: {errors}" if errors else why)


def _aggregates(role: Object) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def only_gc_fields(new: Object, old: Object) -> bool:
    """Whether an update changes nothing but what the garbage collector needs: ownerReferences and finalizers."""

    def rest(obj: Object) -> Object:
        ignored = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")
        return obj | {"metadata": {k: v for k, v in obj["metadata"].items() if k not in ignored}}

    return rest(new) == rest(old)
