"""Subresources: what is not the whole object, as upstream's server answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from behaviour.apiserver_harness import Http, running_server
from behaviour.custom_resources import CRDS, establish
from storage_modes import Mode

pytestmark = pytest.mark.asyncio(loop_scope="module")

Object = dict[str, Any]
PODS, DEPLOYMENTS = "/api/v1/namespaces/default/pods", "/apis/apps/v1/namespaces/default/deployments"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(storage: Mode) -> AsyncIterator[Http]:
    async with running_server() as server:
        yield server


async def pod(http: Http, name: str, node: str = "", **fields: Any) -> Object:
    spec = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}
    made = await http.post(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec, **fields})
    assert made.status == 201, made.text
    if node:
        bound = await http.post(f"{PODS}/{name}/binding", {"metadata": {"name": name}, "target": {"name": node}})
        assert bound.status == 201, bound.text
    found: Object = (await http.get(f"{PODS}/{name}")).json
    return found


async def evict(http: Http, name: str, query: str = "", **fields: Any) -> Any:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **fields}
    return await http.post(f"{PODS}/{name}/eviction{query}", body)


def managed(obj: Object, subresource: str) -> Object:
    return next(entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry.get("subresource") == subresource)


async def test_evictions_come_in_both_versions_of_their_group(http: Http) -> None:
    await pod(http, "old")
    assert (await evict(http, "old", apiVersion="policy/v1beta1")).status == 201
    await pod(http, "new")
    assert (await evict(http, "new", apiVersion="policy/v2")).status == 400


async def test_how_an_evicted_pod_is_to_be_deleted_is_looked_at_when_it_is_deleted(http: Http) -> None:
    await pod(http, "e", "n")
    refused = await evict(http, "e", deleteOptions={"propagationPolicy": "Foo"})
    assert (refused.status, refused.json["details"]["kind"]) == (422, "DeleteOptions")
    conditions = (await http.get(f"{PODS}/e")).json["status"]["conditions"]
    assert "DisruptionTarget" in [c["type"] for c in conditions]
    unsafe = await evict(http, "e", deleteOptions={"ignoreStoreReadErrorWithClusterBreakingPotential": True})
    assert (unsafe.status, unsafe.json["details"]["kind"]) == (422, "Eviction")
    mixed = await evict(http, "e", "?dryRun=All", deleteOptions={"dryRun": ["All", "All"]})
    assert mixed.json["message"] == "Non-matching dry-run options in request and content: [All] and [All All]"
    assert (await evict(http, "e", deleteOptions={"propagationPolicy": "Orphan"})).status == 201
    assert not [m for m in (await http.get(f"{PODS}/e")).json["metadata"]["managedFields"] if m["manager"] == "kube-apiserver"]


async def test_bindings_are_made_in_a_namespace_and_name_a_pod(http: Http) -> None:
    assert (await http.get("/api/v1/bindings")).status == 404
    nameless = await http.post("/api/v1/namespaces/default/bindings", {"target": {"name": "n"}})
    assert (nameless.status, nameless.json["message"]) == (400, "Name parameter required.")


async def test_whoever_writes_through_a_part_of_a_pod_owns_what_was_said_there(http: Http) -> None:
    obj = await pod(http, "r", "n")
    obj["spec"]["containers"][0]["image"] = "other"
    obj["metadata"]["labels"] = {"a": "b"}
    new = (await http.put(f"{PODS}/r/resize", obj)).json
    assert new["spec"]["containers"][0]["image"] == "i"
    fields = managed(new, "resize")
    assert "f:image" in fields["f:spec"]["f:containers"]['k:{"name":"c"}'] and "f:labels" in fields["f:metadata"]


async def test_a_mirror_pod_takes_no_ephemeral_containers(http: Http) -> None:
    metadata = {"name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}}
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    obj = (await http.post(PODS, {"metadata": metadata, "spec": spec})).json
    obj["spec"]["ephemeralContainers"] = [{"name": "d", "image": "i"}]
    refused = (await http.put(f"{PODS}/m/ephemeralcontainers", obj)).json
    assert refused["message"] == 'Pod "m" is invalid: []: Forbidden: static pods do not support ephemeral containers'


async def test_a_container_that_runs_has_started_some_time(http: Http) -> None:
    obj = await pod(http, "s")
    running = {"name": "c", "ready": True, "restartCount": 0, "image": "i", "imageID": "x", "state": {"running": {}}}
    obj["status"]["containerStatuses"] = [running]
    obj["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z"
    new = (await http.put(f"{PODS}/s/status", obj)).json
    assert new["status"]["containerStatuses"][0]["state"] == {"running": {"startedAt": None}}
    assert "deletionTimestamp" not in new["metadata"]


async def test_a_scale_is_shown_as_a_table(http: Http) -> None:
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    await http.post(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec})
    shown = (await http.get(f"{DEPLOYMENTS}/d/scale", Accept=TABLE)).json
    assert [c["name"] for c in shown["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert shown["columnDefinitions"][0]["format"] == "" and shown["rows"][0]["cells"][:3] == ["d", 2, 0]
    metadata = (await http.get(f"{DEPLOYMENTS}/d/scale", Accept=TABLE.replace("Table", "PartialObjectMetadata"))).json
    assert (metadata["kind"], metadata["metadata"]["name"]) == ("PartialObjectMetadata", "d")


async def test_a_daemon_sets_template_generation_belongs_to_its_spec(http: Http) -> None:
    path = "/apis/apps/v1/namespaces/default/daemonsets"
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    obj = (await http.post(path, {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pods}})).json
    generation = {"deprecated.daemonset.template.generation": "1"}
    obj["metadata"]["annotations"] = {"x": "y"}
    assert (await http.put(f"{path}/d/status", obj)).json["metadata"]["annotations"] == {"x": "y", **generation}
    shown = (await http.get(path, Accept=TABLE)).json["rows"][0]["object"]["metadata"]
    assert shown["annotations"] == {"x": "y"}


async def test_a_namespace_is_finalized_without_its_status(http: Http) -> None:
    obj = (await http.post("/api/v1/namespaces", {"metadata": {"name": "f"}})).json
    obj["spec"]["finalizers"] = ["kubernetes", "a.b/c"]
    obj["status"]["phase"] = "Terminating"
    new = (await http.put("/api/v1/namespaces/f/finalize", obj)).json
    assert new["status"]["phase"] == "Active" and "f:status" not in managed(new, "finalize")


async def test_a_definitions_status_may_say_something_of_its_metadata(http: Http) -> None:
    path = CRDS
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    scale = {"specReplicasPath": ".spec.r", "statusReplicasPath": ".status.r"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"scale": scale, "status": {}}}
    names = {"plural": "foos", "kind": "Foo"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    await establish(http, {"metadata": {"name": "foos.example.com"}, "spec": spec})
    changed = (await http.patch(f"{path}/foos.example.com/status", {"metadata": {"labels": {"a": "b"}}})).json
    assert changed["metadata"]["labels"] == {"a": "b"}
    foos = "/apis/example.com/v1/namespaces/default/foos"
    await http.post(foos, {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "x"}, "spec": {"r": 1}})
    refused = (await http.patch(f"{foos}/x/scale", {"spec": {"replicas": -1}})).json
    assert refused["message"] == 'Foo.example.com "x" is invalid: .spec.r: Invalid value: -1: should be a non-negative integer'
    none = await http.post(f"{foos}/x/scale", {})
    assert (none.status, none.json["message"]) == (405, 'create is not supported on resources of kind "foos.example.com"')
    columns = (await http.get(f"{foos}/x/scale", Accept=TABLE)).json["columnDefinitions"]
    assert [c["description"] for c in columns[1:3]] == ["Number of desired replicas", "Number of actual replicas"]


async def test_logs_of_a_pod_that_is_nowhere(http: Http) -> None:
    await pod(http, "l")
    assert (await http.get(f"{PODS}/l/log")).status == 204
    assert (await http.get(f"{PODS}/l/log?sinceTime=x")).status == 400
    split = await http.get(f"{PODS}/l/log?stream=Stdout")
    assert (split.status, split.json["details"]["causes"][0]["message"]) == (422, "Forbidden: may not be specified")


async def test_a_kubelet_that_cannot_be_reached(http: Http) -> None:
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}
    await http.post("/api/v1/nodes", {"metadata": {"name": "gone"}, "status": status})
    await pod(http, "g", "gone")
    failed = await http.get(f"{PODS}/g/log")
    why = "dial tcp 127.0.0.1:1: connect: connection refused"
    assert (failed.status, failed.json["message"]) == (500, f'Get "https://127.0.0.1:1/containerLogs/default/g/c": {why}')
    assert (await http.get("/api/v1/nodes/gone/proxy/x")).json["message"] == f"error trying to reach service: {why}"


async def test_what_the_server_writes_by_itself_says_who_of_it_wrote(http: Http) -> None:
    schema = (await http.get("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt")).json
    managers = [(m["manager"], m["operation"], m.get("subresource")) for m in schema["metadata"]["managedFields"]]
    assert managers == [
        ("api-priority-and-fairness-config-consumer-v1", "Apply", "status"),
        ("api-priority-and-fairness-config-producer-v1", "Update", None),
    ]
    cidr = (await http.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")).json["metadata"]["managedFields"]
    assert ("kubernetes-service-cidr-controller", "Apply") in [(m["manager"], m["operation"]) for m in cidr]
    address = (await http.get("/apis/networking.k8s.io/v1/ipaddresses")).json["items"][0]
    assert "group" not in address["spec"]["parentRef"]


async def test_deletes_that_expect_something_else(http: Http) -> None:
    await http.post("/api/v1/namespaces", {"metadata": {"name": "p"}})
    refused = (await http.delete("/api/v1/namespaces/p", {"preconditions": {"uid": "x"}})).json
    assert refused["details"]["kind"] == "namespaces" and "Precondition failed: UID in precondition: x" in refused["message"]
    unnamed = await http.post("/api/v1/namespaces/default/limitranges", {"metadata": {}, "spec": {"limits": []}})
    assert unnamed.json["metadata"]["name"] == unnamed.json["metadata"]["uid"]
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    assert (await http.post(budgets, {"metadata": {"name": "Any_Name"}, "spec": {"minAvailable": 1}})).status == 201
    token = (await http.get(f"{PODS}?limit=1&continue=zz")).json["message"]
    assert token == "invalid continue token: continue key is not valid: invalid character 'Ï' looking for beginning of value"
    event = await http.get("/api/v1/namespaces/default/events/x?resourceVersion=x")
    assert event.json["message"].startswith("invalid resource version: resourceVersion: Invalid value")


async def test_taints_of_devices_are_dated_when_they_come(http: Http) -> None:
    path = "/apis/resource.k8s.io/v1/resourceslices"
    device = {"name": "d", "taints": [{"key": "a", "effect": "NoSchedule"}]}
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "d.example.com", "pool": pool, "nodeName": "n", "devices": [device]}
    obj = (await http.post(path, {"metadata": {"name": "s"}, "spec": spec})).json
    assert obj["spec"]["devices"][0]["taints"][0]["timeAdded"]
    obj["spec"]["devices"][0]["taints"] = [{"key": "b", "effect": "NoSchedule"}]
    changed = await http.put(f"{path}/s", obj)
    assert changed.json["spec"]["devices"][0]["taints"][0]["timeAdded"]


async def test_an_empty_bundle_of_authorities_is_none(http: Http) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    client = {"url": "https://x.example.com/", "caBundle": ""}
    hook = {"name": "a.b.c", "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore"}
    made = await http.post(path, {"metadata": {"name": "w"}, "webhooks": [hook]})
    assert made.json["webhooks"][0]["clientConfig"] == {"url": "https://x.example.com/"}
    await http.delete(f"{path}/w")


async def test_a_custom_resource_says_what_it_is(http: Http) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    spec = {"group": "said.example.com", "scope": "Namespaced", "names": {"plural": "bars", "kind": "Bar"}, "versions": versions}
    await establish(http, {"metadata": {"name": "bars.said.example.com"}, "spec": spec})
    bars = "/apis/said.example.com/v1/namespaces/default/bars"
    silent = await http.post(bars, {"kind": "Bar", "metadata": {"name": "x"}})
    assert (silent.status, silent.json["message"][:34]) == (400, "the API version in the data () doe")
    bar = {"apiVersion": "said.example.com/v1", "kind": "Bar", "metadata": {"name": "x", "finalizers": [], "labels": {}}}
    made = (await http.post(bars, bar)).json
    assert "managedFields" not in made["metadata"] and "finalizers" not in made["metadata"]
    for value, status, words in (
        ("x", 422, "must be said.example.com/v1"),
        (5, 422, "cannot unmarshal number into Go struct field .apiVersion of type string"),
        (None, 422, ".apiVersion accessor error: <nil>"),
        ("", 400, "Object 'apiVersion' is missing"),
    ):
        refused = await http.patch(f"{bars}/x", [{"op": "replace", "path": "/apiVersion", "value": value}], "json-patch+json")
        assert (refused.status, words in refused.json["message"]) == (status, True), refused.text
    refused = await http.patch(f"{bars}/x", [{"op": "remove", "path": "/kind"}], "json-patch+json")
    assert "Object 'Kind' is missing" in refused.json["message"]
    named = await http.patch(f"{bars}/x", {"metadata": {"finalizers": ["A b/c"]}})
    assert (named.status, named.json["details"]["causes"][0]["field"]) == (422, "metadata.finalizers")


async def test_what_is_not_there_is_said_before_what_is_wrong_with_a_patch(http: Http) -> None:
    assert (await http.patch(f"{PODS}/none", "{")).status == 404
    await pod(http, "there")
    assert (await http.patch(f"{PODS}/there", "{")).status == 400
    dry = await http.post(
        f"{PODS}?dryRun=All", {"metadata": {"name": "dry", "resourceVersion": "1"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    assert dry.status == 201
    listed = await http.post(PODS, {"kind": "List", "apiVersion": "v1", "items": []})
    assert listed.json["message"].endswith("converting (v1.List) to (core.Pod): unknown conversion")
    assert (await http.get("/apis//v1")).status == 404
