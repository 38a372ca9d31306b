"""Custom resources over HTTP: definitions come, are served, change and go, and their objects behave as their schemas say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from behaviour.apiserver_harness import Http, running_server
from behaviour.custom_resources import (
    CRDS,
    FOOS,
    conditions,
    definition,
    establish,
    fields,
    foo,
    string,
    until_gone,
    version,
    wait_for,
)
from storage_modes import Place

INTEGER = {"type": "integer"}
SPEC = {**fields(a={**INTEGER, "minimum": 3}, b=string(enum=["x", "y"]), d=string(default="dflt")), "required": ["a"]}


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server() as server:
        yield server


async def test_a_definition_is_served_once_its_names_are_accepted(http: Http) -> None:
    assert (await http.get(FOOS)).status == 404
    crd = await establish(http, definition(version(spec=SPEC), names={"shortNames": ["fo"], "categories": ["all"]}))
    assert crd["status"]["acceptedNames"] == {
        "plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList", "shortNames": ["fo"], "categories": ["all"],
    }  # fmt: skip
    assert crd["status"]["storedVersions"] == ["v1"]
    assert conditions(crd)["NamesAccepted"]["reason"] == "NoConflicts"
    assert conditions(crd)["Established"]["reason"] == "InitialNamesAccepted"
    listed = (await http.get("/apis/example.com/v1")).json["resources"]
    assert [(r["name"], r["kind"], r["shortNames"], r["categories"]) for r in listed] == [("foos", "Foo", ["fo"], ["all"])]
    assert "example.com" in [g["name"] for g in (await http.get("/apis")).json["groups"]]
    aggregated = await http.get("/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    assert "example.com" in [g["metadata"]["name"] for g in aggregated.json["items"]]


async def test_objects_are_pruned_defaulted_and_checked(http: Http) -> None:
    await establish(http, definition(version(spec=SPEC)))
    made = await http.post(FOOS, foo("x", a=5, unknown=1))
    assert (made.status, made.json["spec"]) == (201, {"a": 5, "d": "dflt"})
    assert made.headers["Warning"] == '299 - "unknown field \\"spec.unknown\\""'
    assert made.json["metadata"]["generation"] == 1
    strict = await http.post(f"{FOOS}?fieldValidation=Strict", foo("y", a=5, unknown=1))
    assert strict.status == 400
    assert strict.json["message"] == ('Foo in version "v1" cannot be handled as a Foo: strict decoding error: unknown field "spec.unknown"')
    wrong = await http.post(FOOS, foo("y", a="5", b="z"))
    assert wrong.status == 422
    assert {(c["field"], c["message"]) for c in wrong.json["details"]["causes"]} == {
        ("spec.a", 'Invalid value: "string": spec.a in body must be of type integer: "string"'),
        ("spec.b", 'Unsupported value: "z": supported values: "x", "y"'),
    }


async def test_objects_are_listed_watched_updated_and_deleted(http: Http) -> None:
    await establish(http, definition(version(spec=SPEC)))
    made = (await http.post(FOOS, foo("x", a=5))).json
    listed = (await http.get(FOOS)).json
    assert (listed["kind"], listed["items"][0]["kind"]) == ("FooList", "Foo")
    async with http.watch(f"{FOOS}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}") as events:
        changed = await http.put(f"{FOOS}/x", {**made, "spec": {**made["spec"], "a": 6}})
        assert changed.json["metadata"]["generation"] == 2
        event = await anext(events)
        assert (event["type"], event["object"]["spec"]["a"]) == ("MODIFIED", 6)
        patched = await http.patch(f"{FOOS}/x", {"spec": {"a": 7}})
        assert patched.json["metadata"]["generation"] == 3
        assert (await anext(events))["object"]["spec"]["a"] == 7
        gone = await http.delete(f"{FOOS}/x")
        assert gone.json["status"] == "Success"
        assert (await anext(events))["type"] == "DELETED"
    strategic = await http.patch(f"{FOOS}/x", {}, type="strategic-merge-patch+json")
    assert strategic.status == 415
    assert (await http.put(f"{FOOS}/x", foo("x", a=5))).status == 404


async def test_status_is_written_at_its_own_endpoint(http: Http) -> None:
    await establish(http, definition(version(spec=SPEC, subresources={"status": {}})))
    made = (await http.post(FOOS, {**foo("x", a=5), "status": {"ready": True}})).json
    assert "status" not in made
    written = (await http.patch(f"{FOOS}/x/status", {"spec": {"a": 9}, "status": {"ready": True}})).json
    assert (written["spec"]["a"], written["status"], written["metadata"]["generation"]) == (5, {"ready": True}, 1)
    kept = (await http.patch(f"{FOOS}/x", {"status": {"ready": False}, "spec": {"a": 6}})).json
    assert (kept["status"], kept["metadata"]["generation"]) == ({"ready": True}, 2)


async def test_scale_follows_the_paths_of_the_definition(http: Http) -> None:
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.selector"}
    spec = fields(size=INTEGER)
    await establish(http, definition(version(spec=spec, subresources={"status": {}, "scale": paths})))
    await http.post(FOOS, foo("x", size=2))
    await http.patch(f"{FOOS}/x/status", {"status": {"size": 1, "selector": "a=b"}})
    scale = (await http.get(f"{FOOS}/x/scale")).json
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
    scaled = await http.patch(f"{FOOS}/x/scale", {"spec": {"replicas": 4}})
    assert scaled.json["spec"] == {"replicas": 4}
    assert (await http.get(f"{FOOS}/x")).json["spec"]["size"] == 4


async def test_what_has_no_replicas_yet_can_be_scaled(http: Http) -> None:
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    await establish(http, definition(version(spec=fields(size=INTEGER), subresources={"status": {}, "scale": paths})))
    await http.post(FOOS, foo("x"))
    assert (await http.get(f"{FOOS}/x/scale")).json["message"].endswith('the spec replicas field ".spec.size" does not exist')
    unsaid = await http.patch(f"{FOOS}/x/scale", {"metadata": {"labels": {"a": "b"}}})
    assert (unsaid.status, unsaid.json["message"]) == (400, 'the spec replicas field ".spec.size" cannot be empty')
    scaled = await http.patch(f"{FOOS}/x/scale", {"spec": {"replicas": 4}})
    assert scaled.json["spec"] == {"replicas": 4}
    assert (await http.get(f"{FOOS}/x")).json["spec"]["size"] == 4


async def test_columns_and_selectable_fields_come_from_the_definition(http: Http) -> None:
    column = {"name": "A", "type": "integer", "jsonPath": ".spec.a"}
    served = version(spec=SPEC, additionalPrinterColumns=[column], selectableFields=[{"jsonPath": ".spec.d"}])
    await establish(http, definition(served))
    await http.post(FOOS, foo("x", a=5))
    await http.post(FOOS, foo("y", a=6, d="other"))
    table = (await http.get(FOOS, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "A"]
    assert [row["cells"] for row in table["rows"]] == [["x", 5], ["y", 6]]
    chosen = (await http.get(f"{FOOS}?fieldSelector=spec.d=other")).json
    assert [o["metadata"]["name"] for o in chosen["items"]] == ["y"]
    assert (await http.get(f"{FOOS}?fieldSelector=spec.a=5")).json["message"] == "field label not supported: spec.a"
    await http.delete(f"{FOOS}?fieldSelector=spec.d=other")
    assert [o["metadata"]["name"] for o in (await http.get(FOOS)).json["items"]] == ["x"]


async def test_names_that_are_taken_are_not_accepted_until_they_are_free(http: Http) -> None:
    await establish(http, definition())
    other = definition(plural="others", kind="Other", names={"listKind": "FooList"})
    await http.post(CRDS, other)
    crd = await wait_for(http, "others.example.com", "NamesAccepted", "False")
    assert conditions(crd)["NamesAccepted"] == {
        "type": "NamesAccepted",
        "status": "False",
        "reason": "ListKindConflict",
        "message": '"FooList" is already in use',
        "lastTransitionTime": conditions(crd)["NamesAccepted"]["lastTransitionTime"],
    }
    assert conditions(crd)["Established"]["reason"] == "NotAccepted"
    await http.delete(f"{CRDS}/foos.example.com")
    await until_gone(http, f"{CRDS}/foos.example.com")
    await wait_for(http, "others.example.com", "Established", "True")


async def test_a_name_is_free_as_soon_as_its_holder_gives_it_up(http: Http) -> None:
    crd = await establish(http, definition(names={"shortNames": ["f"]}))
    await http.post(CRDS, definition(plural="others", kind="Other", names={"shortNames": ["f"]}))
    await wait_for(http, "others.example.com", "NamesAccepted", "False")
    crd["spec"]["names"]["shortNames"] = ["g"]
    assert (await http.put(f"{CRDS}/foos.example.com", crd)).status == 200
    await wait_for(http, "others.example.com", "Established", "True")


async def test_a_deleted_definition_takes_its_objects_along(http: Http) -> None:
    await establish(http, definition())
    await http.post(FOOS, {**foo("x"), "metadata": {"name": "x", "finalizers": ["example.com/wait"]}})
    await http.post(FOOS, foo("y"))
    async with http.watch(f"{FOOS}?watch=1") as events:
        assert [(await anext(events))["type"], (await anext(events))["type"]] == ["ADDED", "ADDED"]
        deleted = (await http.delete(f"{CRDS}/foos.example.com")).json
        assert conditions(deleted)["Terminating"]["reason"] == "InstanceDeletionPending"
        assert deleted["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        await until_gone(http, f"{FOOS}/y")
        refused = await http.post(FOOS, foo("z"))
        assert refused.status == 403
        assert refused.json["message"].endswith("create not allowed while custom resource definition is terminating")
        assert "create" not in (await http.get("/apis/example.com/v1")).json["resources"][0]["verbs"]
        assert (await http.get(f"{CRDS}/foos.example.com")).status == 200
        await http.patch(f"{FOOS}/x", {"metadata": {"finalizers": []}})
        await until_gone(http, f"{CRDS}/foos.example.com")
        left = [event["type"] async for event in events]
        assert left.count("DELETED") == 2
    assert (await http.get(FOOS)).text == "404 page not found\n"
    await until_gone(http, "/apis/example.com")


async def test_a_changed_schema_holds_at_once_also_for_what_is_stored(http: Http) -> None:
    crd = await establish(http, definition(version(spec=fields(a=INTEGER, old=string()))))
    await http.post(FOOS, foo("x", a=1, old="gone soon"))
    crd["spec"]["versions"] = [version(spec=fields(a=INTEGER, new=string(default="here")))]
    assert (await http.put(f"{CRDS}/foos.example.com", crd)).status == 200
    async with asyncio.timeout(30):
        while (await http.get(f"{FOOS}/x")).json["spec"] != {"a": 1, "new": "here"}:
            await asyncio.sleep(0.005)
    assert (await http.get(FOOS)).json["items"][0]["spec"] == {"a": 1, "new": "here"}


async def test_versions_without_a_webhook_differ_in_what_they_know(http: Http) -> None:
    new = version("v1", spec=fields(a=INTEGER))
    old = version("v1beta1", spec=fields(a=INTEGER, b=string()), storage=False, deprecated=True)
    await establish(http, definition(new, old))
    beta = FOOS.replace("v1", "v1beta1")
    made = await http.post(beta, foo("x", "example.com/v1beta1", a=1, b="lost in v1"))
    assert (made.status, made.json["apiVersion"]) == (201, "example.com/v1beta1")
    assert made.headers["Warning"] == '299 - "example.com/v1beta1 Foo is deprecated; use example.com/v1 Foo"'
    assert (await http.get(f"{FOOS}/x")).json["spec"] == {"a": 1}
    assert (await http.get(f"{beta}/x")).json["apiVersion"] == "example.com/v1beta1"
    listed = (await http.get(beta)).json
    assert (listed["apiVersion"], listed["items"][0]["apiVersion"]) == ("example.com/v1beta1", "example.com/v1beta1")
    async with http.watch(f"{beta}?watch=1") as events:
        assert (await anext(events))["object"]["apiVersion"] == "example.com/v1beta1"
        await http.patch(f"{FOOS}/x", {"spec": {"a": 2}})
        event = await anext(events)
        assert (event["type"], event["object"]["apiVersion"], event["object"]["spec"]) == ("MODIFIED", "example.com/v1beta1", {"a": 2})
    patched = await http.patch(f"{beta}/x", {"spec": {"a": 3}})
    assert (patched.json["apiVersion"], patched.json["spec"], patched.json["metadata"]["generation"]) == (
        "example.com/v1beta1", {"a": 3}, 3,
    )  # fmt: skip


async def test_a_version_that_is_not_served_is_not_found(http: Http) -> None:
    crd = await establish(http, definition(version("v1"), version("v2", storage=False)))
    assert (await http.get(FOOS.replace("v1", "v2"))).status == 200
    crd["spec"]["versions"][1]["served"] = False
    await http.put(f"{CRDS}/foos.example.com", crd)
    await until_gone(http, FOOS.replace("v1", "v2"))
    await http.everywhere("/apis/example.com", lambda reply: [v["version"] for v in reply.json["versions"]] == ["v1"])


async def test_two_servers_on_one_store_serve_the_same(place: Place) -> None:
    async with running_server(place) as one, running_server(place) as two:
        await establish(one, definition(version(spec=SPEC)))
        made = await two.post(FOOS, foo("x", a=5))
        assert made.status == 201
        assert (await one.get(f"{FOOS}/x")).json == made.json
        await two.delete(f"{CRDS}/foos.example.com")
        await until_gone(one, f"{CRDS}/foos.example.com")
        await until_gone(one, FOOS)
        await until_gone(two, FOOS)


async def test_a_server_that_starts_serves_what_was_defined_before(place: Place) -> None:
    async with running_server(place) as http:
        await establish(http, definition())
        await http.post(FOOS, foo("x", a=1))
    async with running_server(place) as http:
        assert (await http.get(f"{FOOS}/x")).json["spec"] == {"a": 1}


async def test_server_side_apply_merges_lists_by_the_schema(http: Http) -> None:
    item = {**fields(k=string(), v=INTEGER), "required": ["k"]}
    things = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item}
    await establish(http, definition(version(spec=fields(things=things))))
    apply = "apply-patch+yaml"
    one = await http.patch(f"{FOOS}/x?fieldManager=one", foo("x", things=[{"k": "a", "v": 1}]), type=apply)
    assert one.status == 201
    two = await http.patch(f"{FOOS}/x?fieldManager=two", foo("x", things=[{"k": "b", "v": 2}]), type=apply)
    assert two.json["spec"]["things"] == [{"k": "a", "v": 1}, {"k": "b", "v": 2}]
    conflict = await http.patch(f"{FOOS}/x?fieldManager=two", foo("x", things=[{"k": "a", "v": 2}]), type=apply)
    assert (conflict.status, conflict.json["details"]["causes"][0]["field"]) == (409, '.spec.things[k="a"].v')


async def test_rules_of_the_schema_hold_and_what_was_broken_before_only_warns(http: Http) -> None:
    spec = fields(a={**INTEGER, "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "only up"}]}, b=string())
    await establish(http, definition(version(spec=spec)))
    await http.post(FOOS, foo("x", a=5, b="long"))
    down = await http.patch(f"{FOOS}/x", {"spec": {"a": 4}})
    assert (down.status, down.json["message"]) == (422, 'Foo.example.com "x" is invalid: spec.a: Invalid value: 4: only up')
    assert (await http.patch(f"{FOOS}/x", {"spec": {"a": 6}})).status == 200
    spec["properties"]["b"] = string(**{"x-kubernetes-validations": [{"rule": "self.size() < 3", "message": "too long"}]})
    crd = (await http.get(f"{CRDS}/foos.example.com")).json
    crd["spec"]["versions"] = [version(spec=spec)]
    assert (await http.put(f"{CRDS}/foos.example.com", crd)).status == 200
    assert (await http.patch(f"{FOOS}/x", {"spec": {"a": 7}})).status == 200
    assert (await http.patch(f"{FOOS}/x", {"spec": {"b": "longer"}})).status == 422
    assert (await http.patch(f"{FOOS}/x", {"spec": {"b": "ok"}})).status == 200


async def test_rules_that_do_not_compile_are_refused_with_the_definition(http: Http) -> None:
    spec = fields(a={**INTEGER, "x-kubernetes-validations": [{"rule": "self.size() > 1"}]})
    refused = await http.post(CRDS, definition(version(spec=spec)))
    assert refused.status == 422
    cause = refused.json["details"]["causes"][0]
    assert cause["field"] == "spec.validation.openAPIV3Schema.properties[spec].properties[a].x-kubernetes-validations[0].rule"
    assert "found no matching overload for 'size' applied to 'int.()'" in cause["message"]


async def test_schemas_are_published_for_clients_and_go_with_their_versions(http: Http) -> None:
    spec = fields(a={**INTEGER, "description": "how many"}, any={"x-kubernetes-int-or-string": True}, n=string(nullable=True))
    await establish(http, definition(version(spec=spec), version("v2", spec=spec, storage=False)))
    v2 = (await http.get("/openapi/v2")).json
    foo_v1 = v2["definitions"]["com.example.v1.Foo"]
    assert foo_v1["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Foo", "version": "v1"}]
    assert foo_v1["properties"]["spec"]["properties"]["a"] == {"type": "integer", "description": "how many"}
    assert "type" not in foo_v1["properties"]["spec"]["properties"]["n"]
    assert "com.example.v2.FooList" in v2["definitions"]
    index = (await http.get("/openapi/v3")).json["paths"]
    document = (await http.get(index["apis/example.com/v2"]["serverRelativeURL"])).json
    published = document["components"]["schemas"]["com.example.v2.Foo"]["properties"]
    assert published["spec"]["properties"]["n"] == {"type": "string", "nullable": True}
    assert published["metadata"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
    crd = (await http.get(f"{CRDS}/foos.example.com")).json
    crd["spec"]["versions"][1]["served"] = False
    await http.put(f"{CRDS}/foos.example.com", crd)
    assert "com.example.v2.Foo" not in (await http.get("/openapi/v2")).json["definitions"]
    assert "apis/example.com/v2" not in (await http.get("/openapi/v3")).json["paths"]


async def test_bodies_may_be_yaml_and_strategic_merge_is_not_for_custom_resources(http: Http) -> None:
    await establish(http, definition(version(spec=SPEC)))
    text = b"apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: x}\nspec: {a: 3, a: 4}\n"
    repeated = await http.post(f"{FOOS}?fieldValidation=Strict", text, Content_Type="application/yaml")
    assert (repeated.status, 'key "a" already set in map' in repeated.json["message"]) == (400, True)
    assert (await http.post(FOOS, text, Content_Type="application/yaml")).json["spec"]["a"] == 4
    refused = await http.patch(f"{FOOS}/x", {"spec": {"a": 5}}, type="strategic-merge-patch+json")
    assert refused.status == 415


async def test_objects_say_which_version_they_are_of(http: Http) -> None:
    await establish(http, definition(version(), version("v2", storage=False)))
    other = await http.post(FOOS, foo("x", "example.com/v2"))
    message = "the API version in the data (example.com/v2) does not match the expected API version (example.com/v1)"
    assert (other.status, other.json["message"]) == (400, message)
    wrong = await http.post(FOOS, {**foo("x"), "kind": "Bar"})
    assert (wrong.status, wrong.json["details"]["causes"][0]["field"]) == (422, "kind")


async def test_what_is_written_at_another_version_is_told_with_the_defaults_of_the_stored_one(http: Http) -> None:
    stored = version("v2", fields(a=string(), b=string(default="of v2")))
    await establish(http, definition(version("v1", fields(a=string(default="of v1"), b=string()), storage=False), stored))
    made = (await http.post(FOOS, foo("x"))).json
    assert made["spec"] == {"a": "of v1", "b": "of v2"}
    assert (await http.get(f"{FOOS}/x")).json["spec"] == made["spec"]
    patched = (await http.patch(f"{FOOS}/x", {"spec": {"a": "mine"}})).json
    assert patched["spec"] == {"a": "mine", "b": "of v2"}


async def test_an_object_is_not_found_at_a_path_of_the_other_scope(http: Http) -> None:
    await establish(http, definition())
    for method, path in (("POST", ""), ("DELETE", ""), ("GET", "/x"), ("PUT", "/x/status")):
        assert (await http.request(method, f"/apis/example.com/v1/foos{path}", foo("x"))).status == 404, method
    assert (await http.get("/apis/example.com/v1/foos")).status == 200


async def test_a_definition_that_somebody_put_into_the_store_without_an_identity_is_established(http: Http) -> None:
    store = http.servers[0].parts.registry.store
    raw = {**definition(), "metadata": {"name": "foos.example.com"}}
    raw["spec"]["names"] |= {"singular": "foo", "listKind": "FooList"}
    await store.create("/registry/apiextensions.k8s.io/customresourcedefinitions/foos.example.com", orjson.dumps(raw))
    await wait_for(http, "foos.example.com", "Established", "True")
    assert (await http.post(FOOS, foo("x"))).status == 201


async def test_metadata_that_is_malformed_in_the_store_is_left_out_field_by_field(http: Http) -> None:
    await establish(http, definition())
    metadata = {"name": "x", "namespace": "default", "labels": {"a": "b"}, "annotations": {"ok": "yes", "bad": 42}, "unknown": 1}
    store = http.servers[0].parts.registry.store
    await store.create("/registry/example.com/foos/default/x", orjson.dumps({**foo("x"), "metadata": metadata}))
    await http.everywhere(f"{FOOS}/x", lambda reply: reply.status == 200)
    found = (await http.get(f"{FOOS}/x")).json["metadata"]
    assert {name: value for name, value in found.items() if name != "resourceVersion"} == {
        "name": "x",
        "namespace": "default",
        "labels": {"a": "b"},
        "generation": 1,
    }
    assert (await http.put(f"{FOOS}/x", {**foo("x"), "metadata": found})).status == 200


@pytest.mark.parametrize(
    ("group", "plural", "kind"),
    [("apiregistration.k8s.io", "apiservices", "Mine"), ("apiextensions.k8s.io", "customresourcedefinitions", "Mine")],
)
async def test_a_definition_with_the_name_of_a_built_in_resource_does_it_no_harm(http: Http, group: str, plural: str, kind: str) -> None:
    await establish(http, definition())
    crd = definition(kind=kind, plural=plural, group=group)
    name = f"{plural}.{group}"
    crd["metadata"] = {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}}
    path = f"/apis/{group}/v1/{plural}"
    before = {item["metadata"]["name"] for item in (await http.get(path)).json["items"]}
    assert (await http.post(CRDS, crd)).status == 201
    await http.everywhere(f"{CRDS}/{name}", lambda reply: conditions(reply.json).get("Established", {}).get("status") == "True")
    assert (await http.get(path)).json["kind"] != "MineList"
    assert (await http.delete(f"{CRDS}/{name}")).status == 200
    await until_gone(http, f"{CRDS}/{name}")
    after = {item["metadata"]["name"] for item in (await http.get(path)).json["items"]}
    assert after - {name} == before - {name}


async def test_a_version_of_a_built_in_group_has_no_custom_resources(http: Http) -> None:
    crd = definition(version("v1"), version("vfake", storage=False), kind="Bar", plural="bars", group="apiextensions.k8s.io")
    crd["metadata"] = {"name": "bars.apiextensions.k8s.io", "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}}
    assert (await http.post(CRDS, crd)).status == 201
    await http.everywhere("/apis/apiextensions.k8s.io/vfake/bars", lambda reply: reply.status == 200)
    resources = {resource["name"] for resource in (await http.get("/apis/apiextensions.k8s.io/v1")).json["resources"]}
    assert "bars" not in resources and "customresourcedefinitions" in resources
    assert (await http.get("/apis/apiextensions.k8s.io/v1/bars")).status == 404
    await http.delete(f"{CRDS}/bars.apiextensions.k8s.io")
    await until_gone(http, f"{CRDS}/bars.apiextensions.k8s.io")
    assert (await http.get(CRDS)).status == 200


async def test_a_status_that_was_reset_gets_its_default(http: Http) -> None:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = fields(spec=free, status={**free, "default": {"phase": "New"}})
    row = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    await establish(http, definition(row))
    made = await http.post(FOOS, {**foo("x"), "status": {"phase": "Mine"}})
    assert made.json["status"] == {"phase": "New"}
    assert (await http.get(f"{FOOS}/x")).json["status"] == {"phase": "New"}


async def test_watchers_may_want_metadata_only(http: Http) -> None:
    await establish(http, definition())
    wanted = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    async with http.watch(f"{FOOS}?watch=1", **wanted) as events:
        await http.post(FOOS, foo("x", a=1))
        event = await anext(events)
    assert (event["type"], event["object"]["kind"], event["object"]["metadata"]["name"]) == ("ADDED", "PartialObjectMetadata", "x")
    assert "spec" not in event["object"]
