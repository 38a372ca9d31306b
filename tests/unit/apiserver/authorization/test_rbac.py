"""RBAC decisions: rule semantics, bindings and subjects, reasons, and that a change of a role counts at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Attributes, Decision
from kubetree.apiserver.authorization.bootstrap import policy
from kubetree.apiserver.authorization.forbidden import forbidden_by
from kubetree.apiserver.authorization.rbac import RBAC
from kubetree.apiserver.authorization.rules import PolicyRule, compact, missing
from listed_objects import ListedObjects
from rbac_objects import JANE, asks, binding, group, role, rule, user

Object = dict[str, Any]


def allowed(rbac: RBAC, line: str, who: User = JANE) -> bool:
    return rbac.authorize(asks(line, who)).decision is Decision.ALLOW


RULES = [
    (rule("get", "pods"), "get - pods ns", True),
    (rule("get", "pods"), "list - pods ns", False),
    (rule("*", "pods"), "list - pods ns", True),
    (rule("get", "pods"), "get apps pods ns", False),
    (rule("get", "pods", "*"), "get apps pods ns", True),
    (rule("get", "*"), "get - secrets ns", True),
    (rule("get", "pods"), "get - pods/log ns", False),
    (rule("get", "pods/log"), "get - pods/log ns", True),
    (rule("get", "*/log"), "get - pods/log ns", True),
    (rule("get", "*/scale"), "get - pods/log ns", False),
    (rule("get", "pods", names="a b"), "get - pods ns b", True),
    (rule("get", "pods", names="a b"), "get - pods ns c", False),
    (rule("list", "pods", names="a"), "list - pods ns", False),
    (rule("get", urls="/healthz"), "get /healthz", True),
    (rule("get", urls="/healthz"), "get /healthz/etcd", False),
    (rule("get", urls="/healthz/*"), "get /healthz/etcd", True),
    (rule("get", urls="*"), "get /metrics", True),
    (rule("post", urls="/healthz"), "get /healthz", False),
]


@pytest.mark.parametrize(("held", "line", "expected"), RULES, ids=[f"{line} by {held}" for held, line, _ in RULES])
def test_a_cluster_wide_rule(held: Object, line: str, expected: bool) -> None:
    objects = ListedObjects(role("r", held), binding("b", "ClusterRole", "r", group("devs")))
    assert allowed(RBAC(objects.cached()), line) is expected


@pytest.mark.parametrize(
    ("subject", "who", "expected"),
    [
        (user("jane"), JANE, True),
        (user("joe"), JANE, False),
        (group("devs"), JANE, True),
        (group("jane"), JANE, False),
        ({"kind": "ServiceAccount", "name": "sa", "namespace": "ns"}, User("system:serviceaccount:ns:sa"), True),
        ({"kind": "ServiceAccount", "name": "sa"}, User("system:serviceaccount:ns:sa"), True),
        ({"kind": "ServiceAccount", "name": "sa"}, User("system:serviceaccount:other:sa"), False),
    ],
)
def test_subjects_of_a_role_binding(subject: Object, who: User, expected: bool) -> None:
    objects = ListedObjects(role("r", rule("get", "pods"), namespace="ns"), binding("b", "Role", "r", subject, namespace="ns"))
    rbac = RBAC(objects.cached())
    assert allowed(rbac, "get - pods ns", who) is expected
    assert not allowed(rbac, "get - pods elsewhere", who)
    assert not allowed(rbac, "get - pods", who)


def test_reasons_name_the_binding_and_the_subject() -> None:
    objects = ListedObjects(
        role("r", rule("get", "pods")),
        binding("b", "ClusterRole", "r", user("joe"), group("devs")),
        role("local", rule("get", "secrets"), namespace="ns"),
        binding("lb", "Role", "local", {"kind": "ServiceAccount", "name": "sa"}, namespace="ns"),
    )
    rbac = RBAC(objects.cached())
    assert rbac.authorize(asks("get - pods ns")).reason == 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to Group "devs"'
    answer = rbac.authorize(asks("get - secrets ns", User("system:serviceaccount:ns:sa")))
    assert answer.reason == 'RBAC: allowed by RoleBinding "lb/ns" of Role "local" to ServiceAccount "sa/ns"'


def test_a_binding_to_a_missing_role_is_named_in_the_refusal() -> None:
    rbac = RBAC(ListedObjects(binding("b", "ClusterRole", "gone", user("jane"))).cached())
    question = asks("list - pods y")
    answer = rbac.authorize(question)
    assert answer.decision is Decision.NO_OPINION
    assert forbidden_by(question, answer.reason).message == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "y": '
        'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
    )


def test_every_change_counts_at_once() -> None:
    objects = ListedObjects()
    rbac = RBAC(objects.cached())
    assert not allowed(rbac, "get - pods ns")
    held = objects.add(role("r", rule("get", "pods")))
    bound = objects.add(binding("b", "ClusterRole", "r", user("jane"), namespace="ns"))
    assert allowed(rbac, "get - pods ns")
    objects.add(held | {"rules": [rule("get", "secrets")]})
    assert not allowed(rbac, "get - pods ns")
    assert allowed(rbac, "get - secrets ns")
    objects.remove(bound)
    assert not allowed(rbac, "get - secrets ns")


@pytest.fixture(scope="module")
def bootstrapped() -> RBAC:
    everything = [*policy.cluster_roles(), *policy.cluster_role_bindings(), *policy.roles(), *policy.role_bindings()]
    bound = [binding(f"{name}s", "ClusterRole", name, group(f"{name}s"), namespace="ns") for name in ("admin", "edit", "view")]
    return RBAC(ListedObjects(*everything, *bound).cached())


@pytest.mark.parametrize(
    ("who", "line", "expected"),
    [
        ("system:kube-scheduler", "create - pods/binding ns", True),
        ("system:kube-scheduler", "delete - pods ns", True),
        ("system:kube-scheduler", "create - secrets ns", False),
        ("system:kube-scheduler", "update coordination.k8s.io leases kube-system kube-scheduler", True),
        ("system:kube-proxy", "watch discovery.k8s.io endpointslices", True),
        ("system:kube-controller-manager", "create - serviceaccounts/token kube-system x", True),
        ("system:serviceaccount:kube-system:replicaset-controller", "create - pods ns", True),
        ("system:serviceaccount:kube-system:replicaset-controller", "create apps deployments ns", False),
        ("anyone", "get /api/v1", True),
        ("anyone", "create authorization.k8s.io selfsubjectaccessreviews", True),
        ("anyone", "list - pods ns", False),
        ("%admins", "create rbac.authorization.k8s.io roles ns", True),
        ("%admins", "create apps deployments ns", True),
        ("%admins", "get - pods ns", True),
        ("%edits", "create rbac.authorization.k8s.io roles ns", False),
        ("%edits", "delete apps deployments ns x", True),
        ("%views", "get apps deployments ns x", True),
        ("%views", "get - secrets ns x", False),
        ("%system:masters", "delete - nodes x", True),
    ],
)
def test_bootstrap_policy(bootstrapped: RBAC, who: str, line: str, expected: bool) -> None:
    someone = User("x", groups=(who[1:], "system:authenticated")) if who.startswith("%") else User(who, groups=("system:authenticated",))
    assert allowed(bootstrapped, line, someone) is expected


def test_what_is_not_covered_is_told_by_resource() -> None:
    held = [PolicyRule.of(rule("get list", "pods")), PolicyRule.of(rule("*", "configmaps", names="a"))]
    wanted = [PolicyRule.of(rule("get list watch delete", "pods secrets")), PolicyRule.of(rule("get", urls="/x"))]
    assert [str(rule) for rule in compact(missing(held, wanted))] == [
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["pods"], Verbs:["watch" "delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch" "delete"]}',
    ]


words = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=2).map(tuple)
policy_rules = st.builds(
    PolicyRule,
    verbs=words,
    groups=words,
    resources=st.lists(st.sampled_from(["a", "b", "a/s", "*/s", "*"]), min_size=1, max_size=2).map(tuple),
    names=st.lists(st.sampled_from(["m", "n"]), max_size=2).map(tuple),
)


@given(
    st.lists(policy_rules, max_size=3), policy_rules, st.tuples(*[st.sampled_from(["a", "b"])] * 3), st.booleans(), st.sampled_from("mno")
)
def test_whoever_covers_a_rule_is_allowed_all_it_allows(
    held: list[PolicyRule], wanted: PolicyRule, words: tuple[str, str, str], sub: bool, name: str
) -> None:
    question = Attributes(JANE, words[0], group=words[1], resource=words[2], subresource="s" if sub else "", name=name)
    if wanted.allows(question) and not missing(held, [wanted]):
        assert any(rule.allows(question) for rule in held)


def test_memory_is_bounded_under_questions_about_rubbish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubetree.apiserver.authorization.rbac._CACHE_LIMIT", 20)
    rbac = RBAC(ListedObjects(role("r", rule("get", "pods")), binding("b", "ClusterRole", "r", user("jane"))).cached())
    for i in range(100):
        assert not allowed(rbac, f"get group{i} things ns")
    permissions = rbac._of(JANE, "ns")
    assert len(permissions._resources) <= 20
