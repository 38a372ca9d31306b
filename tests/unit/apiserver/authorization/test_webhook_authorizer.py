"""The webhook authorizer: what it asks, what it remembers, what it makes of answers and of none; and its configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Answer, AskElsewhere, Attributes, Decision, settled
from kubetree.apiserver.authorization.configuration import parse_authorization
from kubetree.apiserver.authorization.union import Union
from kubetree.apiserver.authorization.webhook import WebhookAuthorizer, WebhookSettings, review_spec
from kubetree.apiserver.webhooks import CallFailed, Destination
from kubetree.apiserver.webhooks.tls import Trust

Object = dict[str, Any]
JANE = User("jane", "u1", ("devs",), {"scopes": ("a",)})
ASKED = Attributes(
    JANE, "list", group="apps", version="v1", resource="deployments", namespace="ns", label_selector="a=b,c", field_selector="x!=y"
)


class Client:
    """Answers with `statuses` in turn."""

    def __init__(self, *statuses: Object | Exception) -> None:
        self.statuses, self.sent = list(statuses), []  # type: ignore[var-annotated]

    async def post(self, destination: Destination, review: Object, *, timeout: float) -> Object:
        self.sent.append(review)
        status = self.statuses.pop(0)
        if isinstance(status, Exception):
            raise status
        return {"kind": "SubjectAccessReview", "apiVersion": review["apiVersion"], "status": status}


def authorizer(client: Any, clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> WebhookAuthorizer:
    usual = {"version": "v1", "timeout": 3.0, "authorized_ttl": 10.0, "unauthorized_ttl": 1.0}
    return WebhookAuthorizer(WebhookSettings("w", Destination("https://w", Trust()), **{**usual, **settings}), client, clock)


async def ask(hook: Any, attributes: Attributes = ASKED) -> Answer:
    return await settled(partial(hook.authorize, attributes))


def test_what_is_asked() -> None:
    assert review_spec(ASKED) == {
        "resourceAttributes": {
            "namespace": "ns",
            "verb": "list",
            "group": "apps",
            "version": "v1",
            "resource": "deployments",
            "fieldSelector": {"requirements": [{"key": "x", "operator": "NotIn", "values": ["y"]}]},
            "labelSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "Exists"}]},
        },
        "user": "jane",
        "groups": ["devs"],
        "extra": {"scopes": ["a"]},
        "uid": "u1",
    }
    assert review_spec(Attributes(User("joe"), "get", "/metrics")) == {
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
        "user": "joe",
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"allowed": True, "reason": "r"}, Answer(Decision.ALLOW, "r")),
        ({"allowed": False, "reason": "r"}, Answer(Decision.NO_OPINION, "r")),
        ({"allowed": False, "denied": True}, Answer(Decision.DENY)),
        (
            {"allowed": True, "denied": True},
            Answer(Decision.DENY, "", "webhook subject access review returned both allow and deny response"),
        ),
    ],
)
async def test_answers(status: Object, expected: Answer) -> None:
    assert await ask(authorizer(Client(status))) == expected


async def test_answers_are_kept_as_long_as_they_may_be() -> None:
    now = 0.0
    client = Client({"allowed": True}, {"allowed": False}, {"allowed": False}, {"allowed": True})
    hook = authorizer(client, lambda: now)
    assert (await ask(hook)).decision is Decision.ALLOW
    assert hook.authorize(ASKED).decision is Decision.ALLOW
    now = 11.0
    assert (await ask(hook)).decision is Decision.NO_OPINION
    assert hook.authorize(ASKED).decision is Decision.NO_OPINION
    now = 12.5
    await ask(hook)
    now = 20.0
    assert (await ask(hook)).decision is Decision.ALLOW
    long = Attributes(JANE, "get", resource="x" * 10_000)
    client.statuses = [{"allowed": True}, {"allowed": True}]
    for _ in range(2):
        await ask(hook, long)
    assert len(client.sent) == 6


async def test_nothing_is_kept_without_a_ttl_but_for_the_question_at_hand() -> None:
    client = Client({"allowed": True}, {"allowed": True})
    hook = authorizer(client, authorized_ttl=0.0)
    for _ in range(2):
        assert (await ask(hook)).decision is Decision.ALLOW
    assert len(client.sent) == 2
    with pytest.raises(AskElsewhere):
        hook.authorize(ASKED)


async def test_several_questions_of_one_computation_are_each_asked_once() -> None:
    client = Client({"allowed": True}, {"allowed": False})
    hook = authorizer(client, authorized_ttl=0.0, unauthorized_ttl=0.0)
    other = Attributes(JANE, "get", "/x")
    assert await settled(lambda: [hook.authorize(a).decision for a in (ASKED, other, ASKED)]) == [
        Decision.ALLOW,
        Decision.NO_OPINION,
        Decision.ALLOW,
    ]
    assert len(client.sent) == 2


async def test_the_old_version_has_another_name_for_groups() -> None:
    client = Client({"allowed": True})
    await ask(authorizer(client, version="v1beta1"))
    assert client.sent[0]["apiVersion"] == "authorization.k8s.io/v1beta1"
    assert client.sent[0]["spec"]["group"] == ["devs"] and "groups" not in client.sent[0]["spec"]


async def test_no_answer_is_an_error_and_denies_where_that_is_wanted() -> None:
    failure = CallFailed("connection refused")
    assert await ask(authorizer(Client(failure))) == Answer(Decision.NO_OPINION, "", "connection refused")
    assert await ask(authorizer(Client(failure), on_error=Decision.DENY)) == Answer(Decision.DENY, "", "connection refused")
    union = Union([authorizer(Client(failure)), authorizer(Client({"allowed": True}))])
    assert (await ask(union)).decision is Decision.ALLOW


HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n"


def webhook(**changes: str) -> str:
    fields = {
        "timeout": "3s",
        "subjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "connectionInfo": "{type: KubeConfigFile, kubeConfigFile: /dev/null/x}",
        **changes,
    }
    return "- {type: Webhook, name: hook, webhook: {" + ", ".join(f"{k}: {v}" for k, v in fields.items() if v) + "}}\n"


@pytest.mark.parametrize(
    ("authorizers", "message"),
    [
        ("", "authorizers: Required value: at least one authorization mode must be defined"),
        ("- {name: x}", "authorizers[0].type: Required value"),
        ("- {type: Foo, name: foo}", 'authorizers[0].type: Unsupported value: "Foo"'),
        ("- {type: RBAC, name: rbac}\n- {type: RBAC, name: b}", 'authorizers[1].type: Duplicate value: "RBAC"'),
        ("- {type: RBAC, name: other}", "expected name rbac for authorizer RBAC instead of other"),
        ("- {type: RBAC}", "authorizers[0].name: Required value"),
        ("- {type: RBAC, name: rbac, webhook: {}}", "may only be specified when type=Webhook"),
        ("- {type: Webhook, name: hook}", "authorizers[0].webhook: Required value: required when type=Webhook"),
        (webhook(timeout=""), "authorizers[0].timeout: Required value"),
        (webhook(timeout="31s"), 'authorizers[0].timeout: Invalid value: "31s": must be > 0s and <= 30s'),
        (webhook(authorizedTTL="-1s"), 'authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s'),
        (webhook(subjectAccessReviewVersion="v2"), 'subjectAccessReviewVersion: Unsupported value: "v2"'),
        (webhook(failurePolicy="Ignore"), 'failurePolicy: Unsupported value: "Ignore": supported values: "NoOpinion", "Deny"'),
        (webhook(matchConditions="[{expression: a}]"), "matchConditionSubjectAccessReviewVersion: Required value"),
        (webhook(connectionInfo="{type: KubeConfigFile}"), "connectionInfo.kubeConfigFile: Required value"),
        (webhook(connectionInfo="{type: KubeConfigFile, kubeConfigFile: a}"), "must be an absolute path"),
        (webhook(), "error loading file"),
        ("- {type: RBAC, name: rbac, extra: 1}", 'unknown field "authorizers[0].extra"'),
    ],
)
def test_bad_configurations_say_what_is_wrong(authorizers: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_authorization((HEAD + authorizers).encode())
    assert message in str(refused.value)


def test_what_a_configuration_says(tmp_path: Path) -> None:
    (tmp_path / "hook").touch()
    text = webhook(connectionInfo=f"{{type: KubeConfigFile, kubeConfigFile: {tmp_path}/hook}}", cacheUnauthorizedRequests="false")
    hook, rbac = parse_authorization(f"{HEAD}{text}- {{type: RBAC, name: rbac}}".encode())
    assert hook.webhook is not None
    assert (hook.webhook.authorized_ttl, hook.webhook.unauthorized_ttl, hook.webhook.denies_on_error) == (300.0, 0.0, True)
    assert (rbac.type, rbac.webhook) == ("RBAC", None)
    with pytest.raises(ValueError, match=r"missing required types: \[Node\]"):
        parse_authorization(f"{HEAD}- {{type: RBAC, name: rbac}}".encode(), ["Node", "RBAC"])
