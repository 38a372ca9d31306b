"""What users see of admission webhooks: HTTPS servers in this process are asked about requests to an API server in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from behaviour.custom_resources import FOOS, definition, establish, fields, string, version
from kubetree.api.kind_table import kind as row_of
from webhook_servers import WebhookServer, allow, deny, patching, webhook_server

pytestmark = pytest.mark.one_store

Object = dict[str, Any]
GROUP = "/apis/admissionregistration.k8s.io/v1"
RULE = {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}


@asynccontextmanager
async def both(**config: Any) -> AsyncIterator[tuple[Http, WebhookServer]]:
    async with webhook_server() as webhooks, running_server(**config) as http:
        yield http, webhooks


def hook(client_config: Object, name: str = "a.example.com", **fields: Any) -> Object:
    usual = {"name": name, "clientConfig": client_config, "rules": [RULE], "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return {**usual, **fields}


async def configure(http: Http, kind: str, *hooks: Object, name: str = "hooks") -> Object:
    """`kind` is Mutating or Validating. Returns once the API server goes by it."""
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(hooks),
    }
    reply = await http.post(f"{GROUP}/{kind.lower()}webhookconfigurations", body)
    assert reply.status == 201, reply.text
    await http.known(row_of("admissionregistration.k8s.io/v1", f"{kind}WebhookConfiguration"), name)
    made: Object = reply.json
    return made


async def test_a_validating_webhook_refuses_in_its_own_words() -> None:
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", deny("not like this", reason="Forbidden", code=403))))
        reply = await http.post(MAPS, config_map("x", a="b"))
        assert reply.status == 403
        assert reply.json["message"] == 'admission webhook "a.example.com" denied the request: not like this'
        assert reply.json["reason"] == "Forbidden"
        (review,) = webhooks.asked("/a")
        asked = review["request"]
        assert asked["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
        assert asked["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
        assert (asked["operation"], asked["name"], asked["namespace"]) == ("CREATE", "x", "default")
        assert asked["object"]["data"] == {"a": "b"}
        assert asked["oldObject"] is None
        assert asked["dryRun"] is False
        assert asked["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        assert (await http.get(f"{MAPS}/x")).status == 404


@pytest.mark.parametrize(
    ("result", "code", "message"),
    [
        ({}, 400, "without explanation"),
        ({"status": {"reason": "Because"}}, 400, "Because"),
        ({"status": {"message": "no", "code": 200}}, 400, "no"),
        ({"status": {"message": "no", "code": 599}}, 599, "no"),
    ],
)
async def test_a_refusal_is_never_less_than_an_error(result: Object, code: int, message: str) -> None:
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", lambda _: {"allowed": False, **result})))
        reply = await http.post(MAPS, config_map("x"))
        assert reply.status == code
        colon = " " if message == "without explanation" else ": "
        assert reply.json["message"] == f'admission webhook "a.example.com" denied the request{colon}{message}'


@pytest.mark.every_store
async def test_mutating_webhooks_run_by_name_and_place_and_see_each_others_work() -> None:
    async with both() as (http, webhooks):
        first = webhooks.on("/1", patching({"op": "add", "path": "/data/one", "value": "1"}))
        second = webhooks.on("/2", patching({"op": "add", "path": "/data/two", "value": "2"}))
        third = webhooks.on("/3", patching({"op": "test", "path": "/data/two", "value": "2"}, {"op": "remove", "path": "/data/one"}))
        await configure(http, "Mutating", hook(third), name="z")
        await configure(http, "Mutating", hook(first), hook(second, "b.example.com"), name="a")
        reply = await http.post(MAPS, config_map("x", a="b"))
        assert reply.status == 201, reply.text
        assert reply.json["data"] == {"a": "b", "two": "2"}
        assert [path for path, _ in webhooks.reviews] == ["/1", "/2", "/3"]


async def test_a_patched_object_is_defaulted_and_loses_what_its_kind_does_not_know() -> None:
    pods = "/api/v1/namespaces/default/pods"
    rule = {**RULE, "resources": ["pods"]}
    container = {"name": "side", "image": "x", "nonsense": True}
    async with both() as (http, webhooks):
        answer = patching({"op": "add", "path": "/spec/containers/-", "value": container})
        await configure(http, "Mutating", hook(webhooks.on("/a", answer), rules=[rule]))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        made = (await http.post(pods, pod)).json["spec"]["containers"][1]
        assert made["imagePullPolicy"] == "Always"
        assert made["terminationMessagePath"] == "/dev/termination-log"
        assert "nonsense" not in made
        answer = patching({"op": "replace", "path": "/spec/containers", "value": "none"})
        webhooks.on("/a", answer)
        reply = await http.post(pods, {**pod, "metadata": {"name": "q"}})
        assert reply.status == 500
        assert reply.json["message"].startswith("Internal error occurred: ")


@pytest.mark.every_store
async def test_fields_that_a_custom_resource_does_not_know_are_seen_by_later_webhooks_and_not_stored() -> None:
    rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["foos"]}
    spec = fields(a={"type": "integer"}, d=string(default="x"))
    foo = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "f"}, "spec": {"a": 1}}
    async with both() as (http, webhooks):
        await establish(http, definition(version(spec=spec)))
        changing = hook(webhooks.on("/m", patching({"op": "add", "path": "/spec/more", "value": 1}, {"op": "remove", "path": "/spec/d"})))
        await configure(http, "Mutating", {**changing, "rules": [rule]})
        await configure(http, "Validating", {**hook(webhooks.on("/v", allow)), "rules": [rule]})
        made = await http.post(FOOS, foo)
        assert made.status == 201 and made.json["spec"] == {"a": 1, "d": "x"}
        assert "f:more" not in json.dumps(made.json["metadata"]["managedFields"])
        changed = await http.put(f"{FOOS}/f", {**made.json, "spec": {"a": 2}})
        assert changed.json["spec"] == (await http.get(f"{FOOS}/f")).json["spec"] == {"a": 2, "d": "x"}
        seen = [review["request"]["object"]["spec"] for review in webhooks.asked("/v")]
        assert seen == [{"a": 1, "d": "x", "more": 1}, {"a": 2, "d": "x", "more": 1}]
        webhooks.on("/m", patching({"op": "add", "path": "/spec/a", "value": None}))
        refused = await http.post(FOOS, {**foo, "metadata": {"name": "g"}})
        assert refused.status == 422 and 'spec.a in body must be of type integer: "null"' in refused.json["message"]


async def test_a_hook_that_asks_for_it_sees_what_came_after_it() -> None:
    async with both() as (http, webhooks):

        def count(review: Object) -> Object:
            seen = review["request"]["object"]["data"].get("later", "nothing")
            return patching({"op": "add", "path": "/data/seen", "value": seen})(review)

        again = hook(webhooks.on("/again", count), reinvocationPolicy="IfNeeded")
        later = hook(webhooks.on("/later", patching({"op": "add", "path": "/data/later", "value": "x"})), "b.example.com")
        await configure(http, "Mutating", again, later)
        assert (await http.post(MAPS, config_map("x", a="b"))).json["data"] == {"a": "b", "later": "x", "seen": "x"}
        assert [path for path, _ in webhooks.reviews] == ["/again", "/later", "/again"]


async def test_plugins_of_the_house_see_what_webhooks_have_made() -> None:
    pods = "/api/v1/namespaces/default/pods"
    async with both() as (http, webhooks):
        mark = patching(
            {"op": "add", "path": "/spec/priorityClassName", "value": "system-node-critical"}, {"op": "remove", "path": "/spec/priority"}
        )
        await configure(http, "Mutating", hook(webhooks.on("/a", mark), rules=[{**RULE, "resources": ["pods"]}]))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        reply = await http.post(pods, pod)
        assert reply.status == 201, reply.text
        assert reply.json["spec"]["priority"] == 2000001000


async def test_failures_close_or_open_as_the_policy_says() -> None:
    async with running_server(servers=1) as http:  # each counts for itself
        gone = {"url": "https://127.0.0.1:9/x"}
        await configure(http, "Validating", hook(gone))
        reply = await http.post(MAPS, config_map("x"))
        assert reply.status == 500
        assert reply.json["reason"] == "InternalError"
        words = 'Internal error occurred: failed calling webhook "a.example.com": failed to call webhook: Post "https://127.0.0.1:9/x?timeout=10s": dial tcp 127.0.0.1:9: connect: connection refused'
        assert reply.json["message"] == words
        await http.delete(f"{GROUP}/validatingwebhookconfigurations/hooks")
        await configure(http, "Validating", hook(gone, failurePolicy="Ignore"), name="open")
        assert (await http.post(MAPS, config_map("x"))).status == 201
        metrics = (await http.get("/metrics")).text
        assert 'apiserver_admission_webhook_fail_open_count{name="a.example.com",type="validating"} 1' in metrics
        assert (
            'apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="a.example.com",operation="CREATE",rejection_code="503",type="validating"} 1'
            in metrics
        )


async def test_a_webhook_that_takes_too_long_has_failed() -> None:
    async with both() as (http, webhooks):
        webhooks.delay = 5
        await configure(http, "Mutating", hook(webhooks.on("/a", allow), timeoutSeconds=1))
        reply = await http.post(MAPS, config_map("x"))
        assert reply.status == 500
        assert reply.json["message"].endswith(f'Post "https://localhost:{webhooks.port}/a?timeout=1s": context deadline exceeded')
        assert webhooks.queries == ["timeout=1s"]


async def test_webhooks_are_told_how_long_the_request_still_has() -> None:
    async with both() as (http, webhooks):
        first, second = (hook(webhooks.on(f"/{n}", allow), f"{n}.example.com", timeoutSeconds=s) for n, s in ((1, 20), (2, 5)))
        await configure(http, "Mutating", first, second)
        await configure(http, "Validating", first, second)
        assert (await http.post(f"{MAPS}?timeout=10s", config_map("x"))).status == 201
        assert webhooks.queries[:2] == ["timeout=10s", "timeout=5s"]
        assert sorted(webhooks.queries[2:]) == ["timeout=10s", "timeout=5s"]
        webhooks.delay = 5
        reply = await http.post(f"{MAPS}?timeout=400ms", config_map("y"))
        assert (reply.status, webhooks.queries[4:]) == (504, ["timeout=1s"])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"},
            "received invalid webhook response: webhook response was absent",
        ),
        (
            {"allowed": True, "patchType": "JSONPatch", "patch": "W10="},
            "received invalid webhook response: validating webhook may not return response.patch",
        ),
        ({"allowed": "yes"}, "failed to call webhook: json: cannot unmarshal"),
        ({"uid": "other", "allowed": True}, 'received invalid webhook response: expected response.uid="'),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(answer: Object, why: str) -> None:
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", lambda _: answer)))
        reply = await http.post(MAPS, config_map("x"))
        assert reply.status == 500
        assert reply.json["message"].startswith(f'Internal error occurred: failed calling webhook "a.example.com": {why}')


async def test_an_http_error_is_worded_as_the_servers() -> None:
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", lambda _: web.Response(status=500, text="boom"))))
        message = (await http.post(MAPS, config_map("x"))).json["message"]
        assert message.endswith('failed to call webhook: an error on the server ("boom") has prevented the request from succeeding')


async def test_dry_runs_reach_only_webhooks_without_side_effects() -> None:
    async with both() as (http, webhooks):
        body = hook(webhooks.on("/a", allow), sideEffects="NoneOnDryRun")
        await configure(http, "Validating", body)
        assert (await http.post(f"{MAPS}?dryRun=All", config_map("x"))).status == 201
        (review,) = webhooks.asked("/a")
        assert review["request"]["dryRun"] is True
        assert review["request"]["options"]["dryRun"] == ["All"]


async def test_warnings_and_audit_annotations_are_passed_on() -> None:
    async with both() as (http, webhooks):
        long = "w" * 5000
        answer = {"allowed": True, "warnings": ["careful", long], "auditAnnotations": {"k": "v"}}
        await configure(http, "Validating", hook(webhooks.on("/a", lambda _: answer)))
        reply = await http.post(MAPS, config_map("x"))
        assert reply.headers.getall("Warning") == ['299 - "careful"', f'299 - "{"w" * 256}"']


async def test_old_webhooks_are_asked_in_v1beta1() -> None:
    async with both() as (http, webhooks):

        def beta(review: Object) -> Object:
            assert review["apiVersion"] == "admission.k8s.io/v1beta1"
            patch = patching({"op": "add", "path": "/data/b", "value": "1"})(review)["patch"]
            return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {"allowed": True, "patch": patch}}

        await configure(http, "Mutating", hook(webhooks.on("/a", beta), admissionReviewVersions=["v9", "v1beta1", "v1"]))
        assert (await http.post(MAPS, config_map("x", a="1"))).json["data"] == {"a": "1", "b": "1"}


@pytest.mark.every_store
async def test_selectors_choose_by_namespace_and_by_either_object() -> None:
    async with both() as (http, webhooks):
        one = hook(webhooks.on("/ns", allow), namespaceSelector={"matchLabels": {"hooked": "yes"}})
        two = hook(webhooks.on("/obj", allow), "b.example.com", objectSelector={"matchLabels": {"hooked": "yes"}})
        await configure(http, "Validating", one, two)
        await http.post(MAPS, config_map("x"))
        assert webhooks.reviews == []
        await http.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"hooked": "yes"}}})
        await http.caught_up()
        labelled = config_map("y")
        labelled["metadata"]["labels"] = {"hooked": "yes"}
        await http.post(MAPS, labelled)
        assert sorted(path for path, _ in webhooks.reviews) == ["/ns", "/obj"]
        await http.patch(f"{MAPS}/y", {"metadata": {"labels": None}})
        assert len(webhooks.asked("/obj")) == 2
        await http.patch(f"{MAPS}/y", {"data": {"a": "b"}})
        assert len(webhooks.asked("/obj")) == 2


async def test_a_webhook_for_another_version_of_the_kind_is_asked_in_that_version() -> None:
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    }
    rule = {"operations": ["*"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"], "resources": ["horizontalpodautoscalers"]}
    async with both() as (http, webhooks):
        set_target = patching({"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 70})
        await configure(http, "Mutating", hook(webhooks.on("/equivalent", set_target), rules=[rule]))
        await configure(http, "Validating", hook(webhooks.on("/exact", deny()), rules=[rule], matchPolicy="Exact"))
        reply = await http.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler)
        assert reply.status == 201, reply.text
        assert reply.json["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
        (review,) = webhooks.asked("/equivalent")
        asked = review["request"]
        assert asked["object"]["apiVersion"] == "autoscaling/v1"
        assert asked["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
        assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v1", "v2")
        assert (asked["resource"]["version"], asked["requestResource"]["version"]) == ("v1", "v2")


async def test_updates_patches_and_deletes_say_what_they_are() -> None:
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", allow), rules=[{**RULE, "operations": ["*"]}]))
        await http.post(f"{MAPS}?fieldManager=me&fieldValidation=Strict", config_map("x", a="1"))
        await http.patch(f"{MAPS}/x", {"data": {"a": "2"}})
        await http.delete(f"{MAPS}/x", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"})
        created, patched, deleted = [review["request"] for review in webhooks.asked("/a")]
        meta = {"apiVersion": "meta.k8s.io/v1"}
        assert created["options"] == {"kind": "CreateOptions", **meta, "fieldManager": "me", "fieldValidation": "Strict"}
        assert (patched["operation"], patched["options"]) == ("UPDATE", {"kind": "UpdateOptions", **meta})
        assert (patched["oldObject"]["data"], patched["object"]["data"]) == ({"a": "1"}, {"a": "2"})
        assert deleted["operation"] == "DELETE"
        assert (deleted["object"], deleted["oldObject"]["data"]) == (None, {"a": "2"})
        assert deleted["options"] == {"kind": "DeleteOptions", **meta, "propagationPolicy": "Background"}


@pytest.mark.every_store
async def test_a_collection_is_deleted_one_by_one() -> None:
    async with both() as (http, webhooks):

        def keep(review: Object) -> Object:
            kept = review["request"]["oldObject"]["metadata"]["name"] == "kept"
            return {"allowed": not kept, "status": {"message": "kept"}}

        await configure(http, "Validating", hook(webhooks.on("/a", keep), rules=[{**RULE, "operations": ["DELETE"]}]))
        for name in ("x", "y", "kept"):
            await http.post(MAPS, config_map(name))
        reply = await http.delete(MAPS)
        assert reply.json["message"] == 'admission webhook "a.example.com" denied the request: kept'
        assert (await http.get(f"{MAPS}/kept")).status == 200


async def test_subresources_are_rules_of_their_own() -> None:
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    apps = {**RULE, "apiGroups": ["apps"]}
    async with both() as (http, webhooks):
        two = patching({"op": "replace", "path": "/spec/replicas", "value": 2})
        scale = hook(webhooks.on("/scale", two), rules=[{**apps, "resources": ["deployments/scale"]}])
        status = hook(webhooks.on("/status", allow), "b.example.com", rules=[{**apps, "resources": ["*/status"]}])
        await configure(http, "Mutating", scale, status)
        await http.post(deployments, deployment)
        assert webhooks.reviews == []
        reply = await http.patch(f"{deployments}/d/scale", {"spec": {"replicas": 7}})
        assert reply.json["spec"] == {"replicas": 2}
        (review,) = webhooks.asked("/scale")
        assert review["request"]["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        assert review["request"]["subResource"] == "scale"
        assert review["request"]["object"]["spec"] == {"replicas": 7}
        assert review["request"]["oldObject"]["spec"] == {"replicas": 1}
        assert (await http.get(f"{deployments}/d")).json["spec"]["replicas"] == 2
        await http.patch(f"{deployments}/d/status", {"status": {"replicas": 1}})
        assert len(webhooks.asked("/status")) == 1


async def test_connections_are_admitted_before_anything_is_looked_up() -> None:
    rule = {**RULE, "operations": ["CONNECT"], "resources": ["pods/exec", "pods/proxy"]}
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", deny("no shells")), rules=[rule]))
        reply = await http.post("/api/v1/namespaces/default/pods/none/exec?command=sh&command=-c&stdin=true", "")
        assert reply.json["message"] == 'admission webhook "a.example.com" denied the request: no shells'
        (review,) = webhooks.asked("/a")
        asked = review["request"]
        assert asked["object"] == {"kind": "PodExecOptions", "apiVersion": "v1", "command": ["sh", "-c"], "stdin": True}
        assert (asked["operation"], asked["subResource"], asked["options"]) == ("CONNECT", "exec", None)
        await http.get("/api/v1/namespaces/default/pods/none:80/proxy/a/b")
        assert webhooks.asked("/a")[1]["request"]["object"] == {"kind": "PodProxyOptions", "apiVersion": "v1", "path": "/a/b"}


@pytest.mark.every_store
async def test_what_configures_admission_is_not_admitted_by_it() -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    async with both() as (http, webhooks):
        await configure(http, "Validating", hook(webhooks.on("/a", deny()), rules=[everything]))
        await configure(http, "Mutating", hook(webhooks.on("/b", deny()), rules=[everything]))
        assert (await http.post(MAPS, config_map("x"))).status == 400
        for plural in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
            assert (await http.delete(f"{GROUP}/{plural}/hooks")).status == 200
        await http.known(row_of("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"), "hooks", False)
        assert (await http.post(MAPS, config_map("x"))).status == 201


async def test_managed_fields_that_a_webhook_breaks_are_put_back() -> None:
    async with both() as (http, webhooks):
        broken = patching({"op": "remove", "path": "/metadata/managedFields/0/fieldsType"})
        await configure(http, "Mutating", hook(webhooks.on("/a", broken)))
        reply = await http.post(MAPS, config_map("x", a="b"))
        assert reply.json["metadata"]["managedFields"][0]["fieldsType"] == "FieldsV1"
        assert ".metadata.managedFields was in an invalid state after admission" in reply.headers["Warning"]


async def test_a_webhook_cannot_move_an_object_to_another_namespace() -> None:
    async with both() as (http, webhooks):
        await configure(
            http, "Mutating", hook(webhooks.on("/a", patching({"op": "replace", "path": "/metadata/namespace", "value": "kube-system"})))
        )
        reply = await http.post(MAPS, config_map("x"))
        assert reply.status == 400
        assert reply.json["message"] == "the namespace of the provided object does not match the namespace sent on the request"


@pytest.mark.every_store
async def test_a_webhook_is_asked_once_for_a_write_that_fails_or_changes_nothing() -> None:
    async with both() as (http, webhooks):
        await http.post(MAPS, config_map("x", a="1"))
        await configure(http, "Validating", hook(webhooks.on("/a", allow)))
        assert (await http.patch(f"{MAPS}/x", {"data": {"a": "1"}})).status == 200
        assert len(webhooks.asked("/a")) == 1
        webhooks.on("/a", deny("no"))
        assert (await http.patch(f"{MAPS}/x", {"data": {"a": "2"}})).status == 400
        assert len(webhooks.asked("/a")) == 2


async def test_credentials_come_from_the_file_that_the_plugins_configuration_names(tmp_path: Path) -> None:
    part = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": str(tmp_path / "users")}
    plugins = [{"name": "ValidatingAdmissionWebhook", "configuration": part}]
    file = tmp_path / "admission"
    file.write_text(yaml.safe_dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins}))
    async with webhook_server() as webhooks:
        users = [{"name": f"localhost:{webhooks.port}", "user": {"token": "secret"}}]
        (tmp_path / "users").write_text(yaml.safe_dump({"kind": "Config", "users": users}))
        async with running_server(admission_control_config_file=file) as http:
            await configure(http, "Mutating", hook(webhooks.on("/mutate", allow)))
            await configure(http, "Validating", hook(webhooks.on("/validate", allow)))
            assert (await http.post(MAPS, config_map("a"))).status == 201
    assert [path for path, _ in webhooks.reviews] == ["/mutate", "/validate"]
    assert webhooks.authorizations == ["", "Bearer secret"]


async def test_conditions_decide_whether_a_webhook_is_asked() -> None:
    async with both(servers=1) as (http, webhooks):
        conditions = [{"name": "a", "expression": "object.data.a == 'go'"}, {"name": "b", "expression": "request.name != 'skip'"}]
        closed = hook(webhooks.on("/closed", allow), matchConditions=conditions)
        opened = hook(webhooks.on("/open", allow), "b.example.com", matchConditions=conditions, failurePolicy="Ignore")
        await configure(http, "Validating", closed, opened)
        for name, data in (("yes", "go"), ("no", "stop"), ("skip", "go")):
            assert (await http.post(MAPS, config_map(name, a=data))).status == 201
        assert [review["request"]["name"] for review in webhooks.asked("/closed")] == ["yes"]
        assert len(webhooks.asked("/open")) == 1
        reply = await http.post(MAPS, config_map("err", b="x"))
        assert reply.status == 403
        why = "expression 'object.data.a == 'go'' resulted in error: no such key: a"
        assert reply.json["message"] == f'configmaps "err" is forbidden: {why}'
        assert len(webhooks.asked("/open")) == 1
        metrics = (await http.get("/metrics")).text
        excluded = 'apiserver_admission_match_condition_exclusions_total{kind="webhook",name="a.example.com",operation="CREATE",type="validating"} 2'
        assert excluded in metrics


async def test_expressions_of_conditions_must_compile() -> None:
    async with running_server() as http:
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "x"},
            "webhooks": [hook({"url": "https://a.example.com/b"}, matchConditions=[{"name": "n", "expression": "nothing"}])],
        }
        reply = await http.post(f"{GROUP}/validatingwebhookconfigurations", body)
        assert reply.status == 422
        (cause,) = reply.json["details"]["causes"]
        assert cause["field"] == "webhooks[0].matchConditions[0].expression"
        assert "undeclared reference to 'nothing' (in container '')" in cause["message"]
