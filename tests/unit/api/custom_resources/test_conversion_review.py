"""Which answers of a conversion webhook are believed."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.custom_resources.conversion_review import ConversionError, converted, review
from kubetree.api.objects import copy

Object = dict[str, Any]
WHAT = "conversion webhook for example.com/v1, Kind=Foo"


def foo(version: str = "v1", name: str = "a", **metadata: Any) -> Object:
    return {"apiVersion": f"example.com/{version}", "kind": "Foo", "metadata": {"name": name, "uid": "u", **metadata}}


def asked(*objs: Object, versions: tuple[str, ...] = ("v1",)) -> Object:
    return review(versions, objs or (foo(),), "example.com/v2", "id")


def answer(request: Object, *objs: Any, **response: Any) -> Object:
    given = {"uid": "id", "convertedObjects": list(objs), "result": {"status": "Success"}, **response}
    return {"apiVersion": request["apiVersion"], "kind": "ConversionReview", "response": given}


def test_the_first_known_version_is_asked() -> None:
    assert asked(versions=("v2", "v1beta1", "v1")) == {
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1beta1",
        "request": {"uid": "id", "desiredAPIVersion": "example.com/v2", "objects": [foo()]},
    }
    with pytest.raises(ConversionError):
        asked(versions=("v2",))


def test_labels_and_annotations_and_everything_but_metadata_are_taken() -> None:
    request = asked(foo(labels={"a": "b"}, finalizers=["example.com/x"]))
    given = {**foo("v2", labels={"c": "d"}, annotations={"e": "f"}, finalizers=[], generation=7), "spec": {"n": 1}}
    assert converted(request, answer(request, given)) == [
        {**foo("v2", finalizers=["example.com/x"], labels={"c": "d"}, annotations={"e": "f"}), "spec": {"n": 1}}
    ]
    bare = foo("v2")
    assert converted(request, answer(request, bare))[0]["metadata"] == {"name": "a", "uid": "u", "finalizers": ["example.com/x"]}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            {"apiVersion": "example.com/v3"},
            "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v3)",
        ),
        ({"kind": "Bar"}, "returned invalid object at index 0: invalid kind (expected Foo, received Bar)"),
        ({"kind": None}, "returned invalid object at index 0: Object 'Kind' is missing"),
        ({"metadata": {"name": "b", "uid": "u"}}, "returned invalid object: must have the same name: a != b"),
        ({"metadata": {"name": "a", "uid": "w"}}, "returned invalid object: must have the same UID: u != w"),
        ({"metadata": {"name": "a", "uid": "u", "namespace": "n"}}, "returned invalid object: must have the same namespace:  != n"),
        (
            {"metadata": {"name": "a", "uid": "u", "labels": 1}},
            "returned invalid metadata: invalid metadata.labels of type int64 in converted object",
        ),
        (
            {"metadata": {"name": "a", "uid": "u", "labels": {"k": 1}}},
            "returned invalid metadata: metadata.labels[k] must be a string, but is int64 in converted object",
        ),
    ],
)
def test_an_object_keeps_its_identity(change: Object, error: str) -> None:
    request = asked()
    with pytest.raises(ConversionError) as caught:
        converted(request, answer(request, {**foo("v2"), **change}))
    assert str(caught.value) == f"{WHAT} {error}"


def test_labels_must_be_labels() -> None:
    request = asked()
    with pytest.raises(ConversionError, match=r"returned invalid metadata: metadata\.labels: Invalid value: "):
        converted(request, answer(request, foo("v2", labels={"a b": ""})))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"uid": "other"}, 'failed: expected response.uid="id", got "other"'),
        ({"result": {"status": "Failure", "message": "no way"}}, "failed: no way"),
        ({"result": {}}, "failed: response.result.status was '', not 'Success'"),
        ({"convertedObjects": []}, "returned 0 objects, expected 1"),
    ],
)
def test_what_an_answer_must_say(change: Object, error: str) -> None:
    request = asked()
    with pytest.raises(ConversionError) as caught:
        converted(request, answer(request, foo("v2"), **change))
    assert str(caught.value) == f"{WHAT} {error}"


def test_an_answer_is_a_review_of_the_same_version() -> None:
    request = asked()
    with pytest.raises(ConversionError, match="expected webhook response of apiextensions"):
        converted(request, {**answer(request, foo("v2")), "apiVersion": "apiextensions.k8s.io/v1beta1"})
    with pytest.raises(ConversionError, match="no response provided"):
        converted(request, {"apiVersion": request["apiVersion"], "kind": "ConversionReview"})


def test_v1beta1_needs_no_uid() -> None:
    request = asked(versions=("v1beta1",))
    assert converted(request, answer(request, foo("v2"), uid="")) == [foo("v2")]


def test_the_originals_stay_as_they_are() -> None:
    original = foo(labels={"a": "b"})
    request = asked(original)
    before = copy(original)
    out = converted(request, answer(request, foo("v2", labels={"c": "d"})))
    out[0]["metadata"]["labels"]["e"] = "f"
    assert original == before
