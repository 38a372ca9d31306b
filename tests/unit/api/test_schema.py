"""Strict decoding: what is accepted, what is refused and in which words."""

import contextlib
import json
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api import errors, schema
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.quantities import parse_quantity
from kubetree.api.schema import definitions as d
from kubetree.api.schema import types
from kubetree.api.schema.go_json import parse
from kubetree.api.schema.go_values import drop_zeros
from kubetree.api.schema.walk import Fault, Walk

POD, DEPLOYMENT = kind("v1", "Pod"), kind("apps/v1", "Deployment")


def pod(**spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def refusal(which: Kind, document: object, validation: str = "Strict") -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(errors.BadRequest) as refused:
        schema.decode(which, data, validation)
    return refused.value.message


def test_a_good_object_comes_back_as_it_is() -> None:
    good = pod(nodeSelector={"a": "b"}, terminationGracePeriodSeconds=30)
    assert schema.decode(POD, json.dumps(good).encode()) == (good, [])
    assert schema.decode(POD, json.dumps(good, indent=2).encode()) == (good, [])


def test_unknown_and_duplicate_fields_are_all_named() -> None:
    data = b'{"apiVersion":"v1","kind":"Pod","foo":1,"spec":{"bar":{},"containers":[{"name":"a","name":"b","baz":1}]}}'
    assert refusal(POD, data) == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "foo", unknown field "spec.bar",'
        ' duplicate field "spec.containers[0].name", unknown field "spec.containers[0].baz"'
    )


