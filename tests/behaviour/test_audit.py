"""What the audit log says of requests, as an administrator reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.apiserver.audit.batching import BatchLimits
from kubetree.apiserver.audit.config import AuditConfig, Backend

pytestmark = pytest.mark.one_store

Object = dict[str, Any]
SECRETS = "/api/v1/namespaces/default/secrets"
TOKENS = 'admin-token,admin,admin-uid,"system:masters"\nbob-token,bob,bob-uid\n'
ADMIN = {"Authorization": "Bearer admin-token"}


@asynccontextmanager
async def audited(directory: Path, policy: str, **config: Any) -> AsyncIterator[Http]:
    (directory / "policy.yaml").write_text(f"apiVersion: audit.k8s.io/v1\nkind: Policy\n{policy}")
    (directory / "tokens.csv").write_text(TOKENS)
    audit = AuditConfig(directory / "policy.yaml", str(directory / "audit.log"))
    usual = {"always_allow": False, "token_auth_file": directory / "tokens.csv", "audit": audit}
    async with running_server(servers=1, **{**usual, **config}) as http:  # a log is one server's
        yield http


def events(directory: Path, audit_id: str) -> list[Object]:
    found = [json.loads(line) for line in (directory / "audit.log").read_text().splitlines()]
    return [event for event in found if event["auditID"] == audit_id]


async def test_a_write_at_every_level(tmp_path: Path) -> None:
    policy = """
