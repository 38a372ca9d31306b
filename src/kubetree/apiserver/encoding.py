"""How an object becomes bytes: stored without resourceVersion, answered with it spliced in, never encoded twice."""

from __future__ import annotations

from typing import Any

import orjson

_METADATA = b'"metadata":{'


def encode(obj: dict[str, Any]) -> bytes:
    """The stored form: kind, apiVersion and metadata first, no resourceVersion and no selfLink.

    The first `"metadata":{` of the bytes is therefore the object's own, which is what `with_revision` relies on.
    """
    metadata = obj.get("metadata") or {}
    if "resourceVersion" in metadata or "selfLink" in metadata:
        metadata = {k: v for k, v in metadata.items() if k not in ("resourceVersion", "selfLink")}
    ordered = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    for key, value in obj.items():
        if key not in ordered:
            ordered[key] = value
    return orjson.dumps(ordered)


def with_revision(value: bytes, revision: int) -> bytes:
    """A stored value as clients see it: metadata.resourceVersion set to the revision that wrote it."""
    at = value.index(_METADATA) + len(_METADATA)
    comma = b"" if value[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], revision, comma, value[at:])


def decode(value: bytes, revision: int = 0) -> dict[str, Any]:
    """A stored value as an object of its own; `revision` becomes its resourceVersion, 0: none."""
    obj: dict[str, Any] = orjson.loads(value)
    if revision:
        obj["metadata"]["resourceVersion"] = str(revision)
    return obj
