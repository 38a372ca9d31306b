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
_EMPTY, _NO_TIME = b"{}", b'"creationTimestamp":null'
"""What clients written in Go send along without meaning it."""


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    apiVersion: str
    kind: str
    metadata: msgspec.Raw
    spec: msgspec.Raw
    status: msgspec.Raw = msgspec.Raw()

    @property
    def members(self) -> int:
        """How many there are at the top."""
        return 5 if self.status else 4

    @property
    def plain(self) -> bool:
        """There is no status that says anything."""
        return not self.status or bytes(self.status) == _EMPTY


class _Known(NamedTuple):
    """`spec` is JSON with its defaults, `rest` what defaults add beside it; `members` counts the colons of what was sent."""

    spec: bytes
    rest: bytes
    members: int


_encode = msgspec.json.Encoder().encode
_parts = msgspec.json.Decoder(_Parts).decode


_READ = frozenset({"apiVersion", "kind", "metadata", "spec"})


class KnownSpecs:
    """The last `most` specs."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._known: dict[tuple[str, bytes], _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def read(self, kind: Kind, data: bytes) -> Object | None:
        """The object in `data`, decoded and defaulted, an object of the caller's own; None when its spec is new, or when anything else about
        it needs a second look: nulls, zero values, duplicate, unknown or mistyped members."""
        try:
            parts = _parts(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        known = self._known.get((kind.kind, bytes(parts.spec)))
        if known is None or parts.kind != kind.kind or parts.apiVersion != kind.api_version or not parts.plain:
            return None
        meta = bytes(parts.metadata)
        if data.count(b":") != parts.members + meta.count(b":") + known.members:
            return None
        if b"null" in meta:
            meta = meta.replace(_NO_TIME + b",", b"", 1) if _NO_TIME + b"," in meta else meta.replace(b"," + _NO_TIME, b"", 1)
            if b"null" in meta:
                return None
        try:
            checked = types.decoder(definitions.OBJECT_META).decode(meta)
        except (msgspec.MsgspecError, ValueError):
            return None
        if _encode(checked).count(b":") != meta.count(b":"):
            return None
        metadata = orjson.loads(meta)
        obj = {"apiVersion": parts.apiVersion, "kind": parts.kind, "metadata": metadata, "spec": orjson.loads(known.spec)}
        return obj | orjson.loads(known.rest) if known.rest else obj

    def learn(self, kind: Kind, data: bytes, obj: Object) -> None:
        """`data` was read without complaint, and `obj` is what it says, with its defaults."""
        try:
            parts = _parts(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        raw = bytes(parts.spec)
        if len(raw) > _LONGEST or not parts.plain:
            return
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        rest = {name: value for name, value in obj.items() if name not in _READ}
        self._known[kind.kind, raw] = _Known(orjson.dumps(obj["spec"]), orjson.dumps(rest) if rest else b"", raw.count(b":"))
