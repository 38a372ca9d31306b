"""OpenAPI documents, field validation and server-side apply, as clients of the API server see them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from behaviour.secured_server import secured_server
from programs import needs_kubectl

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server() as server:
        yield server


def deployment(**spec):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


@pytest.mark.one_store
async def test_the_index_leads_to_documents_that_may_be_kept(http: Http) -> None:
    index = (await http.get("/openapi/v3")).json["paths"]
    url = index["apis/apps/v1"]["serverRelativeURL"]
    document = await http.get(url)
    assert "/apis/apps/v1/namespaces/{namespace}/deployments" in document.json["paths"]
    assert "immutable" in document.headers["Cache-Control"]
    unchanged = await http.get(url, If_None_Match=document.headers["Etag"])
    assert unchanged.status == 304
    assert (await http.get("/openapi/v3/apis/nowhere/v1")).status == 404


@pytest.mark.one_store
async def test_v2_is_one_document(http: Http) -> None:
    document = (await http.get("/openapi/v2")).json
    assert document["swagger"] == "2.0" and "io.k8s.api.core.v1.Pod" in document["definitions"]


@pytest.mark.one_store
async def test_unknown_fields_are_refused_warned_of_or_dropped(http: Http) -> None:
    body = config_map("a", k="1") | {"bogus": 1}
    strict = await http.post(f"{MAPS}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert (
        strict.json["message"] == 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "bogus"'
    )
    warned = await http.post(MAPS, body)
    assert warned.status == 201 and 'unknown field \\"bogus\\"' in warned.headers["Warning"] and "bogus" not in warned.json
    ignored = await http.post(f"{MAPS}?fieldValidation=Ignore", body | {"metadata": {"name": "b"}})
    assert ignored.status == 201 and "Warning" not in ignored.headers


async def test_a_patch_is_told_of_its_own_duplicates_and_of_what_it_made_unknown(http: Http) -> None:
    await http.post(DEPLOYMENTS, deployment())
    body = '{"spec":{"paused":true,"paused":false,"bogus":1}}'
    for kind in ("merge-patch+json", "strategic-merge-patch+json"):
        strict = await http.patch(f"{DEPLOYMENTS}/web?fieldValidation=Strict", body, type=kind)
        assert strict.status == 422
        assert strict.json["message"].endswith('strict decoding error: duplicate field "spec.paused", unknown field "spec.bogus"')
    warned = await http.patch(f"{DEPLOYMENTS}/web", body)
    assert warned.status == 200 and len(warned.headers.getall("Warning")) == 2


@pytest.mark.one_store
async def test_yaml_is_read_as_strictly(http: Http) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  name: b\nbogus: 1\n"
    strict = await http.post(f"{MAPS}?fieldValidation=Strict", body, Content_Type="application/yaml")
    assert strict.json["message"].endswith(
        'strict decoding error: yaml: unmarshal errors:\n  line 5: key "name" already set in map, unknown field "bogus"'
    )
    warned = await http.post(MAPS, body, Content_Type="application/yaml")
    assert [w.split('"', 1)[1] for w in warned.headers.getall("Warning")] == [
        'line 5: key \\"name\\" already set in map"',
        'unknown field \\"bogus\\""',
    ]


async def test_appliers_share_an_object_and_conflict_over_a_field(http: Http) -> None:
    async def apply(manager: str, body: dict, force: str = "") -> object:
        return await http.patch(f"{DEPLOYMENTS}/web?fieldManager={manager}{force}", json.dumps(body), type="apply-patch+yaml")

    made = await apply("one", deployment(replicas=1))
    assert made.status == 201
    conflict = await apply("two", deployment(replicas=2))
    assert conflict.status == 409
    assert conflict.json["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"}
    ]
    forced = await apply("two", deployment(replicas=2), "&force=true")
    assert forced.json["spec"]["replicas"] == 2
    dropped = await apply("two", deployment())
    assert dropped.json["spec"]["replicas"] == 1, "the default comes back when nobody owns the field"
    again = await apply("two", deployment())
    assert again.json["metadata"]["resourceVersion"] == dropped.json["metadata"]["resourceVersion"]


async def test_managed_fields_follow_the_user_agent_and_the_subresource(http: Http) -> None:
    await http.post(DEPLOYMENTS, deployment(), User_Agent="robot/v1.0 (linux)")
    status = {"status": {"replicas": 1, "observedGeneration": 1}}
    patched = await http.patch(f"{DEPLOYMENTS}/web/status?fieldManager=ctrl", status)
    entries = patched.json["metadata"]["managedFields"]
    assert {(e["manager"], e.get("subresource")) for e in entries} == {("robot", None), ("ctrl", "status")}
    owned = next(e["fieldsV1"] for e in entries if e["manager"] == "ctrl")
    assert owned == {"f:status": {"f:replicas": {}, "f:observedGeneration": {}}}


@needs_kubectl
async def test_kubectl_explains_diffs_and_applies(tmp_path: Path) -> None:
    async with secured_server(tmp_path) as server:
        admin = server.kubeconfig("admin", server.certificates.admin)
        for output in ("plaintext", "plaintext-openapiv2"):
            status, text = await server.kubectl(admin, "explain", "pod.spec.containers", f"--output={output}")
            assert status == 0 and "List of containers belonging to the pod" in text
        manifest = json.dumps(deployment(replicas=1))
        assert await server.kubectl(admin, "apply", "-f", "-", stdin=manifest) == (0, "deployment.apps/web created\n")
        changed = json.dumps(deployment(replicas=2))
        status, text = await server.kubectl(admin, "diff", "-f", "-", stdin=changed)
        assert status == 1 and "-  replicas: 1" in text and "+  replicas: 2" in text
        status, text = await server.kubectl(admin, "apply", "-f", "-", stdin=manifest.replace('"replicas"', '"replica"'))
        assert status == 1 and 'unknown field "spec.replica"' in text