def test_warn_warns_and_ignore_is_silent_and_both_drop_them() -> None:
    data = b'{"apiVersion":"v1","kind":"Pod","spec":{"bar":{},"nodeName":"x","nodeName":"y"}}'
    cleaned = {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "y"}}
    assert schema.decode(POD, data, "Warn") == (cleaned, ['unknown field "spec.bar"', 'duplicate field "spec.nodeName"'])
    assert schema.decode(POD, data, "Ignore") == (cleaned, [])


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"replicas": "3"}, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"replicas": 1.5}, "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"replicas": 2**31}, "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"paused": "no"}, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"),
        ({"template": []}, "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec"),
        (
            {"template": {"spec": {"containers": {}}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            {"template": {"spec": {"containers": [{"image": 5}]}}},
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.image of type string",
        ),
        (
            {"selector": {"matchLabels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field LabelSelector.spec.selector.matchLabels of type string",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": True}}},
            "json: cannot unmarshal bool into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
        ),
        (
            {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_mistyped_fields_are_refused_in_gos_words_whatever_the_validation(spec: dict, why: str) -> None:
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
    for validation in ("Strict", "Warn", "Ignore"):
        assert refusal(DEPLOYMENT, document, validation) == f'Deployment in version "v1" cannot be handled as a Deployment: {why}'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        (b"{", "couldn't get version/kind; json parse error: unexpected end of JSON input ({)"),
        (b"hello", "couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value (68656c6c6f)"),
        (b'{"a" 1}', """invalid character '1' after object key ({"a" 1})"""),
        (b'{"a":1,}', """invalid character '}' looking for beginning of object key string ({"a":1,})"""),
        (b'{"a":tru}', """invalid character '}' in literal true (expecting 'e') ({"a":tru})"""),
        (b'{"a":[1 2]}', """invalid character '2' after array element ({"a":[1 2]})"""),
        (b'{"a":1}}', """invalid character '}' after top-level value ({"a":1}})"""),
        (b'{"a":NaN}', """invalid character 'N' looking for beginning of value ({"a":NaN})"""),
        (b'{"a":"\\x"}', """invalid character 'x' in string escape code"""),
        (b'{"kind":5}', 'json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})'),
    ],
)
def test_broken_json_is_refused_in_gos_words(data: bytes, why: str) -> None:
    message = refusal(POD, data)
    assert message.startswith("the object provided is unrecognized (must be of type Pod): ")
    assert why in message


def test_null_is_absent() -> None:
    data = b'{"metadata":{"creationTimestamp":null,"labels":{"a":null}},"spec":{"containers":null,"volumes":[null]},"status":null}'
    obj, _ = schema.decode(POD, data)
    assert obj == {"metadata": {"labels": {"a": ""}}, "spec": {"volumes": [{}]}}


def test_times_become_utc_and_quantities_canonical() -> None:
    document = pod(containers=[{"name": "c", "resources": {"limits": {"cpu": 0.5, "memory": "1e3"}}}])
    document["metadata"]["deletionTimestamp"] = "2026-03-01T01:00:00+02:00"
    obj, _ = schema.decode(POD, json.dumps(document).encode())
    assert obj["metadata"]["deletionTimestamp"] == "2026-02-28T23:00:00Z"
    assert obj["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1e3"}


def test_a_bad_time_or_base64_is_refused() -> None:
    document = pod()
    document["metadata"]["deletionTimestamp"] = "yesterday"
    assert 'parsing time "yesterday"' in refusal(POD, document)
    assert "illegal base64 data at input byte 3" in refusal(kind("v1", "Secret"), {"data": {"a": "YWJ!"}})
    assert schema.decode(kind("v1", "Secret"), b'{"data":{"a":"YW\\nI="}}')[0] == {"data": {"a": "YWI="}}


def test_free_json_inside_typed_objects_is_kept() -> None:
    revision = kind("apps/v1", "ControllerRevision")
    obj, _ = schema.decode(revision, b'{"data":{"spec":{"x":null,"y":[1]}},"revision":1}')
    assert obj["data"] == {"spec": {"x": None, "y": [1]}}
    entry = {"manager": "m", "fieldsV1": {"f:a": {}}, "time": "2026-01-02T03:04:05Z"}
    assert schema.decode(POD, json.dumps({"metadata": {"managedFields": [entry]}}).encode())[0]["metadata"]["managedFields"] == [entry]


def test_schemas_of_custom_resource_definitions_hold_themselves() -> None:
    crd = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    props = {"type": "object", "additionalProperties": True, "properties": {"a": {"items": {"type": "string"}, "not": {"type": "null"}}}}
    document = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": props}}]}}
    assert schema.decode(crd, json.dumps(document).encode())[0] == document
    props["properties"]["a"]["bad"] = 1
    assert 'unknown field "spec.versions[0].schema.openAPIV3Schema.properties.a.bad"' in refusal(crd, document)


def test_a_kind_that_is_not_built_in_is_free_below_its_metadata() -> None:
    custom = Kind("example.com", "v1", "Thing", "things")
    assert schema.decode(custom, b'{"metadata":{"name":"a"},"spec":{"x":1}}')[0] == {"metadata": {"name": "a"}, "spec": {"x": 1}}
    assert 'duplicate field "spec.x"' in refusal(custom, b'{"spec":{"x":1,"x":2}}')
    assert "ObjectMeta.metadata.name of type string" in refusal(custom, b'{"metadata":{"name":1}}')


def test_check_says_the_bare_message_and_cleans_in_place() -> None:
    obj = pod(bogus=1)
    with pytest.raises(errors.BadRequest) as refused:
        schema.check(POD, obj)
    assert refused.value.message == 'strict decoding error: unknown field "spec.bogus"'
    assert schema.check(POD, obj, "Warn") == ['unknown field "spec.bogus"'] and "bogus" not in obj["spec"]
    obj["status"] = None
    assert schema.check(POD, obj) == [] and "status" not in obj


def test_a_patch_result_is_told_in_alphabetical_order_after_the_patch_itself() -> None:
    obj = pod(zebra=1, ape=2)
    faults = schema.duplicate_fields(b'{"spec":{"a":[{"x":1,"x":2}],"b":1,"b":2}}')
    assert faults == ['duplicate field "spec.a[0].x"', 'duplicate field "spec.b"']
    assert schema.check(POD, obj, "Warn", faults) == [*faults, 'unknown field "spec.ape"', 'unknown field "spec.zebra"']
    assert schema.duplicate_fields(b'{"a":{"b":1},"c":{"b":":"}}') == []


def test_members_of_json_patch_operations() -> None:
    data = b'[{"op":"add","path":"/a","value":{"x":1,"x":2},"foo":1},{"op":"test","path":"/a","path":"/b"}]'
    assert schema.json_patch_faults(data) == [
        'json patch duplicate field "[0].value.x"',
        'json patch unknown field "[0].foo"',
        'json patch duplicate field "[1].path"',
    ]


def test_faults_of_yaml_come_before_those_of_the_type() -> None:
    data = json.dumps(pod(bogus=1)).encode()
    with pytest.raises(errors.BadRequest, match=r'strict decoding error: yaml: twice, unknown field "spec\.bogus"'):
        schema.decode(POD, data, "Strict", ["yaml: twice"])
    assert schema.decode(POD, json.dumps(pod()).encode(), "Warn", ["yaml: twice"]) == (pod(), ["yaml: twice"])


def test_every_definition_compiles_and_the_walk_agrees_with_it() -> None:
    for name in d.definitions():
        if "JSONSchemaPropsOr" not in name:
            types.decoder(name), types.object_type(name)
    assert schema.decode_as("io.k8s.api.autoscaling.v1.Scale", b'{"spec":{"replicas":3}}') == ({"spec": {"replicas": 3}}, [])


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3), lambda j: st.lists(j, max_size=3) | st.dictionaries(st.sampled_from(["name", "spec", "metadata", "labels", "containers", "x"]), j, max_size=4), max_leaves=12)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON, max_size=3))
def test_what_decodes_decodes_again_to_itself(document: dict) -> None:
    try:
        obj, _ = schema.decode(POD, json.dumps(document).encode(), "Ignore")
    except errors.BadRequest:
        return
    assert schema.decode(POD, json.dumps(obj).encode(), "Strict") == (obj, [])


