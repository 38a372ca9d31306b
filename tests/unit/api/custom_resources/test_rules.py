"""`x-kubernetes-validations`: when rules hold, what is told where they do not, what they may cost."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.custom_resources.correlation import Correlated
from kubetree.api.custom_resources.rules import BUDGET, rule_tree
from kubetree.api.custom_resources.structure import Node

Object = dict[str, Any]
INTEGER = {"type": "integer"}
_NONE: Any = object()


def fields(rules: list[Object], **properties: Object) -> Object:
    return {"type": "object", "properties": properties, "x-kubernetes-validations": rules}


def judged(schema: Object, value: Any, old: Any = None, *, budget: int = BUDGET, ratchet: bool = False) -> list[str]:
    tree = rule_tree(schema, root=False)
    assert tree is not None
    correlated = Correlated(value, old, Node(schema)) if ratchet else None
    return [str(error) for error in tree.judge(value, old, "spec", correlated, budget).errors]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"rule": "self.a > 1"}, "spec: Invalid value: failed rule: self.a > 1"),
        ({"rule": "self.a > 1", "message": "more!"}, "spec: Invalid value: more!"),
        ({"rule": "self.a > 1", "messageExpression": "'got ' + string(self.a)"}, "spec: Invalid value: got 1"),
        ({"rule": "self.a > 1", "message": "m", "messageExpression": "'a\\nb'"}, "spec: Invalid value: m"),
        ({"rule": "self.a > 1", "message": "m", "messageExpression": "string(1 / (self.a - 1))"}, "spec: Invalid value: m"),
        ({"rule": "self.a > 1", "reason": "FieldValueForbidden"}, "spec: Forbidden: failed rule: self.a > 1"),
        ({"rule": "self.a > 1", "reason": "FieldValueRequired", "fieldPath": ".b"}, "spec.b: Required value: failed rule: self.a > 1"),
        ({"rule": "1 / (self.a - 1) > 0"}, 'spec: Invalid value: "object": division by zero evaluating rule: 1 / (self.a - 1) > 0'),
        ({"rule": "self.c > 1"}, None),
    ],
)
def test_what_a_broken_rule_tells(rule: Object, error: str | None) -> None:
    found = judged(fields([rule], a=INTEGER, b=INTEGER), {"a": 1})
    if error is None:
        assert "rule compile error: compilation failed:" in found[0]
    else:
        assert found == [error]


def test_rules_stand_where_values_do() -> None:
    limited = {**INTEGER, "x-kubernetes-validations": [{"rule": "self < 10"}]}
    schema = {
        "type": "object",
        "properties": {
            "a": limited,
            "list": {"type": "array", "items": limited},
            "map": {"type": "object", "additionalProperties": limited},
        },
    }
    assert judged(schema, {"a": 1, "list": [1], "map": {"k": 1}}) == []
    assert judged(schema, {"a": 11, "list": [1, 12], "map": {"k": 13}}) == [
        "spec.a: Invalid value: 11: failed rule: self < 10",
        "spec.list[1]: Invalid value: 12: failed rule: self < 10",
        "spec.map[k]: Invalid value: 13: failed rule: self < 10",
    ]


def test_transition_rules_need_an_old_value() -> None:
    schema = fields([{"rule": "self.a >= oldSelf.a", "message": "only up"}], a=INTEGER)
    assert judged(schema, {"a": 1}) == []
    assert judged(schema, {"a": 1}, {"a": 1}) == []
    assert judged(schema, {"a": 1}, {"a": 2}) == ["spec: Invalid value: only up"]


def test_an_optional_old_value_lets_a_rule_judge_creates() -> None:
    rule = {"rule": "oldSelf.hasValue() ? self == oldSelf.value() : self == 1", "optionalOldSelf": True}
    schema = {"type": "object", "properties": {"a": {**INTEGER, "x-kubernetes-validations": [rule]}}}
    assert judged(schema, {"a": 1}) == []
    assert len(judged(schema, {"a": 2})) == 1
    assert judged(schema, {"a": 2}, {"a": 2}) == []
    assert len(judged(schema, {"a": 3}, {"a": 2})) == 1


def test_old_items_are_found_by_their_keys() -> None:
    item = fields([{"rule": "self.n >= oldSelf.n", "message": "only up"}], name={"type": "string"}, n=INTEGER)
    listed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item}
    schema = {"type": "object", "properties": {"list": listed}}
    old = {"list": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]}
    assert judged(schema, {"list": [{"name": "b", "n": 2}, {"name": "c", "n": 0}, {"name": "a", "n": 1}]}, old) == []
    assert judged(schema, {"list": [{"name": "b", "n": 1}]}, old) == ["spec.list[0]: Invalid value: only up"]


def test_what_has_not_changed_only_warns() -> None:
    limited = {**INTEGER, "x-kubernetes-validations": [{"rule": "self < 10"}]}
    schema = {"type": "object", "properties": {"a": limited, "b": INTEGER}}
    tree = rule_tree(schema, root=False)
    assert tree is not None
    new, old = {"a": 11, "b": 2}, {"a": 11, "b": 1}
    verdict = tree.judge(new, old, "spec", Correlated(new, old, Node(schema)))
    assert verdict.errors == []
    assert verdict.warnings == ["spec.a: Invalid value: 11: failed rule: self < 10"]
    assert judged(schema, {"a": 12}, {"a": 11}, ratchet=True) == ["spec.a: Invalid value: 12: failed rule: self < 10"]


def test_transition_rules_are_never_let_through() -> None:
    schema = fields([{"rule": "oldSelf.a < 0"}], a=INTEGER)
    assert len(judged(schema, {"a": 1}, {"a": 1}, ratchet=True)) == 1


def test_rules_share_a_budget() -> None:
    schema = fields([{"rule": "self.a > 0"}, {"rule": "self.a > 1"}], a=INTEGER)
    tree = rule_tree(schema, root=False)
    assert tree is not None
    spent = BUDGET - tree.judge({"a": 2}).budget
    assert 0 < spent < 100
    assert judged(schema, {"a": 2}, budget=spent) == []
    told = judged(schema, {"a": 2}, budget=spent - 1)
    assert told == [
        'spec: Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run'
    ]


def test_a_rule_that_runs_too_long_is_stopped() -> None:
    rule = "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"
    schema = {"type": "array", "items": INTEGER, "x-kubernetes-validations": [{"rule": rule}]}
    told = judged(schema, list(range(300)))
    assert len(told) == 1
    assert "no further validation rules will be run due to call cost exceeds limit for rule" in told[0]


def test_a_schema_without_rules_has_no_tree() -> None:
    assert rule_tree({"type": "object", "properties": {"a": INTEGER}}) is None
