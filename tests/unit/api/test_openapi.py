"""The OpenAPI documents: what kubectl and generated clients look for in them."""

import pytest
import yaml

from kubetree.api import kind_table
from kubetree.api.kinds import STATUS, Kind, Kinds
from kubetree.api.openapi import (
    document_hash,
    document_names,
    encode_proto_v2,
    encode_proto_v3,
    openapi_v2,
    openapi_v3,
    openapi_v3_document,
    openapi_v3_index,
)
from kubetree.api.protobuf import wire

KINDS = Kinds(kind_table.ROWS)
THING = Kind("example.com", "v1", "Thing", "things", subresources=(STATUS,))
THING_SCHEMA = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}}


def with_thing() -> Kinds:
    kinds = Kinds(kind_table.ROWS)
    kinds.add(THING)
    return kinds


def references(value, found):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            found.add(value["$ref"])
        for item in value.values():
            references(item, found)
    elif isinstance(value, list):
        for item in value:
            references(item, found)
    return found


@pytest.fixture(scope="module")
def v2():
    return openapi_v2(KINDS)


def test_operation_ids_are_upstreams(v2) -> None:
    paths = v2["paths"]
    pods = "/api/v1/namespaces/{namespace}/pods"
    wanted = {
        (pods, "get"): "listCoreV1NamespacedPod",
        (pods, "post"): "createCoreV1NamespacedPod",
        (pods, "delete"): "deleteCoreV1CollectionNamespacedPod",
        (pods + "/{name}", "patch"): "patchCoreV1NamespacedPod",
        (pods + "/{name}/status", "put"): "replaceCoreV1NamespacedPodStatus",
        (pods + "/{name}/exec", "post"): "connectCoreV1PostNamespacedPodExec",
        (pods + "/{name}/proxy/{path}", "head"): "connectCoreV1HeadNamespacedPodProxyWithPath",
        (pods + "/{name}/eviction", "post"): "createCoreV1NamespacedPodEviction",
        ("/api/v1/pods", "get"): "listCoreV1PodForAllNamespaces",
        ("/api/v1/nodes/{name}", "get"): "readCoreV1Node",
        ("/api/v1/watch/nodes", "get"): "watchCoreV1NodeList",
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "get"): "listRbacAuthorizationV1ClusterRole",
        ("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get"): "readAppsV1NamespacedDeploymentScale",
        ("/apis/apps/", "get"): "getAppsAPIGroup",
    }
    assert {key: paths[key[0]][key[1]]["operationId"] for key in wanted} == wanted
    ids = [o["operationId"] for methods in paths.values() for m, o in methods.items() if m != "parameters"]
    assert len(ids) == len(set(ids))


def test_operations_name_action_and_kind(v2) -> None:
    scale = v2["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["get"]
    assert scale["x-kubernetes-action"] == "get"
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "kind": "Scale", "version": "v1"}


def test_every_reference_leads_somewhere(v2) -> None:
    there = {f"#/definitions/{name}" for name in v2["definitions"]} | {f"#/parameters/{name}" for name in v2["parameters"]}
    assert references(v2, set()) == there
    for name in document_names(KINDS):
        document = openapi_v3_document(KINDS, name)
        found = {ref.removeprefix("#/components/schemas/") for ref in references(document, set())}
        assert found <= document["components"].get("schemas", {}).keys(), name


def test_kubectl_finds_field_validation_by_the_kind_of_a_patch() -> None:
    document = openapi_v3(KINDS, "apps", "v1")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
    assert {"fieldValidation", "dryRun", "force"} <= {p["name"] for p in patch["parameters"]}
    schema = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert schema["containers"]["x-kubernetes-patch-merge-key"] == "name"
    spec = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["default"] == {} and spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]


def test_v2_spells_types_plainly(v2) -> None:
    definitions = v2["definitions"]
    assert definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
    assert definitions["io.k8s.api.core.v1.Pod"]["properties"]["apiVersion"].keys() == {"description", "type"}