omitStages: [RequestReceived]
rules:
- {level: None, resources: [{resources: [events]}]}
- {level: Metadata, resources: [{resources: [secrets]}]}
- {level: Request, users: [bob]}
- {level: RequestResponse}
"""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    async with audited(tmp_path, policy) as http:
        assert (await http.post(SECRETS, secret, Audit_ID="secret", **ADMIN)).status == 201
        assert (await http.post(MAPS, config_map("a", x="y"), Audit_ID="whole", **ADMIN)).status == 201
        assert (await http.post(MAPS, config_map("b"), Audit_ID="bob", Authorization="Bearer bob-token")).status == 403
        await http.get("/api/v1/events", Audit_ID="none", **ADMIN)
    assert "hunter2" not in (tmp_path / "audit.log").read_text()
    assert events(tmp_path, "none") == []
    (secret_event,) = events(tmp_path, "secret")
    assert secret_event["objectRef"] == {"resource": "secrets", "namespace": "default", "name": "s", "apiVersion": "v1"}
    assert secret_event["responseStatus"] == {"metadata": {}, "code": 201}
    assert "requestObject" not in secret_event and "responseObject" not in secret_event
    (whole,) = events(tmp_path, "whole")
    assert whole["requestObject"]["data"] == whole["responseObject"]["data"] == {"x": "y"}
    assert "uid" not in whole["requestObject"]["metadata"] and whole["responseObject"]["metadata"]["uid"]
    assert whole["user"] == {"username": "admin", "uid": "admin-uid", "groups": ["system:masters", "system:authenticated"]}
    assert whole["annotations"] == {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
    assert whole["sourceIPs"] == ["127.0.0.1"] and whole["requestURI"] == MAPS and whole["verb"] == "create"
    (bob,) = events(tmp_path, "bob")
    assert bob["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert bob["responseStatus"]["reason"] == "Forbidden" and bob["responseStatus"]["code"] == 403
    assert "responseObject" not in bob


async def test_a_watch_has_three_stages_and_an_impersonator_is_named(tmp_path: Path) -> None:
    async with audited(tmp_path, "rules: [{level: Metadata}]") as http:
        await http.get(f"{MAPS}?watch=1&timeoutSeconds=1", Audit_ID="watch", **ADMIN)
        await http.get(MAPS, Audit_ID="other", Impersonate_User="joe", Impersonate_Group="devs", **ADMIN)
    assert [event["stage"] for event in events(tmp_path, "watch")] == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
    first, last = events(tmp_path, "other")
    assert "impersonatedUser" not in first
    assert last["user"]["username"] == "admin"
    assert last["impersonatedUser"] == {"username": "joe", "groups": ["devs", "system:authenticated"]}
    assert last["authenticationMetadata"] == {"impersonationConstraint": "impersonate:user-info"}


async def test_bad_credentials_are_recorded_without_a_user(tmp_path: Path) -> None:
    async with audited(tmp_path, "rules: [{level: Metadata}]") as http:
        assert (await http.get(MAPS, Audit_ID="bad", Authorization="Bearer nonsense")).status == 401
    (event,) = events(tmp_path, "bad")
    assert event["stage"] == "ResponseStarted" and event["user"] == {} and event["responseStatus"]["code"] == 401
    assert "nonsense" not in (tmp_path / "audit.log").read_text()


async def test_managed_fields_are_left_out_where_the_policy_says_so(tmp_path: Path) -> None:
    async with audited(tmp_path, "omitManagedFields: true\nrules: [{level: RequestResponse}]") as http:
        await http.post(MAPS, config_map("a", x="y"), **ADMIN)
        await http.get(MAPS, Audit_ID="list", **ADMIN)
        await http.get(MAPS, Audit_ID="table", Accept="application/json;as=Table;v=v1;g=meta.k8s.io", **ADMIN)
    for audit_id in ("list", "table"):
        shown = json.dumps(events(tmp_path, audit_id)[-1]["responseObject"])
        assert '"name": "a"' in shown and "managedFields" not in shown


async def test_a_full_disk_fails_no_request_unless_the_mode_is_strict(tmp_path: Path) -> None:
    for mode, status in (("blocking", 200), ("batch", 200), ("blocking-strict", 500)):
        log = Backend(mode, BatchLimits(10, 1, 0.0))
        audit = AuditConfig(tmp_path / "policy.yaml", "/dev/full", log, log_max_size=0)
        async with audited(tmp_path, "rules: [{level: Metadata}]", audit=audit) as http:
            assert (await http.get(MAPS, **ADMIN)).status == status, mode


async def test_what_is_recorded_and_lost_is_counted(tmp_path: Path) -> None:
    audit = AuditConfig(tmp_path / "policy.yaml", "/dev/full", Backend("blocking-strict", BatchLimits(10, 1, 0.0)), log_max_size=0)
    policy = 'rules: [{level: None, nonResourceURLs: ["/metrics"]}, {level: Metadata}]'
    async with audited(tmp_path, policy, audit=audit) as http:
        await http.get(MAPS, **ADMIN)
        await http.get(MAPS, Authorization="Bearer nonsense")
        lines = (await http.get("/metrics", **ADMIN)).text.splitlines()
    for expected in (
        "apiserver_audit_event_total 2",
        'apiserver_audit_level_total{level="Metadata"} 2',
        "apiserver_audit_requests_rejected_total 1",
        'apiserver_audit_error_total{plugin="log"} 2',
        'authentication_attempts{result="error"} 1',
        'authentication_attempts{result="success"} 2',
        'authenticated_user_requests{username="admin"} 2',
        'authorization_attempts_total{result="allowed"} 1',
    ):
        assert expected in lines


async def test_events_go_to_a_webhook_in_batches_and_again_after_a_failure(tmp_path: Path) -> None:
    received: list[Object] = []
    failures = [503]

    async def take(request: web.Request) -> web.Response:
        if failures:
            return web.Response(status=failures.pop())
        received.extend((await request.json())["items"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/audit", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}/audit"}}
    context = {"name": "x", "context": {"cluster": "c", "user": ""}}
    (tmp_path / "hook").write_text(json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "x"}))
    webhook = Backend("batch", BatchLimits(100, 10, 0.05, 10.0, 15))
    audit = AuditConfig(tmp_path / "policy.yaml", webhook_config_file=tmp_path / "hook", webhook=webhook, webhook_initial_backoff=0.01)
    try:
        async with audited(tmp_path, "omitStages: [RequestReceived]\nrules: [{level: Metadata}]", audit=audit) as http:
            await asyncio.gather(*(http.get(MAPS, Audit_ID=f"id-{i}", **ADMIN) for i in range(12)))
    finally:
        await runner.cleanup()
    assert sorted(event["auditID"] for event in received) == sorted(f"id-{i}" for i in range(12))
    assert not failures
