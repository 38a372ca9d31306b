"""JSON, merge and strategic merge patches."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.patches import PatchFailed, json_patch, merge_patch, restored, strategic_merge

POD, DEPLOYMENT = kind("v1", "Pod"), kind("apps/v1", "Deployment")
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
JSON = st.recursive(SCALARS, lambda j: st.lists(j, max_size=3) | st.dictionaries(st.sampled_from("abc"), j, max_size=3), max_leaves=8)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def difference(old, new):
    """A merge patch from old to new, which must hold no nulls."""
    patch = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            patch[key] = difference(before, value)
        elif isinstance(value, dict) and key in old:
            patch[key] = value
        else:
            patch[key] = value
    return patch


def without_nulls(value):
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


# JSON patch


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ([{"op": "add", "path": "/a/x~1y", "value": 1}], {"a": {"b": [1, 2], "x/y": 1}}),
        ([{"op": "add", "path": "/a/b/-", "value": 3}], {"a": {"b": [1, 2, 3]}}),
        ([{"op": "add", "path": "/a/b/0", "value": 3}], {"a": {"b": [3, 1, 2]}}),
        ([{"op": "remove", "path": "/a/b/1"}], {"a": {"b": [1]}}),
        ([{"op": "replace", "path": "/a/b", "value": None}], {"a": {"b": None}}),
        ([{"op": "replace", "path": "/new", "value": 1}], {"a": {"b": [1, 2]}, "new": 1}),
        ([{"op": "move", "from": "/a/b/0", "path": "/c"}], {"a": {"b": [2]}, "c": 1}),
        ([{"op": "copy", "from": "/a/b", "path": "/a/c"}], {"a": {"b": [1, 2], "c": [1, 2]}}),
        ([{"op": "test", "path": "/a/b", "value": [1, 2]}, {"op": "test", "path": "/none", "value": None}], {"a": {"b": [1, 2]}}),
        ([{"op": "replace", "path": "", "value": {"z": 1}}], {"z": 1}),
    ],
)
def test_json_patch(patch, result) -> None:
    assert json_patch({"a": {"b": [1, 2]}}, patch) == result


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
        ({"op": "test", "path": "/a", "value": True}, "testing value /a failed: test failed"),
        ({"op": "remove", "path": "/x"}, "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value"),
        ({"op": "add", "path": "/x/y", "value": 1}, 'add operation does not apply: doc is missing path: "/x/y": missing value'),
        ({"op": "add", "path": "/l/9", "value": 1}, "Unable to access invalid index: 9: invalid index referenced"),
        ({"op": "add", "value": 1}, "add operation failed to decode path: missing value"),
        ({"op": "grow", "path": "/a"}, "Unexpected kind: grow"),
    ],
)
def test_an_operation_that_does_not_apply_is_invalid(operation, why) -> None:
    with pytest.raises(errors.Invalid) as refused:
        json_patch({"a": 1, "l": []}, [operation])
    assert refused.value.message == "the server rejected our request due to an error in our request"
    assert refused.value.to_status()["details"] == {}  # upstream keeps the reason to itself
    assert why in refused.value.why


def test_what_is_no_json_patch_is_a_bad_request() -> None:
    with pytest.raises(errors.BadRequest):
        json_patch({}, {"op": "add"})  # type: ignore[arg-type]


@given(DOCUMENTS, st.sampled_from("abc"), JSON)
def test_add_then_remove_leaves_the_rest(doc, key, value) -> None:
    before = copy.deepcopy(doc)
    patched = json_patch(doc, [{"op": "add", "path": f"/{key}", "value": value}, {"op": "test", "path": f"/{key}", "value": value}])
    assert patched[key] == value and doc == before
    assert json_patch(patched, [{"op": "remove", "path": f"/{key}"}]) == {k: v for k, v in doc.items() if k != key}


# merge patch


@given(DOCUMENTS.map(without_nulls), DOCUMENTS.map(without_nulls))
def test_a_merge_patch_of_the_difference_makes_the_new_document(old, new) -> None:
    before = copy.deepcopy(old)
    assert merge_patch(old, difference(old, new)) == new
    assert old == before


@given(DOCUMENTS, DOCUMENTS)
def test_a_merge_patch_is_idempotent(doc, patch) -> None:
    once = merge_patch(doc, patch)
    assert merge_patch(once, patch) == once


def test_nulls_inside_new_objects_vanish() -> None:
    assert merge_patch({}, {"a": {"b": None, "c": 1}}) == {"a": {"c": 1}}


# strategic merge patch


def deployment(**spec):
    return {"spec": {"template": {"spec": spec}}}


def containers(result):
    return result["spec"]["template"]["spec"]["containers"]


def test_containers_merge_by_name() -> None:
    live = deployment(containers=[{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "1"}])
    patch = deployment(containers=[{"name": "b", "image": "2"}, {"name": "c"}, {"name": "a", "env": [{"name": "Y", "value": "2"}]}])
    result = strategic_merge(DEPLOYMENT, live, patch)
    assert {c["name"]: c for c in containers(result)} == {
        "a": {"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
        "b": {"name": "b", "image": "2"},
        "c": {"name": "c"},
    }
    assert containers(live)[1]["image"] == "1"


def test_a_list_without_a_merge_strategy_is_replaced() -> None:
    live = deployment(containers=[{"name": "a", "args": ["1", "2"]}], tolerations=[{"key": "x"}])
    patch = deployment(containers=[{"name": "a", "args": ["3"]}], tolerations=[{"key": "y"}])
    result = strategic_merge(DEPLOYMENT, live, patch)
    assert containers(result)[0]["args"] == ["3"] and result["spec"]["template"]["spec"]["tolerations"] == [{"key": "y"}]


def test_delete_and_replace_directives() -> None:
    live = deployment(containers=[{"name": "a"}, {"name": "b"}], nodeSelector={"x": "1"})
    gone = strategic_merge(DEPLOYMENT, live, deployment(containers=[{"name": "a", "$patch": "delete"}]))
    assert containers(gone) == [{"name": "b"}]
    replaced = strategic_merge(DEPLOYMENT, live, deployment(containers=[{"name": "z"}, {"$patch": "replace"}]))
    assert containers(replaced) == [{"name": "z"}]
    selector = strategic_merge(DEPLOYMENT, live, deployment(nodeSelector={"$patch": "replace", "y": "2"}))
    assert selector["spec"]["template"]["spec"]["nodeSelector"] == {"y": "2"}
    emptied = strategic_merge(DEPLOYMENT, live, deployment(nodeSelector={"$patch": "delete"}))
    assert emptied["spec"]["template"]["spec"]["nodeSelector"] == {}


def test_retain_keys_as_kubectl_sends_them_for_volumes_and_strategy() -> None:
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(DEPLOYMENT, live, patch) == {"spec": {"strategy": {"type": "Recreate"}}}
    volumes = {"spec": {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/"}}]}}
    swap = {"spec": {"volumes": [{"$retainKeys": ["name", "secret"], "name": "v", "secret": {"secretName": "s"}}]}}
    by_name = {v["name"]: v for v in strategic_merge(POD, volumes, swap)["spec"]["volumes"]}
    assert by_name == {"v": {"name": "v", "secret": {"secretName": "s"}}, "w": {"name": "w", "hostPath": {"path": "/"}}}
    with pytest.raises(errors.BadRequest, match="invalid patch format of retainKeys"):
        strategic_merge(DEPLOYMENT, live, {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}})


def test_primitive_lists() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic_merge(POD, live, {"metadata": {"finalizers": ["c", "a"]}})
    assert set(added["metadata"]["finalizers"]) == {"a", "b", "c"}
    removed = strategic_merge(POD, live, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert removed["metadata"]["finalizers"] == ["b"]


def test_set_element_order_rules_over_the_live_order() -> None:
    live = deployment(containers=[{"name": "sidecar"}, {"name": "a"}, {"name": "b"}])
    patch = deployment(containers=[{"name": "c"}, {"name": "a", "image": "2"}])
    patch["spec"]["template"]["spec"]["$setElementOrder/containers"] = [{"name": "b"}, {"name": "c"}, {"name": "a"}]
    assert [c["name"] for c in containers(strategic_merge(DEPLOYMENT, live, patch))] == ["sidecar", "b", "c", "a"]


def test_null_removes_and_vanishes_where_there_is_nothing() -> None:
    live = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert strategic_merge(POD, live, {"metadata": {"labels": {"a": None, "z": None}, "annotations": {"c": None}}}) == {
        "metadata": {"labels": {"b": "2"}, "annotations": {}}
    }


def test_what_does_not_fit_the_type_is_refused() -> None:
    with pytest.raises(errors.ApiError, match="does not contain declared merge key: name"):
        strategic_merge(DEPLOYMENT, deployment(containers=[{"name": "a"}]), deployment(containers=[{"image": "x"}]))
    with pytest.raises(errors.ApiError, match=r"unknown patch type: explode in map: map\[\$patch:explode x:1\]"):
        strategic_merge(DEPLOYMENT, deployment(nodeSelector={"a": "b"}), deployment(nodeSelector={"$patch": "explode", "x": "1"}))


@st.composite
def pods(draw):
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True))
    images = draw(st.dictionaries(st.sampled_from(["image", "workingDir"]), st.text("xy", max_size=2), max_size=2))
    labels = draw(st.dictionaries(st.sampled_from("abc"), st.text("xy", max_size=2)))
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, **images} for name in names]}}


@given(pods(), pods())
def test_a_strategic_merge_is_idempotent_and_keeps_every_name(doc, patch) -> None:
    before = json.dumps([doc, patch])
    once = strategic_merge(POD, doc, patch)
    assert strategic_merge(POD, once, patch) == once
    names = [c["name"] for c in once["spec"]["containers"]]
    assert sorted(names) == sorted({c["name"] for o in (doc, patch) for c in o["spec"]["containers"]})
    assert [n for n in names if n in {c["name"] for c in patch["spec"]["containers"]}] == [c["name"] for c in patch["spec"]["containers"]]
    assert json.dumps([doc, patch]) == before


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec", "cannot restore struct from: slice"),
        ("json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container", "cannot restore slice from map"),
        ("json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string", "cannot restore map from string"),
        ("json: cannot unmarshal number into Go struct field ConfigMap.data of type string", "cannot convert int64 to string"),
        ("json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32", "cannot convert float64 to int32"),
        ("json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32", "unrecognized type: int32"),
        ("something else", "something else"),
    ],
)  # fmt: skip
def test_a_strategic_patch_that_does_not_fit_is_refused_in_the_converters_words(message, words) -> None:
    assert restored(message) == words


def test_copies_that_double_an_object_end_before_memory_does() -> None:
    patch = [{"op": "copy", "from": "/data", "path": f"/data/x{number}"} for number in range(60)]
    with pytest.raises(PatchFailed) as failed:
        json_patch({"data": {"a": "b"}}, patch)
    assert failed.value.why.startswith("Unable to complete the copy, the accumulated size increase of copy is")
    assert failed.value.why.endswith("exceeding the limit 3145728")
