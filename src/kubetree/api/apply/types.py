"""What ownership needs to know of a type: what is a leaf, what is a map, which lists are sets or maps by key.

Compiled from OpenAPI schemas, lazily, a definition at a time; then each type walks values of its kind:
`added` and `compare` find what changed, `to_set` what a configuration mentions, `merge` and `remove` make the new object.
Follows structured-merge-diff's typed package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubetree.api.apply import field_sets as fs
from kubetree.api.apply.field_sets import LEAF, Node
from kubetree.api.patches.strategic_merge import go_value

ABSENT: Any = object()
"""A value that is not there at all; None is a null that is."""

Pair = tuple[Node | None, Node | None]
_SAME: Pair = (None, None)


class Type:
    """A leaf: owned as a whole. `scalar` is what validation asks for: string, numeric, boolean, or '' for anything."""

    __slots__ = ("scalar",)

    leaf = True
    """Whether a value is one element with nothing below it, whatever it holds."""

    def __init__(self, scalar: str = "") -> None:
        self.scalar = scalar

    def added(self, value: Any) -> Node:
        """Every field of a value that was not there before, its own element included."""
        return LEAF

    def compare(self, old: Any, new: Any) -> Pair:
        """(changed or added, removed) fields between two values that are both there."""
        return _SAME if old == new else (LEAF, None)

    def to_set(self, value: Any) -> Node | None:
        """The fields that a configuration mentions; None for none."""
        return LEAF

    def merge(self, old: Any, new: Any) -> Any:
        """`old` overlaid with `new`; either may be ABSENT, not both."""
        return old if new is ABSENT else new

    def remove(self, value: Any, fields: Node) -> Any:
        """`value` without the members of `fields`; None when nothing is left of a map or list."""
        return value

    def named(self, fields: Node) -> Node:
        """`fields` with declared fields on the way to its members made members themselves."""
        return fields

    def reconciled(self, fields: Node) -> Node:
        """`fields` as this type has them: what has become atomic since they were written is owned as a whole."""
        return fields

    def validate(self, value: Any, path: str, duplicates: bool) -> Iterator[str]:
        """Why a value does not fit, each message with its path."""
        if value is None or not self.scalar:
            return
        if self.scalar == "string" and not isinstance(value, str):
            yield f"{path}: expected string, got &value.valueUnstructured{{Value:{_go(value)}}}"
        elif self.scalar == "numeric" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            yield f"{path}: expected numeric (int or float), got {_go_type(value)}"
        elif self.scalar == "boolean" and not isinstance(value, bool):
            yield f"{path}: expected boolean, got &{{{go_value(value)}}}"

    def without_nulls(self, value: Any, *, maps: bool = False) -> Any:
        """`value` without what holds null, as a struct of Go has it; with `maps`, null stays where a map is declared."""
        return value


SCALAR = Type()


class ExpressedNull:
    """A null that an expression has made: to upstream a value of its own, structpb.NullValue, that fits no type."""

    def __str__(self) -> str:
        return "NULL_VALUE"


EXPRESSED_NULL = ExpressedNull()


def _go(value: Any) -> str:
    if value is EXPRESSED_NULL:
        return "0"
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f'"{k}":{_go(v)}' for k, v in sorted(value.items())) + "}"
    return "[]interface {}{" + ", ".join(map(_go, value)) + "}" if isinstance(value, list) else str(value)


def _go_type(value: Any) -> str:
    if value is EXPRESSED_NULL:
        return "structpb.NullValue"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return {bool: "bool", str: "string", int: "int64", float: "float64"}.get(type(value), "[]interface {}")


class Map(Type):
    """A granular map or struct. `fields` are declared; others are of type `element`, or refused when that is None.

    `always` gives the value that upstream's Go types have for a field that is left out: {} for structs held by value, zero values for
    required fields.
    """

    __slots__ = ("always", "element", "fields", "lenient")

    leaf = False

    def __init__(self, element: Type | None = None, *, lenient: bool = False) -> None:
        super().__init__()
        self.fields: dict[str, tuple[str, Type]] = {}
        self.always: dict[str, Any] = {}
        self.element = element
        self.lenient = lenient
        """Any JSON: what is no map is a leaf (a type that is deduced from the value)."""

    def _field(self, name: str) -> tuple[str, Type]:
        found = self.fields.get(name)
        return found if found is not None else ("f:" + name, self.element or SCALAR)

    def added(self, value: Any) -> Node:
        if not isinstance(value, dict):
            return LEAF
        out: Node = {".": LEAF}
        fields = self.fields
        for name, item in value.items():
            found = fields.get(name)
            if found is None:
                found = self._field(name)
            key, kind = found
            out[key] = LEAF if kind.leaf else kind.added(item)
        for name, default in self.always.items():
            if name not in value:
                key, kind = fields[name]
                out[key] = kind.added(default)
        return out if len(out) > 1 else LEAF

    def compare(self, old: Any, new: Any) -> Pair:
        if old == new:
            return _SAME
        before = old if isinstance(old, dict) else {}
        after = new if isinstance(new, dict) else {}
        if not before and not after:
            return LEAF, None
        if (self.lenient and not isinstance(old, dict) and old is not None) or not isinstance(new, (dict, type(None))):
            return self._replaced(old, new)
        changed: Node = {}
        removed: Node = {}
        always = self.always
        for name, item in after.items():
            key, kind = self._field(name)
            was = before.get(name, ABSENT)
            if was is ABSENT:
                was = always.get(name, ABSENT)
                if was is ABSENT:
                    changed[key] = LEAF if kind.leaf else kind.added(item)
                    continue
            if was == item and type(was) is type(item):
                continue
            more, less = kind.compare(was, item)
            if more is not None:
                changed[key] = more
            if less is not None:
                removed[key] = less
        for name, item in before.items():
            if name in after:
                continue
            key, kind = self._field(name)
            now = always.get(name, ABSENT)
            if now is ABSENT:
                removed[key] = kind.added(item)
                continue
            more, less = kind.compare(item, now)
            if more is not None:
                changed[key] = more
            if less is not None:
                removed[key] = less
        return changed or None, removed or None

    def _replaced(self, old: Any, new: Any) -> Pair:
        """A map became something else, or the other way round."""
        if isinstance(new, dict):
            more = {key: node for key, node in self.added(new).items() if key != "."}
            return with_leaf(more), None
        less = {key: node for key, node in self.added(old).items() if key != "."}
        return LEAF, less or None

    def to_set(self, value: Any) -> Node | None:
        if not isinstance(value, dict):
            return LEAF if self.lenient and value is not None else None
        out: Node = {}
        for name, item in value.items():
            key, kind = self._field(name)
            found = kind.to_set(item)
            if item is None or item == {} or name not in self.fields:
                found = fs.with_self(found)
            if found is not None:
                out[key] = found
        return out or None

    def merge(self, old: Any, new: Any) -> Any:
        if new is ABSENT:
            return old
        if self.lenient and not (isinstance(new, dict) and (old is ABSENT or isinstance(old, dict))) and new is not None:
            return new
        before = old if isinstance(old, dict) else {}
        after = new if isinstance(new, dict) else {}
        if not before and not after:
            return new
        out = {}
        for name, item in before.items():
            out[name] = self._field(name)[1].merge(item, after[name]) if name in after else item
        for name, item in after.items():
            if name not in before:
                out[name] = self._field(name)[1].merge(ABSENT, item)
        return out

    def remove(self, value: Any, fields: Node) -> Any:
        if not isinstance(value, dict):
            return value if self.lenient else None
        if not value:
            return None
        out = {}
        for name, item in value.items():
            key, kind = self._field(name)
            node = fields.get(key)
            if node is None:
                out[name] = item
            elif not fs.is_member(node):
                out[name] = kind.remove(item, node)
        return out or None

    def named(self, fields: Node) -> Node:
        out: Node = {}
        for key, node in fields.items():
            if node:
                name = key[2:]
                declared = self.fields.get(name) if key.startswith("f:") else None
                kind = declared[1] if declared else self.element
                node = kind.named(node) if kind is not None else node
                if declared:
                    node = fs.with_self(node)
            out[key] = node
        return out

    def reconciled(self, fields: Node) -> Node:
        out = {}
        for key, node in fields.items():
            kind = self._field(key[2:])[1] if key.startswith("f:") else SCALAR
            out[key] = kind.reconciled(node) if node else node
        return out

    def validate(self, value: Any, path: str, duplicates: bool) -> Iterator[str]:
        if value is None or (self.lenient and not isinstance(value, dict)):
            return
        if not isinstance(value, dict):
            yield f"{path}: expected map, got &{{{go_value(value)}}}"
            return
        for name, item in value.items():
            found = self.fields.get(name)
            kind = found[1] if found is not None else self.element
            if kind is None:
                yield f"{path}.{name}: field not declared in schema"
                return
            yield from kind.validate(item, f"{path}.{name}", duplicates)

    def without_nulls(self, value: Any, *, maps: bool = False) -> Any:
        if not isinstance(value, dict):
            return value
        declared = self.fields
        return {
            name: self._field(name)[1].without_nulls(item, maps=maps) if item is not None else None
            for name, item in value.items()
            if item is not None
            or (declared.get(name) is None and not self.lenient)
            or (maps and type(self._field(name)[1]) is Map and not self.lenient)
        }


def with_leaf(node: Node) -> Node:
    return fs.with_self(node) if node else LEAF


class List(Type):
    """A list whose items have identities: a set of scalars (no `keys`), or maps by the values of `keys`."""

    __slots__ = ("defaults", "element", "keys")

    leaf = False

    def __init__(self, element: Type, keys: tuple[str, ...] = (), defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.element, self.keys, self.defaults = element, tuple(sorted(keys)), dict(defaults or {})

    def _element_of(self, item: Any) -> str:
        """The path element of an item. Raises ValueError for an item without identity."""
        if not self.keys:
            if isinstance(item, dict):
                raise ValueError("associative list without keys has an element that's a map type")
            if isinstance(item, list):
                raise ValueError("not supported: associative list with lists as elements")
            if item is None:
                raise ValueError("associative list without keys has an element that's an explicit null")
            return fs.value_element(item)
        if item is None:
            raise ValueError("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise ValueError("associative list with keys may not have non-map elements")
        found = {}
        for key in self.keys:
            value = item.get(key, self.defaults.get(key))
            if value is not None or key in item:
                found[key] = value
        if not found:
            names = " ".join(f'"{key}"' for key in self.keys)
            raise ValueError(
                f"associative list with keys has an element that omits all key fields [{names}]"
                " (and doesn't have default values for any key fields)"
            )
        if len(found) == 1 and isinstance(value, str):
            return fs.one_key_element(self.keys[0] if len(self.keys) == 1 else next(iter(found)), value)
        return fs.key_element(found)

    def _indexed(self, value: Any) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {}
        if isinstance(value, list):
            for item in value:
                out.setdefault(self._element_of(item), []).append(item)
        return out

    def added(self, value: Any) -> Node:
        if not value or not isinstance(value, list):
            return LEAF
        out: Node = {".": LEAF}
        if not self.keys:
            for item in value:
                out[self._element_of(item)] = LEAF
            return out
        for item in value:
            element = self._element_of(item)
            out[element] = LEAF if element in out else fs.with_self(self.element.added(item))
        return out

    def compare(self, old: Any, new: Any) -> Pair:
        if old == new:
            return _SAME
        if not old and not new:
            return LEAF, None
        before, after = self._indexed(old), self._indexed(new)
        changed: Node = {}
        removed: Node = {}
        for key, items in after.items():
            was = before.get(key, ())
            if len(items) == 1 and len(was) <= 1:
                if not was:
                    changed[key] = self.element.added(items[0])
                    continue
                more, less = self.element.compare(was[0], items[0])
                if more is not None:
                    changed[key] = more
                if less is not None:
                    removed[key] = less
            elif len(items) > 1 and len(was) > 1:
                if items != was:
                    changed[key] = LEAF
            elif len(items) > 1:
                changed[key] = LEAF
                if was:
                    removed[key] = self.element.added(was[0])
            else:
                changed[key] = self.element.added(items[0])
                removed[key] = LEAF
        for key, items in before.items():
            if key not in after:
                removed[key] = self.element.added(items[0]) if len(items) == 1 else LEAF
        return changed or None, removed or None

    def to_set(self, value: Any) -> Node | None:
        if not isinstance(value, list):
            return None
        out: Node = {}
        for key, items in self._indexed(value).items():
            out[key] = LEAF if len(items) > 1 else fs.with_self(self.element.to_set(items[0]))
        return out or None

    def merge(self, old: Any, new: Any) -> Any:
        """Items of `new` in its order, merged with their namesakes; what only `old` has keeps its place among the shared ones."""
        if new is ABSENT:
            return old
        before = old if isinstance(old, list) else []
        after = new if isinstance(new, list) else []
        if not before and not after:
            return new
        old_keys = [self._element_of(item) for item in before]
        new_keys = [self._element_of(item) for item in after]
        known: dict[str, Any] = {}
        for key, item in zip(old_keys, before, strict=True):
            known[key] = ABSENT if key in known else item
        wanted = dict(zip(new_keys, after, strict=True))
        shared = [key for key in new_keys if key in known]
        out: list[Any] = []
        done: set[str] = set()
        left = right = 0
        while left < len(before) or right < len(after):
            both = left < len(before) and right < len(after)
            key = old_keys[left] if left < len(before) else ""
            if both and key in wanted and key != new_keys[right] and shared and shared[0] != key:
                left += 1
                continue
            if left < len(before) and key not in wanted:
                out.append(before[left])
                left += 1
                continue
            if left < len(before) and (key in done or (both and key == new_keys[right])):
                left += 1
                if key in done:
                    continue
            if right < len(after):
                key = new_keys[right]
                done.add(key)
                out.append(self.element.merge(known.get(key, ABSENT), wanted[key]))
                right += 1
                if shared and shared[0] == key:
                    shared.pop(0)
        return out

    def remove(self, value: Any, fields: Node) -> Any:
        if not isinstance(value, list) or not value:
            return None
        out = []
        for item in value:
            node = fields.get(self._element_of(item))
            if node is None:
                out.append(item)
            elif not fs.is_member(node):
                out.append(self.element.remove(item, node))
        return out or None

    def named(self, fields: Node) -> Node:
        return {key: self.element.named(node) if node else node for key, node in fields.items()}

    def reconciled(self, fields: Node) -> Node:
        return {key: self.element.reconciled(node) if node else node for key, node in fields.items()}

    def validate(self, value: Any, path: str, duplicates: bool) -> Iterator[str]:
        if value is None:
            return
        if not isinstance(value, list):
            yield f"{path}: expected list, got &{{{go_value(value)}}}"
            return
        seen = set()
        for i, item in enumerate(value):
            try:
                element = self._element_of(item)
            except ValueError as error:
                yield f"{path}: element {i}: {error}"
                return
            if element in seen and not duplicates:
                yield f"{path}: duplicate entries for key {fs.element_text(element)}"
            seen.add(element)
            yield from self.element.validate(item, path + fs.element_text(element), duplicates)

    def without_nulls(self, value: Any, *, maps: bool = False) -> Any:
        return [self.element.without_nulls(item, maps=maps) for item in value] if isinstance(value, list) else value


class Atomic(Type):
    """A map or list that is owned as a whole; its inside is still checked."""

    __slots__ = ("inner", "shape")

    def __init__(self, shape: str, inner: Type | None) -> None:
        super().__init__()
        self.shape, self.inner = shape, inner

    def reconciled(self, fields: Node) -> Node:
        return LEAF

    def validate(self, value: Any, path: str, duplicates: bool) -> Iterator[str]:
        if value is None or self.inner is None:
            return
        if self.shape == "list":
            if not isinstance(value, list):
                yield f"{path}: expected list, got &{{{go_value(value)}}}"
                return
            for i, item in enumerate(value):
                yield from self.inner.validate(item, f"{path}[{i}]", duplicates)
        else:
            yield from self.inner.validate(value, path, duplicates)


def deduced() -> Map:
    """The type of free JSON: maps are granular, everything else is a leaf."""
    found = Map(lenient=True)
    found.element = found
    return found


DEDUCED = deduced()
