"""Types of schemas and of built-in kinds: what the checker sees, how names are escaped, how large things may be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.cel import CompileError, Environment, Type, kind_type, schema_type
from kubetree.api.cel.names import escape, unescape
from kubetree.api.cel.types import describe
from kubetree.api.kind_table import kind


def type_of(schema: dict[str, Any], *, root: bool = False) -> Type:
    t = schema_type(schema, resource_root=root)
    assert t is not None
    return t


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "double"),
        ({"type": "string", "format": "date-time"}, "timestamp"),
        ({"type": "string", "format": "duration"}, "duration"),
        ({"type": "string", "format": "byte"}, "bytes"),
        ({"type": "string", "format": "uuid"}, "string"),
        ({"x-kubernetes-int-or-string": True}, "dyn"),
        ({"type": "array", "items": {"type": "boolean"}}, "list(bool)"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "map(string, int)"),
        ({"type": "object", "properties": {}}, "selfType"),
    ],
)
def test_schemas_have_types(schema: dict[str, Any], shown: str) -> None:
    assert describe(type_of(schema)) == shown


@pytest.mark.parametrize(
    "schema",
    [
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}},
        {"type": "object", "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}},
        {"type": "array"},
    ],
)
def test_what_has_no_known_fields_cannot_be_seen(schema: dict[str, Any]) -> None:
    assert schema_type(schema, resource_root=False) is None
    t = type_of({"type": "object", "properties": {"hidden": schema, "seen": {"type": "string"}}})
    assert t.fields is not None and set(t.fields) == {"seen"}


def test_sizes_follow_limits_and_the_largest_request() -> None:
    assert type_of({"type": "string", "maxLength": 5}).max_elements == 20
    assert type_of({"type": "string"}).max_elements == 3 * 1024 * 1024 - 2
    assert type_of({"type": "string", "enum": ["a", "abc"]}).max_elements == 3
    assert type_of({"type": "array", "items": {"type": "integer"}}).max_elements == (3 * 1024 * 1024 - 2) // 2
    assert type_of({"type": "array", "maxItems": 7, "items": {"type": "integer"}}).max_elements == 7
    assert type_of({"type": "string", "format": "date"}).max_elements == 12
    required = {"type": "object", "required": ["ab"], "properties": {"ab": {"type": "boolean"}, "c": {"type": "boolean"}}}
    assert type_of(required).min_size == 2 + 2 + 4 + 4


def test_a_resource_root_has_its_names() -> None:
    t = type_of({"type": "object", "properties": {"spec": {"type": "object"}}}, root=True)
    program = Environment({"self": t}).compile("self.metadata.name + self.kind + self.apiVersion")
    value = {"metadata": {"name": "n", "labels": {}}, "kind": "K", "apiVersion": "v1"}
    assert program.evaluate({"self": value}, limit=100)[0] == "nKv1"
    with pytest.raises(CompileError, match="undefined field 'labels'"):
        Environment({"self": t}).compile("self.metadata.labels")


def test_plain_json_is_read_as_it_is() -> None:
    assert type_of({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}).read is None
    assert type_of({"type": "object", "properties": {"a": {"type": "number"}}}).read is not None


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("plain", "plain"),
        ("namespace", "__namespace__"),
        ("x-prop", "x__dash__prop"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("redact__d", "redact__underscores__d"),
        ("9a", None),
        ("", None),
        ("a b", None),
        ("$ref", None),
    ],
)
def test_names_are_escaped(name: str, escaped: str | None) -> None:
    assert escape(name) == escaped


@given(st.text("abz_-./9", min_size=1, max_size=12))
def test_unescaping_gives_the_name_back(name: str) -> None:
    escaped = escape(name)
    if escaped is not None:
        assert escaped.isidentifier()
        assert unescape(escaped) == name


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("object.spec.replicas", "int"),
        ("object.metadata.creationTimestamp", "timestamp"),
        ("object.spec.strategy.rollingUpdate.maxSurge", "dyn"),
        ("object.metadata.labels", "map(string, string)"),
        ("object.spec.template.spec.containers[0].ports[0].containerPort", "int"),
        ("object.metadata.namespace", "string"),
    ],
)
def test_built_in_kinds_have_types(path: str, shown: str) -> None:
    t = kind_type(kind("apps/v1", "Deployment"))
    assert t is not None
    assert describe(Environment({"object": t}).compile(path).result_type) == shown


def test_unknown_fields_of_built_in_kinds_are_told() -> None:
    t = kind_type(kind("v1", "Pod"))
    assert t is not None
    with pytest.raises(CompileError, match="undefined field 'replicas'"):
        Environment({"object": t}).compile("object.spec.replicas > 1")
