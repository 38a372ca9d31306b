"""Which old value a new one came from, as far as a schema lets one tell: what has not changed is not refused again (ratcheting).

Follows apiserver/pkg/cel/common/equality.go: members by name, items of a list that is a map by their keys, items of other lists not at all.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.custom_resources.structure import Node


class Correlated:
    """A value of an update together with its old value. Comparisons are made once."""

    __slots__ = ("_by_keys", "_children", "_same", "node", "old", "value")

    def __init__(self, value: Any, old: Any, node: Node | None) -> None:
        self.value, self.old, self.node = value, old, node
        self._same: bool | None = None
        self._by_keys: dict[Any, Any] | None = None
        self._children: dict[str | int, Correlated | None] = {}

    def unchanged(self) -> bool:
        """What the schema says nothing of counts as changed; the order of a list that is a map does not."""
        if self._same is None:
            self._same = self._compare()
        return self._same

    def _compare(self) -> bool:
        new, old = self.value, self.old
        if isinstance(new, dict) and isinstance(old, dict):
            if len(new) != len(old):
                return False
            return all((child := self.key(name)) is not None and child.unchanged() for name in new)
        if isinstance(new, list) and isinstance(old, list) and self.node is not None and self.node.list_type == "map":
            return len(new) == len(old) and all((child := self.index(i)) is not None and child.unchanged() for i in range(len(new)))
        return same(new, old)

    def key(self, name: str) -> Correlated | None:
        """None when there is no such member now or then, or the schema says nothing of it."""
        if name not in self._children:
            self._children[name] = self._key(name)
        return self._children[name]

    def _key(self, name: str) -> Correlated | None:
        new, old, node = self.value, self.old, self.node
        if node is None or not isinstance(new, dict) or not isinstance(old, dict) or name not in new or name not in old:
            return None
        child = node.child(name)
        return Correlated(new[name], old[name], child) if child is not None else None

    def index(self, i: int) -> Correlated | None:
        """None when the list is no map by keys, or has no item with the same keys."""
        if i not in self._children:
            self._children[i] = self._index(i)
        return self._children[i]

    def _index(self, i: int) -> Correlated | None:
        new, old, node = self.value, self.old, self.node
        if node is None or node.list_type != "map" or node.items is None or not isinstance(new, list) or not isinstance(old, list):
            return None
        if self._by_keys is None:
            self._by_keys = by_keys(old, node.keys)
        found = find_by_keys(self._by_keys, new[i], node.keys)
        return Correlated(new[i], found, node.items) if found is not None else None


def by_keys(items: list[Any], keys: tuple[str, ...]) -> dict[Any, Any]:
    """Items of a list that is a map, by their keys; of several with one key the first. An item needs all keys, with scalar values."""
    found: dict[Any, Any] = {}
    for item in items:
        key = _key_of(item, keys)
        if key is not None:
            found.setdefault(key, item)
    return found


def find_by_keys(found: dict[Any, Any], item: Any, keys: tuple[str, ...]) -> Any:
    """The item of `by_keys` that has the keys of `item`; None when there is none."""
    key = _key_of(item, keys)
    return found.get(key) if key is not None else None


def _key_of(item: Any, keys: tuple[str, ...]) -> Any:
    if not isinstance(item, dict) or not all(isinstance(item.get(key), (str, int, float)) for key in keys):
        return None
    return tuple((type(item[key]), item[key]) for key in keys)


def same(a: Any, b: Any) -> bool:
    """Equality of JSON, where true is not 1."""
    if a.__class__ is not b.__class__:
        return bool(a == b) if {a.__class__, b.__class__} == {int, float} else False
    if isinstance(a, dict):
        return len(a) == len(b) and all(key in b and same(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)
