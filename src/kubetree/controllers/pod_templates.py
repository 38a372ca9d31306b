"""Pods from templates, and the hash of a template that names ReplicaSets."""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api.kinds import Kind
from kubetree.api.objects import owner_reference

Object = dict[str, Any]

HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_MAX_NAME = 63


def pod_from(template: Object, owner_kind: Kind, owner: Object) -> Object:
    """The pod that `owner` creates from a template: labels, annotations and finalizers of the template, a name the server makes up."""
    metadata = template.get("metadata") or {}
    name: str = owner["metadata"]["name"]
    made: Object = {
        "generateName": f"{name}-",
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [owner_reference(owner_kind, owner, controller=True, block=True)],
    }
    made.update({part: metadata[part] for part in ("labels", "annotations", "finalizers") if metadata.get(part)})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template["spec"]}


def template_hash(template: Object, collisions: int | None) -> str:
    """A short name for a template, in upstream's form: 32 bit FNV-1a, safely encoded, `collisions` mixed in when given.

    Upstream hashes a dump of its Go structs, which changes with its version; here it is the JSON, so the values differ.
    """
    value = _fnv1a(orjson.dumps(template, option=orjson.OPT_SORT_KEYS))
    if collisions is not None:
        value = _fnv1a(collisions.to_bytes(4, "little") + bytes(4), value)
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))


def _fnv1a(data: bytes, value: int = 0x811C9DC5) -> int:
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def equal_but_for_hash(one: Object, other: Object) -> bool:
    """Whether two templates are the same when their pod-template-hash labels are not looked at."""
    return bool(_bare(one) == _bare(other))


def _bare(value: Any) -> Any:
    """A template without its hash label and without empty parts, which mean the same as missing ones."""
    metadata = {k: v for k, v in (value.get("metadata") or {}).items() if v and k != "creationTimestamp"}
    if "labels" in metadata:
        metadata["labels"] = {k: v for k, v in metadata["labels"].items() if k != HASH_LABEL}
    return {"metadata": _pruned(metadata), "spec": _pruned(value.get("spec") or {})}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: p for k, v in value.items() if (p := _pruned(v)) is not None and p != []}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value
