"""Which objects a list or a watch means: namespace, name, label and field selectors, parsed once a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubetree.api import errors
from kubetree.api.selectors import FieldRequirement, FieldSelector, Selector, parse_field_selector, parse_label_selector
from kubetree.api.strategies import field_label_supported, selectable_fields, stored_field_label, unsupported_field_label
from kubetree.apiserver.registry import Resource
from kubetree.apiserver.watch_cache import Cached
from kubetree.apiserver.wire.options import ListOptions


@dataclass(frozen=True, slots=True)
class Selection:
    """`key` is set when the request can mean one object only. `labels` and `fields` None: everything matches."""

    prefix: str
    key: str = ""
    labels: Selector | None = None
    fields: FieldSelector | None = None
    index: Mapping[str, str] | None = None
    """Fields that must have just this value."""
    exact_labels: Mapping[str, str] | None = None
    converted: bool = False
    """Only objects in the version asked for can be selected: what is stored has other fields."""

    @property
    def stored(self) -> Selection:
        """What can be selected before that."""
        return Selection(self.prefix, self.key) if self.converted else self

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None

    def matches(self, entry: Cached) -> bool:
        if self.labels is not None and not self.labels.matches(entry.labels):
            return False
        return self.fields is None or self.fields.matches(entry.fields)


def computed(resource: Resource, options: ListOptions, objs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of objects that no cache has that a list's selectors choose. Raises BadRequest as `select` does."""
    chosen = select(resource, "", "", options)
    return [
        obj
        for obj in objs
        if (chosen.labels is None or chosen.labels.matches(obj["metadata"].get("labels") or {}))
        and (chosen.fields is None or chosen.fields.matches(selectable_fields(resource.kind, obj)))
    ]


def select(resource: Resource, namespace: str, name: str, options: ListOptions) -> Selection:
    """Raises BadRequest for selectors that cannot be parsed or name unknown fields. `name`: the one object of the URL."""
    kind = resource.kind
    labels = _labels(options.label_selector)
    fields = _fields(resource, options.field_selector)
    exact = {r.key: r.value for r in reversed(fields.requirements) if r.operator in ("=", "==")} if fields is not None else {}
    if name:
        if exact.get("metadata.name", name) != name or (fields is not None and "metadata.name" not in exact):
            raise errors.BadRequest("fieldSelector metadata.name doesn't match requested name")
        if fields is None:
            fields = FieldSelector((FieldRequirement("metadata.name", "=", name),))
            exact = {"metadata.name": name}
    if not namespace and kind.namespaced:
        namespace = exact.get("metadata.namespace", "")
    single = exact.get("metadata.name", "")
    key = resource.key(namespace, single) if single and (namespace or not kind.namespaced) else ""
    prefix = key or resource.scope_prefix(namespace)
    if resource.codec is not None and fields is not None and any(not r.key.startswith("metadata.") for r in fields.requirements):
        return Selection(prefix, key, labels, fields, converted=True)
    return Selection(prefix, key, labels, fields, exact or None, _exact(labels))


def _exact(labels: Selector | None) -> Mapping[str, str] | None:
    """Labels that must have one certain value, by which the cache can narrow."""
    if labels is None:
        return None
    found = {r.key: r.values[0] for r in labels.requirements if r.operator in ("=", "==", "in") and len(r.values) == 1}
    return found or None


def _labels(text: str) -> Selector | None:
    if not text:
        return None
    try:
        selector = parse_label_selector(text)
    except ValueError as error:
        raise errors.BadRequest(str(error)) from None
    return None if selector.empty else selector


def _fields(resource: Resource, text: str) -> FieldSelector | None:
    if not text:
        return None
    try:
        selector = parse_field_selector(text)
    except ValueError as error:
        raise errors.BadRequest(str(error)) from None
    if not selector.requirements:
        return None
    kind = resource.kind
    for requirement in selector.requirements:
        if not field_label_supported(kind, requirement.key):
            raise errors.BadRequest(unsupported_field_label(kind, requirement.key))
    return FieldSelector(tuple(replace(r, key=stored_field_label(kind, r.key)) for r in selector.requirements))
