"""Joins the OpenAPI v2 documents of several servers. Pure.

Follows kube-openapi's aggregator: paths that are there already win, definitions of the same name and another meaning get a new one, and
the same definition for other kinds is one definition for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kubetree.api.openapi.schemas import V2
from kubetree.api.openapi.shared_parameters import PREFIX as PARAMETERS

Document = dict[str, Any]
_KINDS = "x-kubernetes-group-version-kind"


def filtered(document: Document, prefix: str) -> Document:
    """The document with the paths below `prefix` only, and without the definitions that only the others needed."""
    paths = {path: item for path, item in (document.get("paths") or {}).items() if path.startswith(prefix)}
    return _with_paths(document, paths)


def _with_paths(document: Document, paths: Document) -> Document:
    definitions = document.get("definitions") or {}
    before, now = _used(document.get("paths") or {}, definitions), _used(paths, definitions)
    kept = {name: value for name, value in definitions.items() if name in now or name not in before}
    return {**document, "paths": paths, "definitions": kept}


def merged(into: Document, other: Document) -> Document:
    """`into` with what `other` adds. Neither is changed; parts are shared."""
    paths = into.get("paths") or {}
    new = {path: item for path, item in (other.get("paths") or {}).items() if path not in paths}
    if not new:
        return into
    if len(new) < len(other["paths"]):
        other = _with_paths(other, new)
    other = _renamed(other, "definitions", V2, _conflicts(into.get("definitions") or {}, other.get("definitions") or {}, _same))
    other = _renamed(other, "parameters", PARAMETERS, _conflicts(into.get("parameters") or {}, other.get("parameters") or {}, _equal))
    definitions = dict(into.get("definitions") or {})
    for name, value in (other.get("definitions") or {}).items():
        definitions[name] = _for_both(definitions[name], value) if name in definitions else value
    return {
        **into,
        "paths": dict(sorted({**paths, **other["paths"]}.items())),
        "definitions": definitions,
        "parameters": {**(other.get("parameters") or {}), **(into.get("parameters") or {})},
    }


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b)


def _same(a: Document, b: Document) -> bool:
    """Whether two definitions differ in nothing but the kinds that they are for."""
    return _bare(a) == _bare(b)


def _bare(schema: Document) -> Document:
    return {key: value for key, value in schema.items() if key != _KINDS}


def _for_both(a: Document, b: Document) -> Document:
    more = [kind for kind in b.get(_KINDS) or () if kind not in (a.get(_KINDS) or ())]
    if not more:
        return a
    kinds = sorted([*(a.get(_KINDS) or ()), *more], key=lambda k: f"{k.get('group')}/{k.get('version')}.{k.get('kind')}")
    return {**a, _KINDS: kinds}


def _conflicts(there: Document, coming: Document, same: Callable[[Any, Any], bool]) -> dict[str, str]:
    """New names for what is there already as something else: `NAME_v2`, or the next number that is free or means the same."""
    found: dict[str, str] = {}
    taken = set(there)
    for name, value in coming.items():
        if name not in there or same(there[name], value):
            continue
        number = 2
        while (new := f"{name}_v{number}") in taken or new in coming:
            if new in there and same(there[new], value):
                break
            number += 1
        found[name] = new
        taken.add(new)
    return found


def _renamed(document: Document, section: str, prefix: str, names: dict[str, str]) -> Document:
    if not names:
        return document
    references = {prefix + old: prefix + new for old, new in names.items()}
    out: Document = replaced(document, lambda ref: references.get(ref, ref))
    out[section] = {names.get(name, name): value for name, value in out[section].items()}
    return out


def replaced(value: Any, change: Callable[[str], str]) -> Any:
    """A copy with every `$ref` changed."""
    if isinstance(value, dict):
        return {key: change(item) if key == "$ref" and isinstance(item, str) else replaced(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, change) for item in value]
    return value


def _used(paths: Document, definitions: Document) -> set[str]:
    found: set[str] = set()
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(definitions.get(name)))
    return found


def _references(value: Any) -> Iterator[str]:
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        ref = value.get("$ref")
        if isinstance(ref, str) and ref.startswith(V2):
            yield ref.removeprefix(V2)
        children = value.values()
    elif isinstance(value, list):
        children = value
    for child in children:
        yield from _references(child)
