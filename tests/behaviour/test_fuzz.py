"""Rubbish of every sort to every verb of every kind: each gets an answer with words in it, none a 5xx, and the server lives on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from behaviour.apiserver_harness import Http, Reply, running_server
from kubetree.api.kind_table import EVERY_ROW
from kubetree.api.kinds import Kind
from random_objects import RandomObjects
from storage_modes import EVERYTHING, Mode

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.one_store]
Object = dict[str, Any]
SEEDS = range(2)
RUBBISH = (None, True, 0, -1, 1.5, 1e300, "", "x", "\x00", "é" * 50, [], {}, [None], {"": None}, {"a": {"a": {"a": []}}}, [[[]]])
BODIES = (
    *(
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b'{"metadata":[]}',
        b'{"metadata":{"name":7}}',
        b"k8s\x00\x01\x02",
    ),
    *(b'{"metadata":{"labels":[1]}}', b'{"spec":"x"}', b'{"kind":"List","apiVersion":"v1","items":[]}', b"[" * 500),
)
PATCHES = (
    (
        "application/json-patch+json",
        ([], [{}], [{"op": "add"}], [{"op": "add", "path": "x"}], [{"op": "remove", "path": ""}], {}, [1], None),
    ),
    ("application/json-patch+json", ([{"op": "replace", "path": "", "value": 5}], [{"op": "move", "from": "/metadata", "path": "/spec"}])),
    (
        "application/merge-patch+json",
        ({}, {"metadata": None}, {"spec": None}, {"spec": []}, {"metadata": {"labels": {"a": 1}}}, [], 3, None),
    ),
    (
        "application/strategic-merge-patch+json",
        ({"$patch": "delete"}, {"spec": {"$patch": "x"}}, {"metadata": {"$retainKeys": 1}}, [], "x"),
    ),
    (
        "application/strategic-merge-patch+json",
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}}, {"spec": {"$setElementOrder/x": 1}}),
    ),
    ("application/apply-patch+yaml", ({}, [], "x", {"metadata": {"managedFields": [{}]}})),
    ("application/nonsense", ({},)),
)
QUERIES = (
    *("limit=-1", "limit=x", "continue=x", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "resourceVersion=-1", "resourceVersion=x"),
    *("resourceVersionMatch=x", "labelSelector=,,", "labelSelector=a%3D%3D%3Db", "fieldSelector=a", "fieldSelector=metadata.name%3D%00"),
    *("pretty=x", "timeout=-1s", "timeoutSeconds=x", "sendInitialEvents=x", "limit=1&continue=", "%zz=1", "fieldSelector=a%3Db"),
    *("dryRun=x", "fieldValidation=x", "fieldManager=" + "x" * 200, "propagationPolicy=x", "gracePeriodSeconds=-7", "force=maybe"),
)
ACCEPTS = (
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
    "text/html",
    ";;;",
    "*/*;q=x",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(storage: Mode) -> AsyncIterator[Http]:
    async with running_server(**EVERYTHING) as running:
        yield running


def sane(reply: Reply, *what: Any) -> None:
    assert reply.status < 500 or reply.status == 504, (what, reply.status, reply.text[:500])
    assert "Traceback" not in reply.text, (what, reply.text)
    if reply.status >= 400 and reply.headers.get("Content-Type") == "application/json":
        status = reply.json
        assert (status["kind"], status["code"]) == ("Status", reply.status) and status["message"], (what, status)


def spoiled(obj: Any, random: Random) -> Any:
    """The object with one of its values replaced by rubbish, or taken out."""
    if not isinstance(obj, dict | list) or not obj or random.random() < 0.15:
        return random.choice(RUBBISH)
    copy: Any = obj.copy()
    key = random.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    if random.random() < 0.1:
        del copy[key]
    else:
        copy[key] = spoiled(copy[key], random)
    return copy


STORED = [row for row in EVERY_ROW if row.stored]


@pytest.mark.parametrize("row", STORED, ids=lambda row: f"{row.kind}.{row.api_version}")
async def test_objects_that_make_no_sense(http: Http, row: Kind) -> None:
    where, random = row.path("default"), Random(row.kind)
    here = f"{where}/x"
    for seed in SEEDS:
        obj = RandomObjects(seed).of(row)
        sane(await http.post(f"{where}?dryRun=All&fieldValidation=Strict", obj), "create", obj)
        for _ in range(4):
            bad = spoiled(obj, random)
            sane(await http.post(where, json.dumps(bad), Content_Type="application/json"), "create", bad)
            sane(await http.put(here, json.dumps(bad), Content_Type="application/json"), "update", bad)
            sane(await http.patch(f"{here}?fieldManager=fuzz&force=true", json.dumps(bad), "apply-patch+yaml"), "apply", bad)
            for sub in row.subresources:
                if "update" in sub.verbs and sub.name != "proxy":
                    sane(await http.put(f"{here}/{sub.name}", json.dumps(bad), Content_Type="application/json"), sub.name, bad)
        sane(await http.delete(here, random.choice(BODIES), Content_Type="application/json"), "delete")


@pytest.mark.parametrize("row", STORED, ids=lambda row: f"{row.kind}.{row.api_version}")
async def test_bodies_patches_and_parameters_that_make_no_sense(http: Http, row: Kind) -> None:
    where = row.path("default")
    here, obj = f"{where}/y", RandomObjects(1).of(row)
    obj["metadata"]["name"] = "y"
    await http.post(where, obj)
    for body in BODIES:
        for kind in ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf"):
            sane(await http.request("POST", where, body, Content_Type=kind), kind, body)
        sane(await http.request("PUT", here, body, Content_Type="application/json"), "put", body)
    for kind, patches in PATCHES:
        for patch in patches:
            sane(await http.request("PATCH", f"{here}?fieldManager=f", json.dumps(patch), Content_Type=kind), kind, patch)
    for query in QUERIES:
        sane(await http.get(f"{where}?{query}"), query)
        sane(await http.get(f"{where}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&{query}&resourceVersion=-5"), query)
        sane(await http.request("POST", f"{where}?{query}", json.dumps(obj), Content_Type="application/json"), query)
        sane(await http.request("DELETE", f"{here}?dryRun=All&{query}"), query)
    for accept in ACCEPTS:
        sane(await http.get(where, Accept=accept), accept)
        sane(await http.get(here, Accept=accept), accept)
    sane(await http.request("DELETE", f"{where}?limit=1"), "deletecollection")


PATHS = (
    *("//", "/api//v1/pods", "/api/v1/namespaces//pods", "/api/v1/namespaces/%00/pods", "/api/v1/pods/%2e%2e", "/apis/%zz", "/%ff%fe"),
    *("/api/v1/namespaces/default/pods/x/log?follow=x", "/api/v1/namespaces/default/pods/x/exec?command=%00", "/api/v1/watch/pods?limit=x"),
    *("/api/v1/namespaces/default/services/http:x:y:z/proxy/a%2fb", "/api/v1/nodes/x/proxy/", "/openapi/v3/apis/%00", "/healthz/%00"),
    *("/apis/apps/v1/namespaces/default/deployments/x/scale", "/apis/a.b/v1/c", "/version/", "/metrics/x", "/debug/flags/v", "/x" * 2000),
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
async def test_paths_and_methods_that_make_no_sense(http: Http, method: str) -> None:
    for path in PATHS:
        reader, writer = await http.connect()
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        answer = await reader.read()
        writer.close()
        status = int(answer.split(b" ", 2)[1]) if answer else 400
        assert status < 500 or status == 503, (method, path, answer[:500])
        assert b"Traceback" not in answer
