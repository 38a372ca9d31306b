"""Writing roles and bindings never gives away more than the writer has."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.errors import Forbidden, NotFound
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.escalation import EscalationCheck
from kubetree.apiserver.authorization.rbac import CLUSTER_ROLE, RBAC, ROLE, ROLE_BINDING
from listed_objects import ListedObjects
from rbac_objects import binding, role, rule, user

JANE = User("jane", groups=("system:authenticated",))
Object = dict[str, Any]
ROLES = "rbac.authorization.k8s.io"


def check(*held: Object) -> EscalationCheck:
    objects = ListedObjects(role("held", *held), binding("b", "ClusterRole", "held", user("jane")), role("other", rule("get", "secrets")))
    rbac = RBAC(objects.cached())
    return EscalationCheck(rbac, rbac)


def test_a_role_with_more_than_one_has_is_refused() -> None:
    new = role("new", rule("get list", "pods secrets"), namespace="ns")
    with pytest.raises(Forbidden) as caught:
        check(rule("get list", "pods")).check_role(ROLE, JANE, "ns", "new", new, None)
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "new" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )


@pytest.mark.parametrize("held", [rule("get list", "pods secrets"), rule("*", "*", "*"), rule("escalate", "roles", ROLES)])
def test_a_role_within_ones_own_rights_or_with_escalate_is_accepted(held: Object) -> None:
    check(held).check_role(ROLE, JANE, "ns", "new", role("new", rule("get list", "pods secrets"), namespace="ns"), None)


def test_masters_may_always() -> None:
    master = User("root", groups=("system:masters",))
    check().check_role(ROLE, master, "ns", "new", role("new", rule("*", "*", "*"), namespace="ns"), None)
    check().check_binding(ROLE_BINDING, master, "ns", binding("x", "ClusterRole", "gone", user("joe"), namespace="ns"), None)


def test_an_aggregation_rule_needs_everything() -> None:
    new = role("new") | {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    with pytest.raises(Forbidden, match="must have cluster-admin privileges to use the aggregationRule"):
        check(rule("get create update", "*", "*")).check_role(CLUSTER_ROLE, JANE, "", "new", new, None)
    check(rule("*", "*", "*"), rule("*", urls="*")).check_role(CLUSTER_ROLE, JANE, "", "new", new, None)


def test_binding_a_role() -> None:
    new = binding("x", "ClusterRole", "other", user("joe"), namespace="ns")
    with pytest.raises(Forbidden, match="is attempting to grant RBAC permissions not currently held"):
        check(rule("get", "pods")).check_binding(ROLE_BINDING, JANE, "ns", new, None)
    check(rule("get", "secrets")).check_binding(ROLE_BINDING, JANE, "ns", new, None)
    check(rule("bind", "clusterroles", ROLES, names="other")).check_binding(ROLE_BINDING, JANE, "ns", new, None)
    with pytest.raises(NotFound, match=r'rolebindings\.rbac\.authorization\.k8s\.io "gone" not found'):
        check().check_binding(ROLE_BINDING, JANE, "ns", binding("x", "ClusterRole", "gone", user("joe"), namespace="ns"), None)


def test_the_garbage_collector_may_touch_any_role() -> None:
    old = role("new", rule("*", "*", "*"), namespace="ns")
    new = old | {"metadata": old["metadata"] | {"finalizers": ["x"]}}
    check().check_role(ROLE, JANE, "ns", "new", new, old)
