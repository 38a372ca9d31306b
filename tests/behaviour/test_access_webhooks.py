"""Authentication and authorization that are asked of a webhook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from behaviour.apiserver_harness import MAPS, config_map, running_server
from kubetree.apiserver.options import configuration_files
from webhook_server import Webhook, webhook

pytestmark = pytest.mark.one_store

Object = dict[str, Any]
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TOKENS = 'admin-token,admin,admin-uid,"system:masters"\nbob-token,bob,bob-uid,"devs"\n'
ADMIN, BOB = {"Authorization": "Bearer admin-token"}, {"Authorization": "Bearer bob-token"}


def known(review: Object) -> Object | int:
    match review["spec"]["token"]:
        case "good":
            user = {"username": "eve", "uid": "7", "groups": ["ops"], "extra": {"scopes": ["a", "b"]}}
            return {"authenticated": True, "user": user, "audiences": review["spec"].get("audiences", [])}
        case "elsewhere":
            return {"authenticated": True, "user": {"username": "x"}, "audiences": ["other"]}
        case "broken":
            return 400
    return {"authenticated": False, "error": "who is that"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_tokens_that_a_webhook_knows(tmp_path: Path, version: str) -> None:
    async with webhook(tmp_path, known) as hook:
        files = {"authentication_token_webhook_config_file": hook.kubeconfig, "authentication_token_webhook_version": version}
        async with running_server(servers=1, always_allow=False, **files) as http:  # each keeps what it was told to itself
            for _ in range(2):
                user = (await http.post(WHO, {}, Authorization="Bearer good")).json["status"]["userInfo"]
            assert (
                user["username"] == "eve" and user["groups"] == ["ops", "system:authenticated"] and user["extra"] == {"scopes": ["a", "b"]}
            )
            assert len(hook.asked) == 1 and hook.asked[0]["apiVersion"] == f"authentication.k8s.io/{version}"
            assert (await http.post(WHO, {}, Authorization="Bearer bad")).status == 401
            assert (await http.post(WHO, {}, Authorization="Bearer broken")).status == 401
        async with running_server(**files) as http:

            async def review(token: str, *audiences: str) -> Object:
                spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
                status: Object = (await http.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": spec})).json["status"]
                return status

            found = await review("good", "one", "two")
            assert found["authenticated"] and found["audiences"] == ["one", "two"]
            assert (await review("bad"))["error"] == "[invalid bearer token, who is that]"
            assert "authenticated" not in await review("elsewhere", "mine")
            assert (await review("elsewhere", "mine", "other"))["audiences"] == ["other"]


def may(review: Object) -> Object | int:
    spec = review["spec"]
    asked = spec.get("resourceAttributes") or spec["nonResourceAttributes"]
    if asked.get("resource") == "secrets":
        return {"allowed": False, "denied": True, "reason": "secrets are secret"}
    if asked.get("resource") == "pods":
        return 400
    return {"allowed": spec["user"] == "bob" and asked.get("resource") == "configmaps", "reason": "hook says so"}


def authorization(directory: Path, hook: Webhook, *, policy: str = "NoOpinion", first: bool = True, **fields: Any) -> Path:
    connection = {"type": "KubeConfigFile", "kubeConfigFile": str(hook.kubeconfig)}
    settings = {"timeout": "30s", "subjectAccessReviewVersion": "v1", "failurePolicy": policy, "connectionInfo": connection, **fields}
    authorizers: list[Object] = [{"type": "Webhook", "name": "hook", "webhook": settings}, {"type": "RBAC", "name": "rbac"}]
    path = directory / "authz"
    kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    path.write_text(json.dumps({**kind, "authorizers": authorizers if first else authorizers[::-1]}))
    return path


async def test_what_a_webhook_allows_and_denies(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKENS)
    async with webhook(tmp_path, may) as hook:
        config = authorization(tmp_path, hook)
        async with running_server(always_allow=False, token_auth_file=tmp_path / "tokens", authorization_config=config) as http:
            assert (await http.get(MAPS, **ADMIN)).status == 200 and not hook.asked
            assert (await http.get(MAPS, **BOB)).status == 200
            assert (await http.get(f"{MAPS}?labelSelector=a%3Db", **BOB)).status == 200
            selector = {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}
            assert hook.asked[-1]["spec"]["resourceAttributes"]["labelSelector"] == selector
            refused = await http.get("/api/v1/secrets", **BOB)
            assert refused.status == 403 and refused.json["message"].endswith("at the cluster scope: secrets are secret")
            failed = await http.get("/api/v1/pods", **BOB)
            assert failed.status == 500 and failed.text.startswith('Internal Server Error: "/api/v1/pods": ')
            created = await http.patch(f"{MAPS}/new?fieldManager=me", config_map("new"), "apply-patch+yaml", **BOB)
            assert created.status == 201 and hook.asked[-1]["spec"]["resourceAttributes"]["verb"] == "create"
            review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets"}}}
            status = (await http.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, **BOB)).json["status"]
            assert status == {"allowed": False, "denied": True, "reason": "secrets are secret"}
            hook.status = lambda review: {"allowed": True}
            sar = {"spec": {"user": "someone", "resourceAttributes": {"verb": "get", "resource": "secrets"}}}
            status = (await http.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", sar, **ADMIN)).json["status"]
            assert status == {"allowed": True}
            rules = await http.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "x"}}, **BOB)
            assert rules.json["status"]["incomplete"] is True
            assert rules.json["status"]["evaluationError"] == "webhook authorizer does not support user rule resolution"
            asked = len(hook.asked)
            assert (await http.get(MAPS, Impersonate_User="joe", **BOB)).status == 200
            verbs = [review["spec"]["resourceAttributes"]["verb"] for review in hook.asked[asked:]]
            assert verbs == ["impersonate-on:user-info:list", "impersonate:user-info", "list"]


async def test_a_webhook_is_asked_only_where_its_conditions_hold(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKENS)
    conditions = [{"expression": "has(request.resourceAttributes)"}, {"expression": "request.resourceAttributes.namespace == 'default'"}]
    async with webhook(tmp_path, may) as hook:
        config = authorization(tmp_path, hook, matchConditionSubjectAccessReviewVersion="v1", matchConditions=conditions)
        async with running_server(always_allow=False, token_auth_file=tmp_path / "tokens", authorization_config=config) as http:
            assert (await http.get("/api/v1/configmaps", **BOB)).status == 403
            assert (await http.get("/metrics", **BOB)).status == 403
            assert not hook.asked
            assert (await http.get(MAPS, **BOB)).status == 200
            assert len(hook.asked) == 1


async def test_a_webhook_that_must_answer_denies_when_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(TOKENS)
    async with webhook(tmp_path, lambda review: 400) as hook:
        for policy, status in (("Deny", 500), ("NoOpinion", 200)):
            config = authorization(tmp_path, hook, policy=policy)
            async with running_server(always_allow=False, token_auth_file=tmp_path / "tokens", authorization_config=config) as http:
                assert (await http.get("/version", **BOB)).status == status


async def test_the_order_changes_with_the_file_but_nothing_of_the_house_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration_files, "POLL_SECONDS", 0.01)
    (tmp_path / "tokens").write_text(TOKENS)
    async with webhook(tmp_path, lambda review: {"allowed": False, "denied": True, "reason": "closed"}) as hook:
        config = authorization(tmp_path, hook)
        async with running_server(always_allow=False, token_auth_file=tmp_path / "tokens", authorization_config=config) as http:
            assert (await http.get("/version", **BOB)).status == 403
            text = config.read_text()
            config.write_text(text.replace('{"type": "RBAC", "name": "rbac"}', '{"type": "AlwaysAllow", "name": "alwaysallow"}'))
            reloads = r'authorization_config_controller_automatic_reloads_total{{[^}}]*status="{}"}} [1-9]'
            await http.everywhere("/metrics", lambda reply: re.search(reloads.format("failure"), reply.text), **ADMIN)
            assert (await http.get("/version", **BOB)).status == 403
            authorization(tmp_path, hook, first=False)
            monkeypatch.setattr(configuration_files, "_AFTER_FAILURE", 0.0)
            await http.everywhere("/version", lambda reply: reply.status == 200, **BOB)
            metrics = (await http.get("/metrics", **ADMIN)).text
            for status in ("success", "failure"):
                assert re.search(reloads.format(status), metrics)
            assert 'apiserver_authorization_decisions_total{decision="denied",name="' in metrics