def test_the_index_changes_only_with_its_documents() -> None:
    index = openapi_v3_index(KINDS)["paths"]
    assert index["apis/apps/v1"]["serverRelativeURL"].startswith("/openapi/v3/apis/apps/v1?hash=")
    assert openapi_v3_index(Kinds(kind_table.ROWS))["paths"] == index
    more = openapi_v3_index(with_thing())["paths"]
    assert more.keys() - index.keys() == {"apis/example.com", "apis/example.com/v1"}
    assert all(more[name] == index[name] for name in index)


def test_custom_resources_appear_with_their_schema() -> None:
    kinds = with_thing()
    document = openapi_v3(kinds, "example.com", "v1", lambda kind: THING_SCHEMA)
    thing = document["components"]["schemas"]["com.example.v1.Thing"]
    assert thing["properties"]["spec"] == THING_SCHEMA["properties"]["spec"] and "metadata" in thing["properties"]
    assert thing["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Thing"}]
    path = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/things/{name}"]
    assert path["get"]["operationId"] == "readExampleComV1NamespacedThing"
    assert "application/strategic-merge-patch+json" not in path["patch"]["requestBody"]["content"]
    assert "com.example.v1.Thing" in openapi_v2(kinds, lambda kind: THING_SCHEMA)["definitions"]
    name = "apis/example.com/v1"
    assert document_hash(kinds, name, lambda kind: THING_SCHEMA) != document_hash(kinds, name, lambda kind: None)


@pytest.mark.parametrize(
    ("kind", "named"), [("Thing", "a Thing"), ("Image", "an Image"), ("NodeStatus", "NodeStatus"), ("StorageClass", "a StorageClass")]
)
def test_a_custom_kind_has_upstreams_article(kind: str, named: str) -> None:
    kinds = Kinds(kind_table.ROWS)
    kinds.add(Kind("example.com", "v1", kind, "things", namespaced=False))
    paths = openapi_v3(kinds, "example.com", "v1", lambda kind: None)["paths"]
    assert paths["/apis/example.com/v1/things"]["post"]["description"] == f"create {named}"
    assert paths["/apis/example.com/v1/things/{name}"]["delete"]["description"] == f"delete {named}"


def test_v2_takes_of_a_custom_schema_what_kubectl_can_read() -> None:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["a", "b"],
                "anyOf": [{"required": ["a"]}],
                "properties": {
                    "a": {"type": "object", "nullable": True, "properties": {"x": {"type": "string"}}},
                    "b": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "pod": {"type": "object", "x-kubernetes-embedded-resource": True},
                },
            }
        },
    }
    v2 = openapi_v2(with_thing(), lambda kind: schema)["definitions"]["com.example.v1.Thing"]["properties"]
    spec = v2["spec"]
    assert "anyOf" not in spec and spec["required"] == ["b"] and spec["properties"]["a"] == {}
    assert spec["properties"]["b"] == {"x-kubernetes-preserve-unknown-fields": True}
    assert spec["properties"]["pod"]["properties"]["metadata"]["$ref"].endswith("ObjectMeta")
    assert "APIVersion defines" in v2["apiVersion"]["description"]
    v3 = openapi_v3(with_thing(), "example.com", "v1", lambda kind: schema)["components"]["schemas"]["com.example.v1.Thing"]["properties"]
    assert v3["spec"]["properties"]["a"] == schema["properties"]["spec"]["properties"]["a"] and "anyOf" in v3["spec"]


def test_a_custom_resource_without_a_schema_is_free() -> None:
    thing = openapi_v2(with_thing())["definitions"]["com.example.v1.Thing"]
    assert thing.keys() == {"type", "x-kubernetes-group-version-kind"}


def fields(data):
    """{number: [values]} of one protobuf message."""
    out = {}
    for number, value in wire.fields(data):
        out.setdefault(number, []).append(value)
    return out


def named(messages):
    return {f[1][0].decode(): f[2][0] for f in map(fields, messages)}


