"""Specs that were seen before: the objects of a ReplicaSet or a Job come with the same spec to the byte, which is then neither checked nor
defaulted again. What is remembered is how a spec reads and what its defaults make of it; metadata is read anew each time.

Only for kinds whose defaults depend on the spec alone. Nothing here knows who asks or what the cluster holds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import orjson

from kubetree.api.kinds import Kind
from kubetree.api.schema import definitions, types

Object = dict[str, Any]

KINDS = frozenset({("v1", "Pod")})
_LONGEST = 64 * 1024
_TOP_LEVEL = 4
"""Members of an object that has nothing but apiVersion, kind, metadata and spec."""


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    apiVersion: str
    kind: str
    metadata: msgspec.Raw
    spec: msgspec.Raw


class _Known(NamedTuple):
    """`spec` is JSON with its defaults, `rest` what defaults add beside it; `members` counts the colons of what was sent."""

    spec: bytes
    rest: bytes
    members: int


_parts = msgspec.json.Decoder(_Parts).decode


class KnownSpecs:
    """The last `most` specs."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._known: dict[tuple[str, bytes], _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def read(self, kind: Kind, data: bytes) -> Object | None:
        """The object in `data`, decoded and defaulted, an object of the caller's own; None when its spec is new, or when anything else about
        it needs a second look: nulls, duplicate, unknown or mistyped members."""
        try:
            parts = _parts(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        known = self._known.get((kind.kind, bytes(parts.spec)))
        if known is None or parts.kind != kind.kind or parts.apiVersion != kind.api_version:
            return None
        meta = bytes(parts.metadata)
        members = meta.count(b":")
        if data.count(b":") != _TOP_LEVEL + members + known.members or b"null" in meta:
            return None
        try:
            types.decoder(definitions.OBJECT_META).decode(meta)
        except (msgspec.MsgspecError, ValueError):
            return None
        metadata = orjson.loads(meta)
        if orjson.dumps(metadata).count(b":") != members:
            return None
        obj = {"apiVersion": parts.apiVersion, "kind": parts.kind, "metadata": metadata, "spec": orjson.loads(known.spec)}
        return obj | orjson.loads(known.rest) if known.rest else obj

    def learn(self, kind: Kind, data: bytes, obj: Object) -> None:
        """`data` was read without complaint, and `obj` is what it says, with its defaults."""
        try:
            parts = _parts(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        raw = bytes(parts.spec)
        if len(raw) > _LONGEST:
            return
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        rest = {name: value for name, value in obj.items() if name not in _Parts.__struct_fields__}
        self._known[kind.kind, raw] = _Known(orjson.dumps(obj["spec"]), orjson.dumps(rest) if rest else b"", raw.count(b":"))
