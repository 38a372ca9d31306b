"""What a definition's schemas are refused for: defaults that do not fit, rules that do not compile or could cost too much."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.validation import validate_create

Object = dict[str, Any]
CRD = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
AT = "spec.validation.openAPIV3Schema.properties[spec]"
INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def crd(spec: Object) -> Object:
    names = {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"}
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version], "conversion": {"strategy": "None"}},
        "status": {"storedVersions": ["v1"]},
    }


def told(spec: Object) -> list[str]:
    return [str(error).replace(AT, "") for error in validate_create(CRD, crd(spec))]


def fields(more: Object | None = None, **properties: Object) -> Object:
    return {"type": "object", "properties": properties, **(more or {})}


def ruled(*rules: Object, **schema: Any) -> Object:
    return {**schema, "x-kubernetes-validations": list(rules)}


def test_a_good_schema() -> None:
    rules = ruled({"rule": "self.a > 0", "message": "m", "reason": "FieldValueInvalid", "fieldPath": ".a"})
    assert told(fields(rules, a={**INTEGER, "default": 1}, b={"x-kubernetes-int-or-string": True, "default": "50%"})) == []


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({**STRING, "default": 1}, '.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"'),
        (
            fields({"default": {"b": "x", "c": 1}}, b=STRING),
            '.properties[a].default: Invalid value: {"b":"x","c":1}: must not have unknown fields',
        ),
        (
            {**INTEGER, "default": 1, "minimum": 2},
            ".properties[a].default: Invalid value: 1:  in body should be greater than or equal to 2",
        ),
        (ruled({"rule": "self > 1"}, type="integer", default=1), ".properties[a].default: Invalid value: 1: failed rule: self > 1"),
    ],
)
def test_defaults_fit_their_schema(schema: Object, error: str) -> None:
    assert told(fields(a=schema)) == [error]


@pytest.mark.parametrize(
    ("rule", "path", "error"),
    [
        ({"rule": "self.b > 1"}, "[0].rule", "undefined field 'b'"),
        ({"rule": "self.a"}, "[0].rule", "cel expression must evaluate to a bool"),
        ({"rule": "self.a >"}, "[0].rule", "Syntax error"),
        ({"rule": ""}, "[0].rule", "rule is not specified"),
        ({"rule": "true", "message": "a\nb"}, "[0].message", ": must not contain line breaks"),
        ({"rule": "true", "message": " "}, "[0].message", ": must be non-empty if specified"),
        ({"rule": "true", "messageExpression": "1"}, "[0].messageExpression", "messageExpression must evaluate to a string"),
        ({"rule": "true", "reason": "Nope"}, "[0].reason", "Unsupported value"),
        ({"rule": "true", "fieldPath": ".z"}, "[0].fieldPath", ": must be a valid path"),
        ({"rule": "self.a > 1", "optionalOldSelf": True}, "[0].optionalOldSelf", "may not be set if oldSelf is not used in rule"),
    ],
)
def test_rules_must_compile(rule: Object, path: str, error: str) -> None:
    found = told(fields(ruled(rule), a=INTEGER))
    assert len(found) == 1
    assert found[0].startswith(f".x-kubernetes-validations{path}: ")
    assert error in found[0]


def test_old_values_are_known_only_of_what_can_be_correlated() -> None:
    transition = ruled({"rule": "self == oldSelf"}, type="integer")
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema" in told(fields(a={"type": "array", "items": transition}))[0]
    listed = {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": fields({"required": ["k"]}, k=STRING, n=transition),
    }
    assert told(fields(a={"type": "array", **listed})) == []
    assert told(fields(a={"type": "object", "additionalProperties": transition})) == []


def test_a_rule_may_not_cost_too_much() -> None:
    rule = {"rule": "self.all(a, self.all(b, a == b))"}
    assert told(fields(a=ruled(rule, type="array", items=INTEGER, maxItems=10))) == []
    found = told(fields(a=ruled(rule, type="array", items=INTEGER)))
    assert found[0].startswith(
        ".properties[a].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x"
    )


def test_what_stands_in_lists_counts_as_often_as_they_are_long() -> None:
    rule = {"rule": "self.contains('x')"}
    item = ruled(rule, type="string", maxLength=1000)
    assert told(fields(a={"type": "array", "items": item, "maxItems": 100})) == []
    assert "estimated rule cost exceeds budget" in told(fields(a={"type": "array", "items": item}))[0]


def test_all_rules_together_may_not_cost_too_much() -> None:
    rule = {"rule": "self.all(a, self.all(b, a == b))"}
    one = ruled(rule, type="array", items=INTEGER, maxItems=1300)
    assert told(fields(a=one)) == []
    found = told(fields(**{f"f{n}": one for n in range(20)}))
    assert found[-1].startswith("spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire")
    assert sum("contributed to estimated rule cost total" in text for text in found) == 4