def test_the_protobuf_encoding_holds_paths_and_definitions(v2) -> None:
    document = fields(encode_proto_v2(v2))
    assert document[1] == [b"2.0"]
    paths = named(fields(document[8][0])[2])
    assert paths.keys() == v2["paths"].keys()
    read = fields(fields(paths["/api/v1/namespaces/{namespace}/pods/{name}"])[2][0])
    assert read[5] == [b"readCoreV1NamespacedPod"]
    extensions = {name: yaml.safe_load(fields(value)[2][0]) for name, value in named(read[13]).items()}
    assert extensions["x-kubernetes-group-version-kind"] == {"group": "", "kind": "Pod", "version": "v1"}
    definitions = named(fields(document[9][0])[1])
    assert definitions.keys() == v2["definitions"].keys()
    pod = fields(definitions["io.k8s.api.core.v1.Pod"])
    assert fields(pod[22][0])[1] == [b"object"] and "spec" in named(fields(pod[25][0])[1])


def test_version_3_has_a_protobuf_encoding_too() -> None:
    schema = {
        "type": "object",
        "default": {"a": 1},
        "properties": {
            "ref": {"$ref": "#/components/schemas/x", "default": ""},
            "n": {"type": "integer", "default": 0, "minimum": 1, "nullable": True, "enum": ["*", "1", ""]},
            "l": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"},
            "m": {"type": "object", "additionalProperties": False},
        },
    }
    document = fields(encode_proto_v3({"openapi": "3.0.0", "paths": {}, "components": {"schemas": {"s": schema}}}))
    found = fields(fields(named(fields(fields(document[5][0])[1][0])[1])["s"])[1][0])
    assert found[25] == [b"object"] and found[33] == [b""]
    properties = named(fields(found[31][0])[1])
    assert fields(fields(properties["ref"])[2][0])[1] == [b"#/components/schemas/x"]
    number = fields(fields(properties["n"])[1][0])
    assert [fields(value)[2][0] for value in number[24]] == [b"'*'\n", b'"1"\n', b'""\n']
    assert number[1] == [1] and fields(number[33][0]).keys() == {1}
    extensions = named(fields(fields(properties["l"])[1][0])[36])
    assert fields(extensions["x-kubernetes-list-type"])[2] == [b"map\n"]
    assert fields(fields(fields(properties["m"])[1][0])[32][0]) == {2: [0]}


def test_unknown_documents_are_none() -> None:
    assert openapi_v3(KINDS, "nowhere.io", "v1") is None
    assert openapi_v3_document(KINDS, "apis/apps/v9") is None
    assert openapi_v3_document(KINDS, "apis/apps")["paths"].keys() == {"/apis/apps/"}


def test_fields_of_few_values_list_them_and_defaults_are_upstreams() -> None:
    schemas = openapi_v3(KINDS, "", "v1")["components"]["schemas"]
    service = schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]
    assert service["type"]["enum"] == ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    assert service["ipFamilies"]["items"]["enum"] == ["", "IPv4", "IPv6"]
    claim = schemas["io.k8s.api.core.v1.PersistentVolumeClaimStatus"]["properties"]["allocatedResourceStatuses"]
    assert "NodeResizePending" in claim["additionalProperties"]["enum"]
    assert schemas["io.k8s.api.core.v1.LocalObjectReference"]["properties"]["name"]["default"] == ""
    assert schemas["io.k8s.api.core.v1.RBDVolumeSource"]["properties"]["pool"]["default"] == "rbd"
    assert "default" not in schemas["io.k8s.api.core.v1.ContainerRestartRule"]["properties"]["action"]
    resizing = schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]
    assert resizing["default"] == "TCP"


def test_the_whole_document_has_what_the_api_uses_and_no_more(v2) -> None:
    assert "io.k8s.api.storage.v1.StorageClass" in v2["definitions"]
    assert not [name for name in v2["definitions"] if ".v1alpha" in name]


def test_operations_are_told_of_in_english() -> None:
    paths = openapi_v2(KINDS)["paths"]
    told = {found["operationId"]: found["description"] for path in paths.values() for found in path.values() if isinstance(found, dict)}
    assert told["createCoreV1NamespacedEvent"] == "create an Event"
    assert told["createCoreV1NamespacedEndpoints"] == "create Endpoints"
    assert told["deleteNetworkingV1IngressClass"] == "delete an IngressClass"
    assert told["listCoreV1ComponentStatus"] == "list objects of kind ComponentStatus"
