"""Whether values fit a schema, and the words where they do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.custom_resources.correlation import Correlated
from kubetree.api.custom_resources.structure import Node
from kubetree.api.custom_resources.values import Values

Object = dict[str, Any]


def told(schema: Object, value: Any, path: str = "") -> list[str]:
    values = Values(schema)
    found = [str(error) for error in values.faults(value, path)]
    assert values.fits(value) == (not found)
    return found


def spec(**schema: Any) -> Object:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "nullable": True}, None),
        ({"type": "integer"}, 3),
        ({"type": "integer"}, 3.0),
        ({"type": "number"}, 3),
        ({"type": "number"}, 2.5),
        ({"x-kubernetes-int-or-string": True}, "x"),
        ({"x-kubernetes-int-or-string": True}, 3),
        ({"type": "string", "enum": ["x", "y"]}, "x"),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 3),
        ({"type": "string", "pattern": "^a+$"}, "aa"),
        ({"type": "string", "maxLength": 2}, "éé"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T00:00:00Z"),
        ({"type": "string", "format": "no-such-format"}, "anything"),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": "b"}),
    ],
)
def test_values_that_fit(schema: Object, value: Any) -> None:
    assert told(spec(**schema), {"a": value}) == []


@pytest.mark.parametrize(
    ("schema", "value", "error"),
    [
        ({"type": "string"}, 1, 'a: Invalid value: "integer": a in body must be of type string: "integer"'),
        ({"type": "string"}, None, 'a: Invalid value: "null": a in body must be of type string: "null"'),
        ({"type": "integer"}, "x", 'a: Invalid value: "string": a in body must be of type integer: "string"'),
        ({"type": "integer"}, True, 'a: Invalid value: "boolean": a in body must be of type integer: "boolean"'),
        ({"type": "boolean"}, 1, 'a: Invalid value: "integer": a in body must be of type boolean: "integer"'),
        ({"x-kubernetes-int-or-string": True}, True, 'a: Invalid value: "boolean": a in body must be of type integer,string: "boolean"'),
        ({"type": "string", "enum": ["x", "y"]}, "z", 'a: Unsupported value: "z": supported values: "x", "y"'),
        ({"type": "string", "maxLength": 2}, "xyz", "a: Too long: may not be more than 2 bytes"),
        ({"type": "string", "minLength": 2}, "x", 'a: Invalid value: "x": a in body should be at least 2 chars long'),
        ({"type": "string", "pattern": "^a$"}, "b", "a: Invalid value: \"b\": a in body should match '^a$'"),
        ({"type": "integer", "minimum": 2}, 1, "a: Invalid value: 1: a in body should be greater than or equal to 2"),
        ({"type": "integer", "maximum": 2}, 3, "a: Invalid value: 3: a in body should be less than or equal to 2"),
        ({"type": "integer", "maximum": 2, "exclusiveMaximum": True}, 2, "a: Invalid value: 2: a in body should be less than 2"),
        ({"type": "integer", "multipleOf": 2}, 3, "a: Invalid value: 3: a in body should be a multiple of 2"),
        ({"type": "array", "maxItems": 1, "items": {"type": "integer"}}, [1, 2], "a: Too many: 2: must have at most 1 item"),
        ({"type": "array", "minItems": 1, "items": {"type": "integer"}}, [], "a: Invalid value: 0: a in body should have at least 1 items"),
        (
            {"type": "array", "items": {"type": "integer"}},
            [1, "x"],
            'a[1]: Invalid value: "string": a[1] in body must be of type integer: "string"',
        ),
        ({"type": "object", "maxProperties": 0}, {"x": 1}, "a: Too many: 1: must have at most 0 items"),
        ({"type": "object", "required": ["b"]}, {}, "a.b: Required value"),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"k": 1},
            'a.k: Invalid value: "integer": a.k in body must be of type string: "integer"',
        ),
        ({"type": "string", "format": "ipv4"}, "x", 'a: Invalid value: "x": a in body must be of type ipv4: "x"'),
        ({"not": {"required": ["b"]}}, {"b": 1}, '<nil>: Invalid value: "": "a" must not validate the schema (not)'),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_kube_openapi(schema: Object, value: Any, error: str) -> None:
    assert told(spec(**schema), {"a": value}) == [error]


def test_a_fraction_is_no_integer() -> None:
    assert told(spec(type="integer"), {"a": 2.5}) == [
        'a: Invalid value: "number": a in body must be of type integer: "number"',
        '<nil>: Invalid value: "": Checked value must be of type integer (default format) in a',
    ]


def test_alternatives() -> None:
    either = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert told(either, {"a": 1}) == []
    both = told(either, {"a": 1, "b": 1})
    assert both == ['<nil>: Invalid value: "": "" must validate one and only one schema (oneOf). Found 2 valid alternatives']
    assert "oneOf). Found none valid" in told(either, {})[0]
    assert told({"anyOf": either["oneOf"]}, {"a": 1, "b": 1}) == []
    assert "must validate at least one schema (anyOf)" in told({"anyOf": either["oneOf"]}, {})[0]
    assert any("must validate all the schemas (allOf)" in e for e in told({"allOf": either["oneOf"]}, {"a": 1}))


def test_what_was_wrong_before_is_let_through_while_it_stays() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}, "b": {"type": "string", "maxLength": 1}}}
    old = {"a": "long", "b": "x"}

    def update(new: Object) -> list[str]:
        return [str(e) for e in Values(schema).faults(new, correlated=Correlated(new, old, Node(schema)))]

    assert update({"a": "long", "b": "y"}) == []
    assert update({"a": "longer", "b": "x"}) == ["a: Too long: may not be more than 1 byte"]
    assert update({"a": "long", "b": "long"}) == ["b: Too long: may not be more than 1 byte"]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(-3, 3), st.sampled_from(["", "a", "abc", "10.0.0.1"]))
VALUES = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner)))
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2),
        "multipleOf": st.integers(1, 3),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "c$"]),
        "format": st.sampled_from(["ipv4", "int32", "float", "date"]),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "minProperties": st.integers(0, 2),
        "maxProperties": st.integers(0, 2),
        "required": st.lists(st.sampled_from("abc"), max_size=2),
        "enum": st.lists(SCALARS, min_size=1, max_size=3),
        "nullable": st.booleans(),
        "type": st.sampled_from(["string", "integer", "number", "boolean", "array", "object"]),
        "x-kubernetes-int-or-string": st.booleans(),
    },
)


def _nested(inner: st.SearchStrategy[Object]) -> st.SearchStrategy[Object]:
    several = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["array", "object"]),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "items": inner,
            "additionalProperties": st.one_of(st.booleans(), inner),
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "not": inner,
        },
    )


@given(st.recursive(LIMITS, _nested, max_leaves=6), VALUES)
def test_the_quick_answer_is_that_of_the_long_one(schema: Object, value: Any) -> None:
    values = Values(schema)
    assert values.fits(value) == (not values.faults(value))
