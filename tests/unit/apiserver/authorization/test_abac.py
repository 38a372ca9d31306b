"""ABAC policies, a line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.abac import read_abac
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Decision

EVERYONE = "system:authenticated"
ALICE, BOB = User("alice", groups=(EVERYONE,)), User("bob", groups=("devs", EVERYONE))


def policy(**spec: Any) -> str:
    return json.dumps({"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": spec})


LINES = [
    "# a comment",
    "",
    policy(user="alice", namespace="*", resource="*", apiGroup="*"),
    policy(group="devs", namespace="projects", resource="pods", readonly=True),
    policy(user="*", nonResourcePath="/version*", readonly=True),
    '{"user": "old", "resource": "pods"}',
    '{"user": "older"}',
]


def test_what_the_lines_allow(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text("\n".join(LINES))
    abac = read_abac(tmp_path / "policy")

    def allowed(user: User, verb: str, **fields: str) -> bool:
        return abac.authorize(Attributes(user, verb, **fields)).decision is Decision.ALLOW

    assert allowed(ALICE, "delete", resource="nodes")
    assert not allowed(ALICE, "get", path="/logs")
    assert allowed(BOB, "list", resource="pods", namespace="projects")
    assert not allowed(BOB, "create", resource="pods", namespace="projects")
    assert not allowed(BOB, "list", resource="pods", namespace="projects", group="metrics.k8s.io")
    assert not allowed(BOB, "list", resource="pods")
    assert allowed(BOB, "get", path="/version/x") and not allowed(User("anonymous"), "get", path="/version")
    assert allowed(User("old"), "create", resource="pods", group="any") and not allowed(User("old"), "get", path="/")
    assert allowed(User("older"), "get", path="/") and allowed(User("older"), "get", resource="nodes")
    assert abac.authorize(Attributes(BOB, "get", resource="nodes")) == Answer(Decision.NO_OPINION, "No policy matched.")
    assert [rule.to_dict() for rule in abac.rules_of(BOB, "projects").rules] == [
        {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]},
    ]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(policy(user="a") + "\n{nonsense\n")
    with pytest.raises(ValueError, match=r"error reading policy file .*policy, line 2: \{nonsense"):
        read_abac(tmp_path / "policy")
