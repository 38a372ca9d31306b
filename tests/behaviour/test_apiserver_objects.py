"""Objects over HTTP: what every client of the API relies on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from storage_modes import Place


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server() as server:
        yield server


async def test_an_object_lives_through_create_get_update_patch_and_delete(http: Http) -> None:
    made = await http.post(MAPS, config_map("a", k="1"))
    assert made.status == 201
    assert made.json["metadata"]["uid"] and made.json["metadata"]["resourceVersion"]
    got = await http.get(f"{MAPS}/a")
    assert got.json == made.json
    changed = await http.put(f"{MAPS}/a", {**made.json, "data": {"k": "2"}})
    assert (changed.status, changed.json["data"]) == (200, {"k": "2"})
    assert changed.json["metadata"]["uid"] == made.json["metadata"]["uid"]
    patched = await http.patch(f"{MAPS}/a", {"data": {"l": "3"}})
    assert patched.json["data"] == {"k": "2", "l": "3"}
    gone = await http.delete(f"{MAPS}/a")
    assert gone.json["status"] == "Success"
    assert gone.json["details"] == {"name": "a", "kind": "configmaps", "uid": made.json["metadata"]["uid"]}
    assert (await http.get(f"{MAPS}/a")).status == 404


async def test_errors_are_statuses_in_upstreams_words(http: Http) -> None:
    missing = await http.get(f"{MAPS}/nope")
    assert missing.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "nope" not found',
        "reason": "NotFound",
        "details": {"name": "nope", "kind": "configmaps"},
        "code": 404,
    }
    await http.post(MAPS, config_map("a"))
    twice = await http.post(MAPS, config_map("a"))
    assert (twice.status, twice.json["message"]) == (409, 'configmaps "a" already exists')
    assert (await http.get("/apis/none/v1/things")).text == "404 page not found\n"
    assert (await http.get("/api/v1/things")).json["message"] == "the server could not find the requested resource"
    assert (await http.put(MAPS, config_map("a"))).status == 405
    assert (await http.post(MAPS, "x", Content_Type="text/plain")).status == 415
    odd = await http.patch(f"{MAPS}/a", {}, type="x-patch")
    assert (odd.json["message"], odd.json["details"]) == ("415: Unsupported Media Type", {})
    assert (await http.get(MAPS, Accept="image/png")).status == 406
    nameless = await http.patch(f"{MAPS}/a", config_map("a"), type="apply-patch+yaml")
    assert (nameless.status, "fieldManager: Required value" in nameless.json["message"]) == (422, True)
    other = await http.post(MAPS, {"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "a"}})
    assert 'no kind "Nothing" is registered for version "v1"' in other.json["message"]
    big = await http.post(MAPS, config_map("b", k="x" * (3 * 1024 * 1024)))
    assert (big.status, big.json["message"]) == (413, "Request entity too large: limit is 3145728")


async def test_a_stale_update_conflicts(http: Http) -> None:
    made = (await http.post(MAPS, config_map("a"))).json
    await http.patch(f"{MAPS}/a", {"data": {"k": "v"}})
    stale = await http.put(f"{MAPS}/a", {**made, "data": {"k": "w"}})
    assert stale.status == 409
    assert stale.json["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_a_resource_version_replaces_whatever_is_there(http: Http) -> None:
    await http.post(MAPS, config_map("a"))
    changed = await http.put(f"{MAPS}/a", config_map("a", k="w"))
    assert (changed.status, changed.json["data"]) == (200, {"k": "w"})
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a", "namespace": "default"}}
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    await http.post(leases, lease)
    assert (await http.put(f"{leases}/a", lease)).status == 422


async def test_an_update_that_changes_nothing_writes_nothing(http: Http) -> None:
    made = (await http.post(MAPS, config_map("a", k="v"))).json
    same = await http.put(f"{MAPS}/a", made)
    assert same.json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_concurrent_patches_all_arrive(http: Http) -> None:
    await http.post(MAPS, config_map("a"))
    replies = await asyncio.gather(*(http.patch(f"{MAPS}/a", {"data": {f"k{i}": "v"}}) for i in range(20)))
    assert {r.status for r in replies} == {200}
    assert len((await http.get(f"{MAPS}/a")).json["data"]) == 20


async def test_dry_run_stores_nothing(http: Http) -> None:
    assert (await http.post(f"{MAPS}?dryRun=All", config_map("a"))).status == 201
    assert (await http.get(f"{MAPS}/a")).status == 404


async def test_generated_names_start_with_their_base(http: Http) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "web-"}}
    names = {(await http.post(MAPS, body)).json["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3 and all(n.startswith("web-") and len(n) == 9 for n in names)


async def test_pods_of_one_template_are_complete_each() -> None:
    """The second is made from what was remembered of the first; whatever comes between has no part in it."""
    spec = {"containers": [{"name": "c", "image": "nginx", "resources": {"limits": {"cpu": "1"}}}], "terminationGracePeriodSeconds": 0}

    def pod(name: str, **labels: str) -> dict[str, object]:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}

    async with running_server() as http:
        pods = "/api/v1/namespaces/default/pods"
        await http.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        made = [(await http.post(pods, pod(name, app=name))).json for name in ("a", "b", "c")]
        (await http.post(pods, {**pod("d"), "spec": {**spec, "hostname": "h"}})).json["spec"]["hostname"] = "changed"
        made.append((await http.post(pods, pod("d2", app="d2"))).json)

    def comparable(found: dict[str, Any]) -> tuple[object, ...]:
        text = re.sub("kube-api-access-[a-z0-9]{5}", "token", json.dumps(found["spec"]))
        return json.loads(text), found["status"], found["metadata"]["managedFields"][0]["fieldsV1"]

    assert len({json.dumps(comparable(found), sort_keys=True) for found in made}) == 1
    assert [found["metadata"]["labels"] for found in made] == [{"app": name} for name in ("a", "b", "c", "d2")]
    assert made[0]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert made[0]["status"]["qosClass"] == "Burstable"


async def test_a_watch_sees_changes_in_order(http: Http) -> None:
    await http.post(MAPS, config_map("a"))
    async with http.watch(f"{MAPS}?watch=1&labelSelector=on=yes") as events:
        await http.patch(f"{MAPS}/a", {"metadata": {"labels": {"on": "yes"}}})
        await http.patch(f"{MAPS}/a", {"data": {"k": "v"}})
        await http.patch(f"{MAPS}/a", {"metadata": {"labels": {"on": "no"}}})
        seen = [(await anext(events)) for _ in range(3)]
    assert [e["type"] for e in seen] == ["ADDED", "MODIFIED", "DELETED"]
    assert seen[2]["object"]["metadata"]["labels"] == {"on": "yes"}


async def test_initial_events_end_with_their_bookmark(http: Http) -> None:
    await http.post(MAPS, config_map("a"))
    for how in ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "resourceVersion=0", ""):
        async with http.watch(f"{MAPS}?watch=1&allowWatchBookmarks=true&{how}") as events:
            first, second = await anext(events), await anext(events)
        assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
        assert second["type"] == "BOOKMARK"
        assert second["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    async with http.watch(f"{MAPS}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan") as events:
        await http.post(MAPS, config_map("b"))
        assert (await anext(events))["object"]["metadata"]["name"] == "b"
    refused = await http.get(f"{MAPS}?watch=1&sendInitialEvents=true")
    assert "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" in refused.json["message"]


async def test_paged_lists_are_consistent(http: Http) -> None:
    for name in "abcde":
        await http.post(MAPS, config_map(name))
    assert "continue" not in (await http.get(f"{MAPS}?limit=-1")).json["metadata"], "no limit at all"
    first = (await http.get(f"{MAPS}?limit=2")).json
    assert [i["metadata"]["name"] for i in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await http.delete(f"{MAPS}/d")
    rest = (await http.get(f"{MAPS}?limit=9&continue={first['metadata']['continue']}")).json
    assert [i["metadata"]["name"] for i in rest["items"]] == ["c", "d", "e"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_finalizers_hold_a_deleted_object(http: Http) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await http.post(MAPS, body)
    waiting = await http.delete(f"{MAPS}/a")
    assert waiting.json["metadata"]["deletionTimestamp"]
    released = await http.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})
    assert released.status == 200
    assert (await http.get(f"{MAPS}/a")).status == 404


async def test_a_bound_pod_gets_its_grace_period(http: Http) -> None:
    pods = "/api/v1/namespaces/default/pods"
    spec = {"nodeName": "n", "terminationGracePeriodSeconds": 7, "containers": [{"name": "c", "image": "i"}]}
    await http.post(pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
    going = (await http.delete(f"{pods}/p")).json
    assert going["metadata"]["deletionGracePeriodSeconds"] == 7
    assert (await http.get(f"{pods}/p")).status == 200
    await http.delete(f"{pods}/p?gracePeriodSeconds=0")
    assert (await http.get(f"{pods}/p")).status == 404


async def test_a_deleted_namespace_waits_for_its_finalizer(http: Http) -> None:
    spaces = "/api/v1/namespaces"
    await http.post(spaces, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    going = (await http.delete(f"{spaces}/x")).json
    assert going["status"]["phase"] == "Terminating"
    assert (await http.get(f"{spaces}/x")).status == 200
    going["spec"]["finalizers"] = []
    await http.put(f"{spaces}/x/finalize", going)
    assert (await http.get(f"{spaces}/x")).status == 404


async def test_delete_collection_takes_what_the_selector_selects(http: Http) -> None:
    for name in "ab":
        body = config_map(name)
        body["metadata"]["labels"] = {"n": name}
        await http.post(MAPS, body)
    await http.delete(f"{MAPS}?labelSelector=n=a")
    assert [i["metadata"]["name"] for i in (await http.get(MAPS)).json["items"]] == ["b"]


async def test_a_browser_watches_over_a_websocket(http: Http) -> None:
    await http.post(MAPS, config_map("a"))
    async with http.session.ws_connect(f"{http.server.url}{MAPS}?watch=1&resourceVersion=0") as socket:
        first = await socket.receive_json()
        assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
        await http.patch(f"{MAPS}/a", {"data": {"k": "v" * 70_000}})
        assert (await socket.receive_json())["type"] == "MODIFIED"


async def test_a_watch_that_starts_too_early_ends_with_an_error_event(place: Place) -> None:
    async with running_server(place) as http:
        await http.post(MAPS, config_map("a"))
    async with place.opened() as store:
        await store.compact(await store.revision())
    async with running_server(place) as http:
        async with http.watch(f"{MAPS}?watch=1&resourceVersion=1") as events:
            last = await anext(events)
    assert (last["type"], last["object"]["code"], last["object"]["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.one_store
async def test_watches_end_on_time_after_a_last_bookmark(http: Http) -> None:
    async with http.watch(f"{MAPS}?watch=1&timeoutSeconds=1") as events:
        assert [e async for e in events] == []


@pytest.mark.one_store
async def test_stopping_the_server_ends_watches_at_once() -> None:
    async with running_server(shutdown_grace=300) as http:
        async with http.watch(f"{MAPS}?watch=1") as events:
            async with asyncio.timeout(30):
                await http.server.stop()
                assert [e async for e in events] == []


@pytest.mark.one_store
async def test_tables_and_metadata_are_answered_for_the_asking(http: Http) -> None:
    await http.post(MAPS, config_map("a", k="v"))
    table = (await http.get(MAPS, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    listed = (await http.get(MAPS, Accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert "data" not in listed["items"][0]
    yaml = await http.get(f"{MAPS}/a", Accept="application/yaml")
    assert yaml.headers["Content-Type"] == "application/yaml"
    assert "kind: ConfigMap\n" in yaml.text


@pytest.mark.one_store
async def test_yaml_bodies_are_read(http: Http) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {time: 12:30:45, day: 2026-01-01, k: v}\n---\nanother: document\n"
    made = await http.post(MAPS, text, Content_Type="application/yaml")
    assert (made.status, made.json["data"]) == (201, {"time": "12:30:45", "day": "2026-01-01", "k": "v"})
    truth = await http.post(MAPS, text.replace("k: v", "k: y"), Content_Type="application/yaml")
    assert "cannot unmarshal bool into Go struct field ConfigMap.data of type string" in truth.json["message"]


@pytest.mark.one_store
async def test_unknown_fields_are_refused_warned_of_or_dropped(http: Http) -> None:
    body = {**config_map("a"), "surprise": 1}
    strict = await http.post(f"{MAPS}?fieldValidation=Strict", body)
    assert (strict.status, 'unknown field "surprise"' in strict.json["message"]) == (400, True)
    warned = await http.post(MAPS, body)
    assert (warned.status, warned.headers["Warning"]) == (201, '299 - "unknown field \\"surprise\\""')
    assert "surprise" not in warned.json
    body["metadata"]["name"] = "b"
    ignored = await http.post(f"{MAPS}?fieldValidation=Ignore", body)
    assert (ignored.status, "Warning" in ignored.headers) == (201, False)


@pytest.mark.one_store
async def test_large_answers_are_compressed_when_asked(http: Http) -> None:
    for name in "abc":
        await http.post(MAPS, config_map(name, k="x" * 60_000))
    reply = await http.get(MAPS, Accept_Encoding="gzip")
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.json["items"]) == 3
    assert "Content-Encoding" not in (await http.get(MAPS, Accept_Encoding="identity")).headers


async def test_scale_speaks_for_whatever_is_scaled(http: Http) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    await http.post(path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
    scale = (await http.get(f"{path}/d/scale")).json
    assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {"replicas": 2}, {"replicas": 0, "selector": "a=b"})
    scale["spec"]["replicas"] = 5
    assert (await http.put(f"{path}/d/scale", scale)).json["spec"] == {"replicas": 5}
    assert (await http.put(f"{path}/d/scale", scale)).status == 409
    await http.patch(f"{path}/d/scale", {"spec": {"replicas": 0}})
    assert (await http.get(f"{path}/d")).json["spec"]["replicas"] == 0


async def test_binding_puts_a_pod_on_a_node_once(http: Http) -> None:
    pods = "/api/v1/namespaces/default/pods"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await http.post(pods, pod)
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert (await http.post(f"{pods}/p/binding", binding)).status == 201
    bound = (await http.get(f"{pods}/p")).json
    assert bound["spec"]["nodeName"] == "n"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    again = await http.post(f"{pods}/p/binding", binding)
    assert (again.status, "already assigned to node" in again.json["message"]) == (409, True)


async def test_one_object_in_two_versions(http: Http) -> None:
    spec = {
        "maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        "targetCPUUtilizationPercentage": 70,
    }
    body = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec}
    old = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    new = old.replace("v1/", "v2/", 1)
    assert (await http.post(old, body)).json["apiVersion"] == "autoscaling/v1"
    assert (await http.get(f"{new}/h")).json["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    assert (await http.get(f"{old}/h")).json["spec"]["targetCPUUtilizationPercentage"] == 70
    assert (await http.get(old)).json["items"][0]["spec"]["targetCPUUtilizationPercentage"] == 70


@pytest.mark.one_store
async def test_health_version_and_metrics(http: Http) -> None:
    assert (await http.get("/readyz")).text == "ok"
    assert (await http.get("/livez?verbose")).text.endswith("livez check passed\n")
    assert (await http.get("/healthz/nope")).status == 404
    assert (await http.get("/version")).json["gitVersion"].startswith("v1.36.")
    await http.get(MAPS)
    assert 'apiserver_request_total{code="200"' in (await http.get("/metrics")).text
    head = await http.request("HEAD", MAPS)
    assert (head.status, head.text) == (405, "")  # upstream's router knows no HEAD of a resource


@pytest.mark.one_store
async def test_keys_that_stand_twice_are_refused_in_json_and_yaml(http: Http) -> None:
    twice = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
    reply = await http.post(f"{MAPS}?fieldValidation=Strict", twice, Content_Type="application/json")
    assert 'strict decoding error: duplicate field "data.k"' in reply.json["message"]
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: '1'\n  k: '2'\n"
    reply = await http.post(f"{MAPS}?fieldValidation=Strict", text, Content_Type="application/yaml")
    assert 'line 6: key "k" already set in map' in reply.json["message"]
    applied = await http.patch(f"{MAPS}/a?fieldManager=m&fieldValidation=Strict", text, type="apply-patch+yaml")
    assert (applied.status, 'line 6: key "k" already set in map' in applied.json["message"]) == (400, True)
    warned = await http.patch(f"{MAPS}/a?fieldManager=m", text, type="apply-patch+yaml")
    assert (warned.status, "already set in map" in warned.headers["Warning"]) == (201, True)


@pytest.mark.one_store
async def test_a_review_is_no_table(http: Http) -> None:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}},
    }
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    reply = await http.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, Accept=table)
    assert (reply.status, reply.json["reason"]) == (406, "NotAcceptable")


async def test_a_continue_token_expires_with_its_revision_and_offers_another() -> None:
    async with running_server(compaction_interval=0.05) as http:
        for name in "abc":
            await http.post(MAPS, config_map(name))
        token = (await http.get(f"{MAPS}?limit=1")).json["metadata"]["continue"]
        for i in range(100):
            await http.patch(f"{MAPS}/a", {"data": {"k": str(i)}})
            late = await http.get(f"{MAPS}?limit=5&continue={token}")
            if late.status != 200:
                break
            await asyncio.sleep(0.02)
        assert (late.status, late.json["reason"]) == (410, "Expired")
        rest = await http.get(f"{MAPS}?limit=5&continue={late.json['metadata']['continue']}")
        assert [i["metadata"]["name"] for i in rest.json["items"]] == ["b", "c"]


@pytest.mark.one_store
async def test_a_watcher_that_reads_slowly_loses_nothing_and_holds_nobody_up(http: Http) -> None:
    await http.post(MAPS, config_map("a"))
    reader, writer = await asyncio.open_connection("127.0.0.1", http.server.port, limit=4096)
    writer.write(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for i in range(120):
        await http.put(f"{MAPS}/a", config_map("a", n=str(i), pad="x" * 200_000))
    seen, data = 0, b""
    async with asyncio.timeout(20):
        while seen < 120:
            chunk = await reader.read(1 << 20)
            assert chunk
            data = data[-32:] + chunk
            seen += data.count(b'"type":"MODIFIED"') - data[:32].count(b'"type":"MODIFIED"')
    writer.close()


async def test_a_resource_version_that_is_no_number_says_nothing_of_a_new_object(http: Http) -> None:
    versions = ("x", "5", "0")
    made = [await http.post(MAPS, {**config_map(f"rv-{v}"), "metadata": {"name": f"rv-{v}", "resourceVersion": v}}) for v in versions]
    assert [reply.status for reply in made] == [201, 400, 201]
    assert made[1].json["message"] == "resourceVersion should not be set on objects to be created"


async def test_the_core_group_may_be_named_by_its_empty_name(http: Http) -> None:
    made = await http.post(MAPS, {**config_map("core"), "apiVersion": "/v1"})
    assert (made.status, made.json["apiVersion"]) == (201, "v1")


async def test_a_patch_that_repeats_an_owner_is_warned_of_once(http: Http) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
    await http.post(MAPS, {**config_map("owned"), "metadata": {"name": "owned", "ownerReferences": [owner]}})
    reply = await http.patch(f"{MAPS}/owned", [{"op": "add", "path": "/metadata/ownerReferences/-", "value": owner}], "json-patch+json")
    assert reply.json["metadata"]["ownerReferences"] == [owner]
    (warning,) = reply.headers.getall("Warning")
    assert "duplicate entries after mutating admission happens" in warning
