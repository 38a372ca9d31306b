"""What a structural schema takes out of a value and puts into it."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.custom_resources.defaulting import apply_defaults, prune_defaults
from kubetree.api.custom_resources.pruning import prune, prune_value
from kubetree.api.custom_resources.structure import Node

Object = dict[str, Any]
STRING = {"type": "string"}
FREE = "x-kubernetes-preserve-unknown-fields"


def fields(more: Object | None = None, **properties: Object) -> Object:
    return {"type": "object", "properties": properties, **(more or {})}


@pytest.mark.parametrize(
    ("schema", "value", "kept", "gone"),
    [
        (fields(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, ["b"]),
        (fields(a=fields(b=STRING)), {"a": {"b": "x", "c": {"d": 1}}}, {"a": {"b": "x"}}, ["a.c"]),
        (fields(a={"type": "array", "items": fields(b=STRING)}), {"a": [{"b": "x"}, {"c": 1}]}, {"a": [{"b": "x"}, {}]}, ["a[1].c"]),
        (
            fields(a={"type": "object", "additionalProperties": fields(b=STRING)}),
            {"a": {"k": {"b": "", "c": 1}}},
            {"a": {"k": {"b": ""}}},
            ["a.k.c"],
        ),
        (fields({FREE: True}, a=fields(b=STRING)), {"x": {"y": 1}, "a": {"c": 1}}, {"x": {"y": 1}, "a": {}}, ["a.c"]),
        (fields(a={FREE: True}), {"a": {"x": [{"y": 1}]}}, {"a": {"x": [{"y": 1}]}}, []),
        (fields(a={"type": "object"}), {"a": {"x": 1}}, {"a": {}}, ["a.x"]),
        (fields(a={"x-kubernetes-int-or-string": True}), {"a": 5}, {"a": 5}, []),
        (
            fields(a={"type": "object", "x-kubernetes-embedded-resource": True}),
            {"a": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}},
            {"a": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}},
            ["a.spec"],
        ),
    ],
)
def test_unknown_fields_are_pruned_and_told(schema: Object, value: Object, kept: Object, gone: list[str]) -> None:
    told: list[str] = []
    prune_value(value, Node(schema), told.append)
    assert (value, sorted(told)) == (kept, gone)


def test_the_root_always_has_type_and_metadata() -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"labels": {"a": "b"}}, "spec": {}}
    told: list[str] = []
    prune(obj, Node(fields(a=STRING)), told.append)
    assert obj == {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"labels": {"a": "b"}}}
    assert told == ["spec"]


@pytest.mark.parametrize(
    ("schema", "value", "after"),
    [
        (fields(a={**STRING, "default": "x"}), {}, {"a": "x"}),
        (fields(a={**STRING, "default": "x"}), {"a": ""}, {"a": ""}),
        (fields(a={**STRING, "default": "x"}), {"a": None}, {"a": "x"}),
        (fields(a={**STRING, "default": "x", "nullable": True}), {"a": None}, {"a": None}),
        (fields(a=fields(b={**STRING, "default": "x"})), {}, {}),
        (fields(a=fields(b={**STRING, "default": "x"})), {"a": {}}, {"a": {"b": "x"}}),
        (fields(a=fields({"default": {}}, b={**STRING, "default": "x"})), {}, {"a": {"b": "x"}}),
        (
            fields(a={"type": "array", "items": fields(b={**STRING, "default": "x"})}),
            {"a": [{}, {"b": "y"}]},
            {"a": [{"b": "x"}, {"b": "y"}]},
        ),
        (
            fields(a={"type": "object", "additionalProperties": fields(b={**STRING, "default": "x"})}),
            {"a": {"k": {}}},
            {"a": {"k": {"b": "x"}}},
        ),
        (fields(a={"type": "object", "additionalProperties": {**STRING, "default": "x"}}), {"a": {"k": None}}, {"a": {"k": "x"}}),
    ],
)
def test_defaults_fill_in_what_is_absent(schema: Object, value: Object, after: Object) -> None:
    apply_defaults(value, Node(schema))
    assert value == after


def test_each_object_gets_a_default_of_its_own() -> None:
    node = Node(fields(a={"type": "object", FREE: True, "default": {"list": [1]}}))
    first: Object = {}
    second: Object = {}
    apply_defaults(first, node)
    first["a"]["list"].append(2)
    apply_defaults(second, node)
    assert second == {"a": {"list": [1]}}


def test_defaults_are_pruned_themselves() -> None:
    node = Node(fields(a=fields({"default": {"b": "x", "unknown": 1}}, b=STRING)))
    prune_defaults(node)
    value: Object = {}
    apply_defaults(value, node)
    assert value == {"a": {"b": "x"}}


@pytest.mark.parametrize(
    ("schema", "value", "after"),
    [
        (fields(a={**STRING, "default": "x"}), {"a": None}, {"a": None}),
        (fields(a=STRING), {"a": None}, {}),
        (fields(a={**STRING, "default": "x", "nullable": True}), {"a": None}, {"a": None}),
    ],
)
def test_nulls_that_no_default_replaces_go(schema: Object, value: Object, after: Object) -> None:
    prune_value(value, Node(schema), lambda _: None)
    assert value == after


@pytest.mark.parametrize("free", [False, True])
def test_defaults_of_embedded_metadata_are_those_that_metadata_may_have(free: bool) -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, **({FREE: True} if free else {})}
    metadata = {"name": "Bar", "unknown": "x", "labels": {"a": 1}}
    schema = fields(
        each=fields(embedded, metadata=fields(name={**STRING, "default": "Bar"}, unknown={**STRING, "default": "x"})),
        meta=fields(embedded, metadata={"type": "object", "default": metadata}),
        whole={**embedded, "default": {"kind": "Foo", "metadata": metadata}},
    )
    node = Node(schema)
    prune_defaults(node)
    value: Object = {"each": {"metadata": {}}, "meta": {}}
    apply_defaults(value, node)
    assert value == {
        "each": {"metadata": {"name": "Bar"}},
        "meta": {"metadata": {"name": "Bar"}},
        "whole": {"kind": "Foo", "metadata": {"name": "Bar"}},
    }
