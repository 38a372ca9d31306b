"""Which old value a new one came from."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.custom_resources.correlation import Correlated, by_keys, find_by_keys, same
from kubetree.api.custom_resources.structure import Node

Object = dict[str, Any]
ITEM = {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "integer"}}}
MAP = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": ITEM}
LIST = {"type": "array", "items": ITEM}


def correlated(new: Any, old: Any, schema: Object) -> Correlated:
    return Correlated(new, old, Node(schema))


def test_members_come_from_members_of_the_same_name() -> None:
    found = correlated({"name": "b", "more": 1}, {"name": "a"}, ITEM)
    child = found.key("name")
    assert child is not None
    assert (child.value, child.old, child.unchanged()) == ("b", "a", False)
    assert found.key("value") is None
    assert found.key("more") is None


def test_items_of_a_map_come_from_items_with_their_keys() -> None:
    old = [{"name": "a", "value": 1}, {"name": "b", "value": 2}]
    found = correlated([{"name": "b", "value": 3}, {"name": "c"}, {"value": 1}], old, MAP)
    item = found.index(0)
    assert item is not None
    assert item.old == {"name": "b", "value": 2}
    assert found.index(1) is None
    assert found.index(2) is None


def test_items_of_other_lists_come_from_nowhere() -> None:
    assert correlated([{"name": "a"}], [{"name": "a"}], LIST).index(0) is None


@pytest.mark.parametrize(
    ("schema", "new", "old", "unchanged"),
    [
        (ITEM, {"name": "a", "value": 1}, {"value": 1, "name": "a"}, True),
        (ITEM, {"name": "a", "value": 1}, {"name": "a"}, False),
        (ITEM, {"more": 1}, {"more": 1}, False),
        (MAP, [{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}], True),
        (LIST, [{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}], False),
        (LIST, [{"name": "a"}], [{"name": "a"}], True),
    ],
)
def test_what_counts_as_unchanged(schema: Object, new: Any, old: Any, unchanged: bool) -> None:
    assert correlated(new, old, schema).unchanged() is unchanged


def test_of_items_with_one_key_the_first_is_meant_and_types_tell_keys_apart() -> None:
    found = by_keys([{"k": 1, "v": "int"}, {"k": 1, "v": "again"}, {"k": "1", "v": "text"}, {"v": "none"}], ("k",))
    assert find_by_keys(found, {"k": 1}, ("k",)) == {"k": 1, "v": "int"}
    assert find_by_keys(found, {"k": "1"}, ("k",)) == {"k": "1", "v": "text"}
    assert find_by_keys(found, {}, ("k",)) is None


@pytest.mark.parametrize(
    ("a", "b", "equal"), [(1, True, False), (1, 1.0, True), ([1], [True], False), ({"a": [1]}, {"a": [1]}, True), (None, 0, False)]
)
def test_true_is_not_one(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