@given(st.binary(max_size=20) | st.text(alphabet='{}[]",:\\u01e.-truefalsn ', max_size=14).map(str.encode))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    with contextlib.suppress(errors.BadRequest):
        schema.decode(POD, data)


@given(st.builds(lambda n, s: f"{n}{s}", st.integers(-5000, 10**7) | st.sampled_from(["0.5", "1.5", "007"]), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Ei", "n", "E", "e3"])))  # fmt: skip
def test_quantities_are_canonical_after_decoding(quantity: str) -> None:
    data = json.dumps({"spec": {"hard": {"x": quantity}}}).encode()
    obj, _ = schema.decode(kind("v1", "ResourceQuota"), data)
    assert obj["spec"]["hard"]["x"] == str(parse_quantity(quantity))


def values_of(part: dict, depth: int = 0) -> st.SearchStrategy:
    """Values that mostly fit a schema."""
    name = d.reference(part)
    odd = st.sampled_from([None, True, 1, -1, 2**31, 1.5, "", "x", "5m", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00Z", [], {}])
    if name in (d.QUANTITY, d.INT_OR_STRING, d.TIME, d.MICRO_TIME) or name in d.ANYTHING:
        good = st.sampled_from(["1", "500m", "1Gi", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z", 5, {"a": None}])
        return st.one_of(good, good, odd)
    if name is not None:
        return objects_of(name, depth) if depth < 4 else odd
    kind = d.type_of(part)
    if kind == "array":
        return st.one_of(st.lists(values_of(part["items"], depth + 1), max_size=2), odd) if depth < 4 else odd
    if kind == "object":
        values = part.get("additionalProperties")
        inner = values_of(values, depth + 1) if isinstance(values, dict) else odd
        return st.one_of(st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2), odd)
    good = {"string": st.sampled_from(["x", "YQ==", "a"]), "integer": st.integers(-5, 70000), "boolean": st.booleans()}
    return st.one_of(good.get(kind, odd), good.get(kind, odd), good.get(kind, odd), odd)


def objects_of(name: str, depth: int = 0) -> st.SearchStrategy:
    properties = d.definitions()[name].get("properties") or {}

    @st.composite
    def build(draw):
        chosen = draw(st.lists(st.sampled_from(sorted(properties)), max_size=4, unique=True)) if properties else []
        return {key: draw(values_of(properties[key], depth + 1)) for key in chosen}

    return build()


NAMES = [f"io.k8s.api.{n}" for n in ("core.v1.Pod", "core.v1.PodSpec", "core.v1.Container", "apps.v1.DeploymentSpec", "core.v1.Secret")]
NAMES += ["io.k8s.api.coordination.v1.LeaseSpec", d.OBJECT_META, "io.k8s.api.core.v1.ServiceSpec", "io.k8s.api.apps.v1.ControllerRevision"]
NAMES += ["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps", "io.k8s.api.rbac.v1.ClusterRole"]


@given(st.sampled_from(NAMES).flatmap(lambda name: st.tuples(st.just(name), objects_of(name))))
def test_what_the_compiled_types_accept_the_walk_leaves_as_it_is(given_object: tuple[str, dict]) -> None:
    name, obj = given_object
    data = json.dumps(obj).encode()
    walk = Walk()
    try:
        cleaned = walk.run(name, parse(data))
        refused = bool(walk.error or walk.strict_errors)
    except Fault:
        cleaned, refused = None, True
    try:
        types.decoder(name).decode(data)
    except msgspec.ValidationError:
        return
    assert not refused
    if b"null" not in data:
        assert cleaned == obj
    drop_zeros(name, cleaned)
    assert schema.decode_as(name, data) == (cleaned, [])
    assert schema.check(name, obj) == []
    assert obj == cleaned


def test_nulls_and_zero_values_need_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scheduled pod has a lastProbeTime of null: the walk costs its updates a millisecond."""
    monkeypatch.setattr(sys.modules["kubetree.api.schema.decode"], "Walk", None)
    data = b'{"metadata":{"labels":{}},"status":{"conditions":[{"type":"Ready","status":"True","lastProbeTime":null}],"podIPs":[]}}'
    wanted = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    obj = json.loads(data)
    assert schema.decode(kind("v1", "Pod"), data) == (wanted, [])
    assert schema.check(kind("v1", "Pod"), obj) == []
    assert obj == wanted
