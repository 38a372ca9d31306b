"""Lists that are sets or maps, and whole objects inside of others."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.custom_resources.embedded import coerce_embedded, validate_embedded
from kubetree.api.custom_resources.lists import validate_lists
from kubetree.api.custom_resources.structure import Node

Object = dict[str, Any]
STRING = {"type": "string"}
SET = {"type": "array", "x-kubernetes-list-type": "set", "items": STRING}
MAP = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["a", "b"],
    "items": {"type": "object", "properties": {"a": STRING, "b": STRING}},
}
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}


def node(schema: Object) -> Node:
    return Node({"type": "object", "properties": {"x": schema}})


@pytest.mark.parametrize(
    ("schema", "value", "errors"),
    [
        (SET, ["a", "b"], []),
        (SET, ["a", "b", "a", "a"], ['x[2]: Duplicate value: "a"']),
        ({**SET, "items": {}}, [1, True, 1.0], []),
        ({**SET, "items": {}}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], ['x[1]: Duplicate value: {"a":1,"b":2}']),
        (MAP, [{"a": "1", "b": "2"}, {"a": "1", "b": "3"}], []),
        (MAP, [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}], ['x[1]: Duplicate value: {"a":"1","b":"2"}']),
        (MAP, [{"a": "1"}, {"a": "1"}], ['x[1]: Duplicate value: {"a":"1"}']),
        (MAP, ["a"], ['x[0]: Invalid value: "a": must be an object for an array of list-type map']),
        ({"type": "array", "items": STRING}, ["a", "a"], []),
        ({"type": "object", "additionalProperties": SET}, {"k": ["a", "a"]}, ['x[k][1]: Duplicate value: "a"']),
    ],
)
def test_no_item_comes_twice(schema: Object, value: Any, errors: list[str]) -> None:
    errs: list[Any] = []
    validate_lists(errs, {"x": value}, node(schema))
    assert [str(e).replace(": null", "") for e in errs] == errors


def embedded(**more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, **more}


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        (embedded(), []),
        ({"metadata": {}}, ["x.apiVersion: Required value", "x.kind: Required value"]),
        (embedded(apiVersion="a/b/c"), ['x.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c']),
        (embedded(kind=""), ['x.kind: Invalid value: "": must not be empty']),
    ],
)
def test_an_embedded_object_says_what_it_is(value: Object, errors: list[str]) -> None:
    errs: list[Any] = []
    validate_embedded(errs, {"x": value}, node(EMBEDDED))
    assert [str(e) for e in errs] == errors


def test_embedded_metadata_is_validated() -> None:
    errs: list[Any] = []
    validate_embedded(errs, {"x": embedded(metadata={"labels": {"a b": "c"}})}, node(EMBEDDED))
    assert [e.field for e in errs] == ["x.metadata.labels"]


def test_embedded_metadata_is_coerced() -> None:
    value = {"x": embedded(metadata={"name": "p", "unknown": 1}, spec={"any": 1})}
    told: list[str] = []
    coerce_embedded(value, node(EMBEDDED), told.append)
    assert value == {"x": embedded(spec={"any": 1})}
    assert told == ["x.metadata.unknown"]


def test_embedded_metadata_of_a_wrong_type_is_refused_or_dropped() -> None:
    value = {"x": embedded(metadata={"name": "p", "labels": "text"})}
    with pytest.raises(ValueError, match=r"^x\.metadata: Invalid value: "):
        coerce_embedded(value, node(EMBEDDED), lambda _: None)
    coerce_embedded(value, node(EMBEDDED), lambda _: None, drop=True)
    assert value == {"x": embedded()}
