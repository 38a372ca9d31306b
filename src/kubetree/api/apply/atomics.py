"""Merging an apply configuration without owners, as MutatingAdmissionPolicy does: what it names is set, but nothing that is owned as a
whole may be touched, since what it leaves out of such a thing would be gone.

Follows admission/plugin/policy/mutating/patch/smd.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubetree.api.apply.types import Atomic, List, Map, Type

Object = dict[str, Any]


def atomics(of: Type, value: Any, path: str = "") -> Iterator[str]:
    """The paths of atomic lists, maps and structs in a value."""
    if isinstance(of, Atomic):
        if isinstance(value, list if of.shape == "list" else dict):
            yield path
        if of.inner is None:
            return
        if of.shape == "list" and isinstance(value, list):
            for i, item in enumerate(value):
                yield from atomics(of.inner, item, f"{path}[{i}]")
        elif isinstance(of.inner, Map) and isinstance(value, dict):
            yield from _fields(of.inner, value, path)
    elif isinstance(of, List) and isinstance(value, list):
        for i, item in enumerate(value):
            yield from atomics(of.element, item, f"{path}[{i}]")
    elif isinstance(of, Map):
        if isinstance(value, dict):
            yield from _fields(of, value, path)
        elif isinstance(value, list) and of.lenient:
            yield path


def _fields(of: Map, value: Object, path: str) -> Iterator[str]:
    for name, item in value.items():
        found = of.fields.get(name)
        kind = found[1] if found is not None else of.element
        if kind is not None:
            yield from atomics(kind, item, f"{path}.{name}")


def check_fit(of: Type, patch: Object) -> None:
    """Raises ValueError, worded as upstream's, for a patch that does not fit."""
    wrong = list(of.validate(patch, "", False))
    if wrong:
        text = wrong[0] if len(wrong) == 1 else "\n  ".join(("errors:", *wrong))
        raise ValueError(f"failed to convert patch object to typed object: {text}")


def merged(of: Type, live: Object, patch: Object) -> Object:
    """`live` overlaid with `patch`. Raises ValueError, worded as upstream's, for a patch that does not fit or touches what is atomic."""
    check_fit(of, patch)
    touched = list(atomics(of, patch))
    if touched:
        raise ValueError(f"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {', '.join(touched)}")
    found: Object = of.merge(live, patch)
    return found
