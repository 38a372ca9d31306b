"""Paths into custom resources: JSONPath of columns and selectable fields, fieldPath of rules, paths of scale."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubetree.api.custom_resources.columns import Columns
from kubetree.api.custom_resources.field_paths import field_path
from kubetree.api.custom_resources.json_path import compile_path
from kubetree.api.custom_resources.scale import ScalePaths

Object = dict[str, Any]
NOW = datetime(2024, 1, 2, tzinfo=UTC)
OBJ: Object = {
    "metadata": {"name": "x", "labels": {"a.b/c": "d"}, "creationTimestamp": "2024-01-01T00:00:00Z"},
    "spec": {"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}, {"name": "c", "n": 3}], "on": True, "rate": 0.5, "map": {"k": "v"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.on", [True]),
        ("$.spec.on", [True]),
        (".spec.missing.more", []),
        (".spec.items[0].name", ["a"]),
        (".spec.items[-1].name", ["c"]),
        (".spec.items[7].name", []),
        (".spec.items[0:2].name", ["a", "b"]),
        (".spec.items[0:3:2].name", ["a", "c"]),
        (".spec.items[0,2].name", ["a", "c"]),
        (".spec.items[*].n", [1, 2, 3]),
        (".spec.map.*", ["v"]),
        (r".metadata.labels.a\.b/c", ["d"]),
        (".metadata.labels['a.b/c']", ["d"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        ('.status.conditions[?(@.type!="Ready")].status', ["False"]),
        (".spec.items[?(@.n>1)].name", ["b", "c"]),
        (".spec.items[?(@.absent)].name", []),
        ("..name", ["x", "a", "b", "c"]),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    assert compile_path(path)(OBJ) == found


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[?(x y)]", ".a b"])
def test_what_is_no_json_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_path(path)


@pytest.mark.parametrize(
    ("type", "path", "cell"),
    [
        ("string", ".spec.on", "true"),
        ("string", ".spec.map", '{"k":"v"}'),
        ("string", ".spec.missing", None),
        ("integer", ".spec.items[0].n", 1),
        ("integer", ".spec.on", None),
        ("number", ".spec.rate", 0.5),
        ("boolean", ".spec.on", True),
        ("date", ".metadata.creationTimestamp", "24h"),
        ("date", ".metadata.name", "<invalid>"),
        ("date", ".spec.on", None),
    ],
)
def test_cells(type: str, path: str, cell: Any) -> None:
    columns = Columns([{"name": "C", "type": type, "jsonPath": path}])
    assert columns.cells(OBJ, NOW) == ["x", cell]


def test_columns_are_defined_after_the_name_and_are_the_age_without_any() -> None:
    given = Columns([{"name": "C", "type": "integer", "format": "int32", "priority": 1, "jsonPath": ".spec.n"}]).definitions
    assert [d["name"] for d in given] == ["Name", "C"]
    described = "Custom resource definition column (in JSONPath format): .spec.n"
    assert given[1] == {"name": "C", "type": "integer", "format": "int32", "priority": 1, "description": described}
    assert [d["name"] for d in Columns(None).definitions] == ["Name", "Age"]
    assert Columns(None).cells(OBJ, NOW) == ["x", "24h"]


SCHEMA: Object = {
    "properties": {
        "a": {"properties": {"b": {"type": "string"}}},
        "m": {"additionalProperties": {"properties": {"c": {"type": "integer"}}}},
    }
}


@pytest.mark.parametrize(("path", "shown"), [(".a", "a"), (".a.b", "a.b"), (".m['k.x'].c", "m[k.x].c"), ("['a']['b']", "a.b")])
def test_field_paths(path: str, shown: str) -> None:
    assert field_path(path, SCHEMA)[0] == shown


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a", "expected [ or . but got: a"),
        (".z", "does not refer to a valid field"),
        (".a.b.c", "does not refer to a valid field"),
        (".a[0]", "expected single quoted string but got 0"),
        (".a['b'", "unexpected end of JSON path"),
        (".", "unexpected end of JSON path"),
        (r".m['\q']", r"invalid string literal: invalid escape char \q"),
    ],
)
def test_what_is_no_field_path(path: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        field_path(path, SCHEMA)
    assert str(caught.value) == why


def test_scale_finds_and_sets_replicas() -> None:
    paths = ScalePaths({"specReplicasPath": ".spec.size.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.selector"})
    obj: Object = {"metadata": {"name": "x", "labels": {}}, "spec": {"size": {"n": 3}}, "status": {"n": 2, "selector": "a=b"}}
    scale = paths.scale_of(obj)
    assert (scale["metadata"], scale["spec"], scale["status"]) == ({"name": "x"}, {"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    paths.set_replicas(obj, 5)
    assert obj["spec"] == {"size": {"n": 5}}
    with pytest.raises(ValueError, match="does not exist"):
        paths.scale_of({"metadata": {}})


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"n": -1}, ".spec.n: Invalid value: -1: should be a non-negative integer"),
        ({"n": 2**31}, f".spec.n: Invalid value: {2**31}: should be less than or equal to {2**31 - 1}"),
        ({"n": "x"}, ".spec.n: Invalid value: 0: .spec.n accessor error: x is of the type string, expected int64"),
        ({}, None),
    ],
)
def test_replicas_are_small_numbers(spec: Object, error: str | None) -> None:
    errs: list[Any] = []
    ScalePaths({"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}).validate_spec(errs, {"spec": spec})
    assert [str(e) for e in errs] == ([error] if error else [])
