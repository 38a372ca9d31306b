"""Sets of fields, in the very form that `managedFields[].fieldsV1` has, so that reading and writing them costs nothing.

A node is a dict of path elements: `f:<name>` a field, `k:<json>` an item of a list by its keys, `v:<json>` an item of a set, `i:<n>` an index.
`{}` means that the element itself is a member; `{".": {}, ...}` that it is a member and so are some of its children; without the dot only
children are. Nodes are shared and never changed: every operation makes new ones where something differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

Node = dict[str, Any]
Path = tuple[str, ...]

LEAF: Node = {}
_DOT: Node = {}


def is_member(node: Node | None) -> bool:
    """Whether the element that `node` belongs to is itself in the set."""
    return node is not None and (not node or "." in node)


def with_self(node: Node | None) -> Node:
    """`node` with its own element a member."""
    if not node or "." in node:
        return node or LEAF
    return {".": _DOT, **node}


def union(one: Node, other: Node) -> Node:
    """What is in either; both are roots or have children."""
    if not one or not other:
        return one or other
    out = dict(one)
    for key, theirs in other.items():
        ours = one.get(key)
        if ours is None:
            out[key] = theirs
        elif ours is not theirs and key != ".":
            merged = union(ours, theirs)
            out[key] = with_self(merged) if is_member(ours) or is_member(theirs) else merged
    return out


def difference(one: Node, other: Node | None) -> Node:
    """What is in `one` and not in `other`, element by element: parents stay when their children go, and the other way round."""
    if not other:
        return one
    out: Node = {}
    same = True
    for key, ours in one.items():
        if key == "." or (theirs := other.get(key)) is None:
            out[key] = ours
            continue
        rest = _below(difference(ours, theirs))
        if is_member(ours) and not is_member(theirs):
            rest = with_self(rest)
        elif not rest:
            same = False
            continue
        same = same and rest is ours
        out[key] = rest
    return one if same and len(out) == len(one) else out


def _below(node: Node) -> Node:
    """The children only."""
    return {key: child for key, child in node.items() if key != "."} if "." in node else node


def intersection(one: Node, other: Node) -> Node:
    """What is in both."""
    out: Node = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None or key == ".":
            continue
        common = intersection(ours, theirs)
        if is_member(ours) and is_member(theirs):
            out[key] = with_self(common)
        elif common:
            out[key] = common
    return out


def recursive_difference(one: Node, other: Node) -> Node:
    """What is in `one` and not at or below a member of `other`."""
    out: Node = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None or key == ".":
            out[key] = ours
        elif not is_member(theirs):
            rest = _below(recursive_difference(ours, theirs))
            if is_member(ours):
                out[key] = with_self(rest)
            elif rest:
                out[key] = rest
    return out


def matching(node: Node, pattern: Node) -> Node:
    """What is at or below a member of `pattern`, in which `*` stands for any element. Elements on the way there stay if they are members."""
    out: Node = {}
    for key, child in node.items():
        wanted = pattern.get(key, pattern.get("*"))
        if wanted is None:
            continue
        if not wanted:
            out[key] = child
            continue
        kept = _below(matching(child, wanted))
        if is_member(child):
            out[key] = with_self(kept)
        elif kept:
            out[key] = kept
    return out


def paths(node: Node, prefix: Path = ()) -> Iterator[Path]:
    """Every member's path: the members of a level in order, then what is below them."""
    for key in sorted(node, key=_order):
        if key != "." and is_member(node[key]):
            yield (*prefix, key)
    for key in sorted(node, key=_order):
        if key != "." and node[key]:
            yield from paths(node[key], (*prefix, key))


def has(node: Node, path: Path) -> bool:
    """Whether the set has this very path."""
    at: Node | None = node
    for key in path:
        if at is None:
            return False
        at = at.get(key)
    return is_member(at)


_RANK = {".": 0, "f": 1, "k": 2, "v": 3, "i": 4}
_NUMERIC = re.compile(rb'"v:[-\d]|"i:|\\":[-\d]')
"""What is not in order when its texts are: numbers in elements."""


@lru_cache(maxsize=1 << 12)
def _order(key: str) -> tuple[Any, ...]:
    """Upstream's order of path elements: fields by name, keys by their fields, numbers as numbers."""
    rank, text = _RANK.get(key[:1], 5), key[2:]
    if rank == 2:
        return (rank, [(name, _value_order(value)) for name, value in orjson.loads(text).items()])
    if rank == 3:
        return (rank, _value_order(orjson.loads(text)))
    return (rank, int(text) if rank == 4 else text)


def _value_order(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    return (1, value) if isinstance(value, str) else (3, orjson.dumps(value))


def ordered(node: Node) -> Node:
    """The same set with its elements in upstream's order, which is how managedFields are written."""
    data = orjson.dumps(node, option=orjson.OPT_SORT_KEYS)
    if _NUMERIC.search(data):
        return _ordered(node)
    found: Node = orjson.loads(data)
    return found


def _ordered(node: Node) -> Node:
    return {key: _ordered(node[key]) if node[key] else LEAF for key in sorted(node, key=_order)}


def path_text(path: Path) -> str:
    """`.spec.containers[name="a"].image`: how messages name a field."""
    return "".join(map(element_text, path))


def element_text(key: str) -> str:
    kind, _, rest = key.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        return "[" + ",".join(f"{name}={_value_text(value)}" for name, value in orjson.loads(rest).items()) + "]"
    return f"[={_value_text(orjson.loads(rest))}]" if kind == "v" else f"[{rest}]"


def _value_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def key_element(keys: dict[str, Any]) -> str:
    """`k:{"name":"a"}`; `keys` in alphabetical order."""
    return "k:" + _escaped(orjson.dumps(keys).decode())


@lru_cache(maxsize=1 << 14)
def one_key_element(name: str, value: str) -> str:
    """The same for the most common case, remembered: names of containers, variables, mounts and conditions come again and again."""
    return key_element({name: value})


def value_element(value: Any) -> str:
    return "v:" + _escaped(orjson.dumps(value).decode())


def _escaped(text: str) -> str:
    """As Go's encoder writes strings inside HTML-safe JSON."""
    if "<" in text or ">" in text or "&" in text:
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text
