"""Which requests the audit policy records, and which policies are refused."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.apiserver.audit.policy import Level, Policy, parse_policy
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Attributes

TIM = User("tim", groups=("humans", "system:authenticated"))


def asked(verb: str = "get", **fields: Any) -> Attributes:
    return Attributes(TIM, verb, **{"resource": "pods", "namespace": "default", "name": "web", **fields})


PAGE = Attributes(TIM, "get", path="/logs/kubelet.log")


def covers(rule: dict[str, Any], request: Attributes) -> bool:
    return Policy.of({"rules": [{"level": "Metadata", **rule}]}).recording(request).level is Level.METADATA


@pytest.mark.parametrize(
    ("rule", "request_", "expected"),
    [
        ({}, asked(), True),
        ({}, PAGE, True),
        ({"users": ["tim"]}, asked(), True),
        ({"users": ["tom"]}, asked(), False),
        ({"userGroups": ["humans"]}, asked(), True),
        ({"userGroups": ["robots"]}, asked(), False),
        ({"verbs": ["get", "list"]}, asked(), True),
        ({"verbs": ["create"]}, asked(), False),
        ({"namespaces": ["default"]}, asked(), True),
        ({"namespaces": [""]}, asked(resource="nodes", namespace=""), True),
        ({"namespaces": ["default"]}, PAGE, False),
        ({"resources": [{"resources": ["pods"]}]}, asked(), True),
        ({"resources": [{"resources": ["pods"]}]}, asked(subresource="log"), False),
        ({"resources": [{"resources": ["pods/log"]}]}, asked(subresource="log"), True),
        ({"resources": [{"resources": ["pods/*"]}]}, asked(subresource="log"), True),
        ({"resources": [{"resources": ["*/log"]}]}, asked(subresource="log"), True),
        ({"resources": [{"resources": ["*"]}]}, asked(subresource="log"), True),
        ({"resources": [{"group": "apps"}]}, asked(), False),
        ({"resources": [{"group": "*"}]}, asked(group="apps"), True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["web"]}]}, asked(), True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["other"]}]}, asked(), False),
        ({"nonResourceURLs": ["/logs*"]}, PAGE, True),
        ({"nonResourceURLs": ["*"]}, PAGE, True),
        ({"nonResourceURLs": ["/logs"]}, PAGE, False),
        ({"nonResourceURLs": ["*"]}, asked(), False),
    ],
)
def test_what_a_rule_covers(rule: dict[str, Any], request_: Attributes, expected: bool) -> None:
    assert covers(rule, request_) is expected


def test_the_first_rule_decides_and_stages_are_joined() -> None:
    rules = [{"level": "None", "users": ["tom"]}, {"level": "Request", "omitStages": ["Panic"], "omitManagedFields": False}]
    policy = Policy.of({"omitStages": ["RequestReceived"], "omitManagedFields": True, "rules": rules})
    found = policy.recording(asked())
    assert (found.level, found.omitted, found.omit_managed_fields) == (Level.REQUEST, {"RequestReceived", "Panic"}, False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("rules: []", "loaded illegal policy with 0 rules"),
        ("rules: [{}]", "rules[0].level: Required value"),
        (
            "rules: [{level: All}]",
            'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse"',
        ),
        (
            "rules: [{level: None, nonResourceURLs: [logs]}]",
            "rules[0].nonResourceURLs[0]: Invalid value: \"logs\": non-resource URL rules must begin with a '/' character",
        ),
        ("rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]", "rules cannot apply to both regular resources"),
        ("rules: [{level: None, resources: [{resourceNames: [a]}]}]", "using resourceNames requires at least one resource"),
        ("rules: [{level: None}]\nomitStages: [foo]", "allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic"),
    ],
)
def test_bad_policies_say_what_is_wrong(body: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_policy(f"apiVersion: audit.k8s.io/v1\nkind: Policy\n{body}".encode())
    assert message in str(refused.value)


def test_only_v1_is_read() -> None:
    with pytest.raises(ValueError, match=r"audit\.k8s\.io/v1"):
        parse_policy(b"apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]")
