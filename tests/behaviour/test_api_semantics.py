"""How the API behaves on the wire whatever the kind: formats, lists, watches, patches and ownership, by rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.api.protobuf import CONTENT_TYPE, decode, encode
from kubetree.api.protobuf.wire import fields
from storage_modes import Mode

Object = dict[str, Any]
APPLY = "apply-patch+yaml"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
pytestmark = pytest.mark.asyncio(loop_scope="module")
PARTIAL = ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(storage: Mode) -> AsyncIterator[Http]:
    async with running_server() as http:
        yield http


@pytest_asyncio.fixture(loop_scope="module")
async def http(server: Http) -> Http:
    """The shared server without config maps and deployments."""
    await server.delete(MAPS)
    await server.delete(DEPLOYMENTS)
    return server


async def raw(http: Http, path: str, accept: str, body: bytes | None = None) -> tuple[int, str, bytes]:
    headers = {"Accept": accept} | ({"Content-Type": CONTENT_TYPE} if body else {})
    async with http.session.request("POST" if body else "GET", http.url + path, headers=headers, data=body) as response:
        return response.status, response.headers["Content-Type"], await response.read()


# -- protobuf


async def test_protobuf_is_spoken_both_ways_and_preferred_when_it_comes_first(http: Http) -> None:
    status, kind, body = await raw(http, MAPS, f"{CONTENT_TYPE},application/json", encode(config_map("a", k="v")))
    assert (status, kind, decode(body)["data"]) == (201, CONTENT_TYPE, {"k": "v"})
    plain = (await http.get(f"{MAPS}/a")).json
    for path in (f"{MAPS}/a", MAPS):
        status, kind, body = await raw(http, path, CONTENT_TYPE)
        found = decode(body)
        assert (status, kind) == (200, CONTENT_TYPE)
        assert (found["items"][0] if "items" in found else found)["metadata"] == plain["metadata"]
    status, kind, body = await raw(http, f"{MAPS}/b", f"{CONTENT_TYPE},application/json")
    assert (status, kind, decode(body)["reason"]) == (404, CONTENT_TYPE, "NotFound")
    _, kind, _ = await raw(http, f"{MAPS}/a", f"application/json,{CONTENT_TYPE}")
    assert kind == "application/json"


@pytest.mark.one_store
async def test_metadata_alone_comes_in_protobuf_and_tables_do_not(http: Http) -> None:
    await http.post(MAPS, config_map("a", k="v"))
    _, _, body = await raw(http, f"{MAPS}/a", CONTENT_TYPE + PARTIAL)
    assert decode(body).keys() == {"kind", "apiVersion", "metadata"} and decode(body)["kind"] == "PartialObjectMetadata"
    _, _, body = await raw(http, MAPS, f"{CONTENT_TYPE};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
    assert [item["metadata"]["name"] for item in decode(body)["items"]] == ["a"]
    status, kind, _ = await raw(http, MAPS, f"{CONTENT_TYPE};as=Table;v=v1;g=meta.k8s.io,application/json")
    assert (status, kind) == (200, "application/json")


def events_of(data: bytes) -> list[tuple[str, Object]]:
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        event = dict(fields(data[at + 4 : at + 4 + size]))
        found.append((bytes(event[2]) and event[1].decode(), decode(dict(fields(event[2]))[1])))  # type: ignore[union-attr, arg-type]
        at += 4 + size
    return found


@pytest.mark.parametrize("form", ["", PARTIAL])
@pytest.mark.one_store
async def test_a_watch_in_protobuf_is_framed_by_sizes(http: Http, form: str) -> None:
    await http.post(MAPS, config_map("a"))
    start = (await http.get(MAPS)).json["metadata"]["resourceVersion"]
    await http.patch(f"{MAPS}/a", {"data": {"k": "v"}})
    await http.delete(f"{MAPS}/a")
    query = f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={start}"
    _, kind, body = await raw(http, query, f"{CONTENT_TYPE};stream=watch{form}")
    assert kind == f"{CONTENT_TYPE};stream=watch"
    told = events_of(body)
    assert [type_ for type_, _ in told] == ["MODIFIED", "DELETED"]
    assert {obj["kind"] for _, obj in told} == {"PartialObjectMetadata" if form else "ConfigMap"}
    initial = f"{MAPS}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    _, _, body = await raw(http, initial, f"{CONTENT_TYPE}{form}")
    ((type_, bookmark),) = events_of(body)
    assert type_ == "BOOKMARK" and bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


# -- formats and routes


@pytest.mark.parametrize(
    ("accept", "status", "words"),
    [
        ("application/cbor", 406, "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "),
        ("application/cbor,application/json", 200, ""),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", 200, ""),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 406, "the requested object is not a list (*core.ConfigMap)"),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", 200, ""),
        ("application/json;sv=v2", 406, "only the following media types are accepted: "),
    ],
)
@pytest.mark.one_store
async def test_what_can_be_accepted(http: Http, accept: str, status: int, words: str) -> None:
    await http.post(MAPS, config_map("a"))
    reply = await http.get(f"{MAPS}/a", Accept=accept)
    assert reply.status == status and (not words or words in reply.json["message"])


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("HEAD", MAPS, 405, ""),
        ("OPTIONS", MAPS, 405, "the server does not allow this method on the requested resource"),
        ("DELETE", "/api/v1/configmaps", 405, "the server does not allow this method"),
        ("POST", "/api/v1/pods", 405, "the server does not allow this method"),
        ("GET", f"{MAPS}/a%2525", 400, "Name parameter invalid: \"a%25\": may not contain '%'"),
        ("GET", f"{MAPS}/a/b/c", 404, "the server could not find the requested resource"),
        ("GET", "/api/v2/configmaps", 404, "the server could not find the requested resource"),
        ("GET", "/api/v1/watch/namespaces/default/configmaps/a/b", 404, "the server could not find the requested resource"),
        ("GET", f"{MAPS}?timeout=5", 400, 'time: missing unit in duration "5"'),
        ("PATCH", f"{MAPS}/a", 415, "415: Unsupported Media Type"),
        ("NOSUCHVERB", MAPS, 405, "the server does not allow this method on the requested resource"),
        ("GET", "/api/v1/namespaces/default/bindings", 405, "the server does not allow this method on the requested resource"),
        ("PUT", "/api/v1/namespaces/default/bindings/a", 404, "the server could not find the requested resource"),
        ("POST", "/api/v1/namespaces/default/bindings/a", 404, "the server could not find the requested resource"),
        ("GET", f"{MAPS}?continue=abc&resourceVersion=5", 400, "invalid continue token: continue key is not valid"),
    ],
)
@pytest.mark.one_store
async def test_what_is_not_routed(http: Http, method: str, path: str, status: int, words: str) -> None:
    reply = await http.request(method, path.replace("%2525", "%2525"))
    assert (reply.status, words in reply.text.replace('\\"', '"')) == (status, True), reply.text


async def test_a_table_that_is_asked_for_wrongly_is_refused_before_the_watch(http: Http) -> None:
    reply = await http.get(f"{MAPS}?watch=1&includeObject=Foo", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert (reply.status, "includeObject: Invalid value" in reply.json["message"]) == (400, True)


# -- lists


async def test_a_list_from_the_cache_takes_no_limit_and_pages_say_what_is_left(http: Http) -> None:
    for name in "abcd":
        await http.post(MAPS, config_map(name))
    assert len((await http.get(f"{MAPS}?limit=1&resourceVersion=0")).json["items"]) == 4
    page = (await http.get(f"{MAPS}?limit=3")).json
    assert page["metadata"]["remainingItemCount"] == 1
    rest = (await http.get(f"{MAPS}?limit=3&continue={page['metadata']['continue']}")).json
    assert [o["metadata"]["name"] for o in rest["items"]] == ["d"] and "continue" not in rest["metadata"]
    selected = (await http.get(f"{MAPS}?limit=3&labelSelector=!x")).json
    assert "remainingItemCount" not in selected["metadata"] and selected["metadata"]["continue"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("continue=abc", 400, "invalid continue token: continue key is not valid"),
        ("resourceVersion=abc", 400, 'invalid resource version: resourceVersion: Invalid value: "abc"'),
        ("resourceVersion=99999999&resourceVersionMatch=Exact", 504, "Too large resource version: 99999999"),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("limit=99999999999999999999", 400, "value out of range"),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("watch=1&sendInitialEvents=true", 422, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ("watch=1&continue=abc", 422, "resourceVersionMatch is forbidden when continue is provided"),
        ("fieldSelector=metadata.name=a,metadata.name=b", 200, ""),
    ],
)
async def test_what_a_list_refuses(http: Http, query: str, status: int, words: str) -> None:
    reply = await http.get(f"{MAPS}?{query}")
    assert (reply.status, words in reply.text.replace('\\"', '"')) == (status, True), reply.text


# -- patches


@pytest.mark.parametrize(
    ("type_", "patch", "status", "words"),
    [
        ("json-patch+json", "null", 200, ""),
        ("json-patch+json", '[{"op":"remove","path":"/metadata/labels"}]', 422, "the server rejected our request due to an error"),
        ("json-patch+json", "[1]", 400, "cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        ("json-patch+json", '[{"op":"replace","path":"/kind","value":"Secret"}]', 422, "converting (v1.Secret) to (core.ConfigMap)"),
        ("merge-patch+json", "null", 400, "Invalid JSON Patch"),
        ("merge-patch+json", "{", 400, "error decoding patch: unexpected end of JSON input"),
        ("merge-patch+json", '{"metadata":{"uid":"x"}}', 422, 'metadata.uid: Invalid value: "x": field is immutable'),
        ("merge-patch+json", '{"metadata":{"deletionTimestamp":"2020-01-01T00:00:00Z"}}', 422, "metadata.deletionTimestamp: Invalid value"),
        ("merge-patch+json", '{"metadata":{"name":"b"}}', 400, "the name of the object (b) does not match the name on the URL (a)"),
        ("strategic-merge-patch+json", "null", 200, ""),
        ("strategic-merge-patch+json", '{"metadata":{"$patch":5}}', 400, "unknown patch type: %!s(int64=5) in map: map[$patch:5]"),
        ("strategic-merge-patch+json", '{"kind":"Secret"}', 200, ""),
    ],
)
async def test_what_a_patch_may_be(http: Http, type_: str, patch: str, status: int, words: str) -> None:
    await http.post(MAPS, config_map("a"))
    reply = await http.patch(f"{MAPS}/a", patch, type=type_)
    assert (reply.status, words in json.loads(reply.text).get("message", "")) == (status, True), reply.text
    assert (await http.get(f"{MAPS}/a")).status == 200


# -- ownership


def deployment(**spec: Any) -> Object:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def managers(obj: Object) -> list[tuple[str, str, str]]:
    return [(m["manager"], m["operation"], m.get("subresource", "")) for m in obj["metadata"].get("managedFields", ())]


async def test_a_scale_is_owned_and_applied_like_any_object(http: Http) -> None:
    await http.post(f"{DEPLOYMENTS}?fieldManager=maker", deployment(replicas=1))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 2}}
    path = f"{DEPLOYMENTS}/d/scale?fieldManager"
    assert (await http.patch(f"{path}=hpa", {"spec": {"replicas": 3}})).status == 200
    refused = await http.patch(f"{path}=me", scale, type=APPLY)
    words = 'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using autoscaling/v1: .spec.replicas'
    assert (refused.status, refused.json["message"]) == (409, words)
    assert (await http.patch(f"{path}=me&force=true", scale, type=APPLY)).json["spec"] == {"replicas": 2}
    assert managers((await http.get(f"{DEPLOYMENTS}/d")).json) == [("me", "Apply", "scale"), ("maker", "Update", "")]


async def test_a_replacement_takes_nothing_from_those_who_own_the_status(http: Http) -> None:
    await http.post(f"{DEPLOYMENTS}?fieldManager=maker", deployment())
    await http.patch(f"{DEPLOYMENTS}/d/status?fieldManager=watcher", {"status": {"replicas": 1}})
    replaced = await http.put(f"{DEPLOYMENTS}/d?fieldManager=maker", deployment(replicas=5))
    assert ("watcher", "Update", "status") in managers(replaced.json) and replaced.json["status"]["replicas"] == 1


async def test_an_empty_list_of_managers_gives_up_all_ownership(http: Http) -> None:
    await http.post(MAPS, config_map("a", k="v"))
    assert managers((await http.patch(f"{MAPS}/a", {"metadata": {"managedFields": []}})).json) == []
    assert managers((await http.patch(f"{MAPS}/a", {"data": {"k": "w"}})).json) == [], "and nothing is tracked from then on"
    applied = await http.patch(f"{MAPS}/a?fieldManager=m&force=true", config_map("a", k="x"), type=APPLY)
    assert managers(applied.json) == [("m", "Apply", ""), ("before-first-apply", "Update", "")]


async def test_values_that_go_has_no_words_for_are_neither_kept_nor_owned(http: Http) -> None:
    made = await http.post(f"{DEPLOYMENTS}?fieldManager=m", deployment(paused=False, minReadySeconds=0))
    assert not {"paused", "minReadySeconds"} & made.json["spec"].keys()
    (entry,) = made.json["metadata"]["managedFields"]
    assert not {"f:paused", "f:minReadySeconds"} & entry["fieldsV1"]["f:spec"].keys()
