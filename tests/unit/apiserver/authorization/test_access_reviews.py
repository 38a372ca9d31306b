"""What the reviews of authorization.k8s.io answer and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.errors import BadRequest, Invalid
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.access_reviews import question, review_access, review_rules
from kubetree.apiserver.authorization.node import NodeAuthorizer
from kubetree.apiserver.authorization.rbac import RBAC
from listed_objects import ListedObjects
from rbac_objects import JANE, binding, group, role, rule, user

Object = dict[str, Any]
RIGHTS = RBAC(
    ListedObjects(
        role("r", rule("get list", "pods"), rule("get", urls="/metrics")),
        binding("b", "ClusterRole", "r", user("jane"), group("ops")),
        binding("broken", "ClusterRole", "gone", user("joe")),
    ).cached()
)


NODES = NodeAuthorizer(ListedObjects().cached())


def review(kind: str, metadata: Object | None = None, **spec: Any) -> Object:
    return {"kind": kind, "apiVersion": "authorization.k8s.io/v1", "metadata": metadata or {}, "spec": spec}


FIELD = {"key": "spec.nodeName", "operator": "In", "values": ["n1"]}
LABEL = {"key": "a", "operator": "In", "values": ["y", "x"]}
PODS = {"verb": "list", "resource": "pods", "namespace": "ns"}


def test_oneself() -> None:
    answered = review_access(review("SelfSubjectAccessReview", resourceAttributes=PODS), JANE, "", RIGHTS)
    expected = {"allowed": True, "reason": 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "jane"'}
    assert answered["status"] == expected
    assert review_access(review("SelfSubjectAccessReview", resourceAttributes=PODS), User("x"), "", RIGHTS)["status"] == {"allowed": False}


def test_others() -> None:
    asked = review("SubjectAccessReview", user="x", groups=["ops"], nonResourceAttributes={"verb": "get", "path": "/metrics"})
    assert review_access(asked, JANE, "", RIGHTS)["status"]["allowed"] is True
    broken = review_access(review("SubjectAccessReview", user="joe", resourceAttributes=PODS), JANE, "", RIGHTS)["status"]
    assert broken == {"allowed": False, "reason": 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'}


def test_in_one_namespace() -> None:
    asked = review("LocalSubjectAccessReview", {"namespace": "ns"}, user="jane", resourceAttributes=PODS)
    assert review_access(asked, JANE, "ns", RIGHTS)["status"]["allowed"] is True
    with pytest.raises(BadRequest, match=r"spec.resourceAttributes.namespace must match namespace: other"):
        review_access(asked, JANE, "other", RIGHTS)


REFUSED = [
    (review("SelfSubjectAccessReview"), "exactly one of nonResourceAttributes or resourceAttributes must be specified"),
    (
        review("SubjectAccessReview", resourceAttributes=PODS),
        'spec.user: Invalid value: "": at least one of user or group must be specified',
    ),
    (
        review("SelfSubjectAccessReview", resourceAttributes=PODS, nonResourceAttributes={"path": "/"}),
        "cannot be specified in combination with resourceAttributes",
    ),
    (review("SelfSubjectAccessReview", {"name": "x"}, resourceAttributes=PODS), "must be empty"),
    (review("LocalSubjectAccessReview", {"namespace": "other"}, user="x", resourceAttributes=PODS), "must match metadata.namespace"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_questions_that_make_no_sense(asked: Object, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        review_access(asked, JANE, "ns", RIGHTS)
    assert message in caught.value.message


def test_rules() -> None:
    status = review_rules(review("SelfSubjectRulesReview", namespace="ns"), JANE, [RIGHTS])["status"]
    assert status == {
        "resourceRules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
        "incomplete": False,
    }
    broken = review_rules(review("SelfSubjectRulesReview", namespace="ns"), User("joe"), [RIGHTS])["status"]
    assert broken["evaluationError"] == 'clusterrole.rbac.authorization.k8s.io "gone" not found'
    node = review_rules(review("SelfSubjectRulesReview", namespace="ns"), User("system:node:n", groups=("system:nodes",)), [NODES, RIGHTS])[
        "status"
    ]
    assert (node["incomplete"], node["evaluationError"]) == (True, "node authorizer does not support user rule resolution")
    with pytest.raises(BadRequest, match="no namespace on request"):
        review_rules(review("SelfSubjectRulesReview"), JANE, [RIGHTS])


@pytest.mark.parametrize(
    ("selectors", "fields", "labels", "complaint"),
    [
        ({"labelSelector": {"rawSelector": "a=b"}}, "", "a=b", ""),
        ({"fieldSelector": {"rawSelector": "a=b,c!=d"}}, "a=b,c!=d", "", ""),
        (
            {"fieldSelector": {"requirements": [FIELD, {"key": "x", "operator": "Exists"}]}},
            "spec.nodeName=n1",
            "",
            "spec.resourceAttributes.fieldSelector partially ignored due to parse error",
        ),
        ({"fieldSelector": {"rawSelector": "a"}}, "", "", "spec.resourceAttributes.fieldSelector ignored due to parse error"),
        ({"labelSelector": {"requirements": [LABEL, {"key": "c", "operator": "Exists"}]}}, "", "a in (x,y),c", ""),
        (
            {"labelSelector": {"requirements": [{"key": "a", "operator": "Near", "values": ["b"]}]}},
            "",
            "",
            "spec.resourceAttributes.labelSelector ignored due to parse error",
        ),
    ],
)
def test_selectors_reach_the_authorizer(selectors: Object, fields: str, labels: str, complaint: str) -> None:
    asked, said = question(JANE, {"resourceAttributes": PODS | selectors})
    assert (asked.field_selector, asked.label_selector, said) == (fields, labels, complaint)


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ({"fieldSelector": {}}, "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes"),
        ({"fieldSelector": {"rawSelector": "a", "requirements": [FIELD]}}, "may not specified at the same time as requirements"),
        (
            {"fieldSelector": {"requirements": [{"operator": "In", "values": ["a"]}]}},
            "requirements[0].key: Required value: must be specified",
        ),
        (
            {"labelSelector": {"requirements": [{"key": "a", "operator": "In"}]}},
            "requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            {"labelSelector": {"requirements": [{"key": "a", "operator": "Exists", "values": ["x"]}]}},
            "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
    ],
)
def test_selectors_that_make_no_sense(selectors: Object, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        review_access(review("SelfSubjectAccessReview", resourceAttributes=PODS | selectors), JANE, "", RIGHTS)
    assert message in caught.value.message
