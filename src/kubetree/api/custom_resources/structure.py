"""A structural schema as a tree: what pruning, defaulting and list types ask of every value, resolved once a CRD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

Schema = dict[str, Any]
TYPE_META = frozenset({"apiVersion", "kind", "metadata"})


def _absent() -> Any:
    raise LookupError("no default")


class Node:
    """One place in a structural schema.

    `additional`: None without additionalProperties, True where they say nothing about values, else their node. `make_default` gives a
    fresh default value; `has_default` says whether there is one (a default of null is none, as in Go). The `below_...` flags say whether
    a walk for that purpose finds anything here or further down.
    """

    __slots__ = (
        "additional",
        "below_defaults",
        "below_embedded",
        "below_lists",
        "embedded",
        "has_default",
        "items",
        "keys",
        "list_type",
        "make_default",
        "map_type",
        "nullable",
        "preserve",
        "properties",
        "schema",
        "type",
    )

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.type: str = schema.get("type") or ""
        self.properties: dict[str, Node] = {name: Node(value) for name, value in (schema.get("properties") or {}).items()}
        items, more = schema.get("items"), schema.get("additionalProperties")
        self.items: Node | None = Node(items) if isinstance(items, dict) else None
        self.additional: Node | bool | None = Node(more) if isinstance(more, dict) else True if more is not None else None
        self.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        self.nullable = bool(schema.get("nullable"))
        self.list_type: str | None = schema.get("x-kubernetes-list-type")
        self.map_type: str | None = schema.get("x-kubernetes-map-type")
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self.has_default = schema.get("default") is not None
        self.make_default: Callable[[], Any] = _maker(schema["default"]) if self.has_default else _absent
        below = [*self.properties.values(), *(n for n in (self.items, self.additional) if isinstance(n, Node))]
        self.below_defaults: bool = any(n.has_default or n.below_defaults for n in below)
        self.below_embedded: bool = self.embedded or any(n.below_embedded for n in below)
        self.below_lists: bool = self.list_type in ("set", "map") or any(n.below_lists for n in below)

    def child(self, name: str) -> Node | None:
        """The node of a member, named or additional; None where the schema says nothing of its value."""
        found = self.properties.get(name)
        if found is None and isinstance(self.additional, Node):
            return self.additional
        return found

    def set_default(self, value: Any) -> None:
        """None: it has none any more."""
        self.has_default = value is not None
        self.make_default = _maker(value) if self.has_default else _absent


def _maker(value: Any) -> Callable[[], Any]:
    if not isinstance(value, (dict, list)):
        return lambda: value
    data = orjson.dumps(value)
    return lambda: orjson.loads(data)
