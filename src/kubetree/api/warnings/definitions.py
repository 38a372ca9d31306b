"""Warnings about CustomResourceDefinitions: formats that no server knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubetree.api.custom_resources.formats import supported
from kubetree.api.warnings.values import Texts

Thing = dict[str, Any]


def definition(out: Texts, obj: Thing, old: Thing | None) -> None:
    """What an update leaves as it was is not told again."""
    known = set(_unknown(old)) if old is not None else set()
    out.extend(f'unrecognized format "{name}"' for name in _unknown(obj) if name not in known)


def _unknown(obj: Thing) -> Iterator[str]:
    for version in (obj.get("spec") or {}).get("versions") or ():
        yield from _formats((version.get("schema") or {}).get("openAPIV3Schema"))


def _formats(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _formats(inner)
    elif isinstance(schema, dict):
        name = schema.get("format")
        if name and not supported(schema.get("type") or "", name):
            yield name
        for word in ("items", "allOf", "oneOf", "anyOf", "not"):
            yield from _formats(schema.get(word))
        yield from _formats(list((schema.get("properties") or {}).values()))
        yield from _formats(schema.get("additionalProperties"))
