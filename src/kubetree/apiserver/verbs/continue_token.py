"""The opaque continue token of paged lists: where the next page starts, and at which revision. Upstream's own form."""

from __future__ import annotations

import base64
import posixpath
from typing import Any

import orjson

from kubetree.api.errors import BadRequest
from kubetree.api.schema.go_json import go_name, parse, plain

_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1
"""The revision of a token that goes on from now, after the revision of the list has been compacted."""
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_FIELDS: dict[str, tuple[type, str]] = {"v": (str, "string"), "rv": (int, "int64"), "start": (str, "string")}


def encode_continue(after: str, prefix: str, revision: int) -> str:
    """The page after the key `after`, which starts with `prefix`."""
    start = after.removeprefix(prefix) + "\0"
    data = orjson.dumps({"v": _VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_continue(token: str, prefix: str) -> tuple[str, int]:
    """The key to go on after and the revision, INCONSISTENT for now. Raises BadRequest in upstream's words."""
    try:
        found = _read(token)
        version, revision, start = found.get("v", ""), found.get("rv", 0), found.get("start", "")
        if version != _VERSION:
            raise ValueError(f"server does not recognize this encoded version {version}")
        if revision == 0:
            raise ValueError(f"incorrect encoded start resourceVersion (version {_VERSION})")
        if not start:
            raise ValueError(f"encoded start key empty (version {_VERSION})")
        key = start if start.startswith("/") else f"/{start}"
        if posixpath.normpath(key.rstrip("\0")) != key.rstrip("\0"):
            raise ValueError(start)
    except ValueError as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from None
    return prefix + _before(key[1:]), max(revision, INCONSISTENT)


def _read(token: str) -> dict[str, Any]:
    """Raises ValueError worded as Go's decoders."""
    bad = next((at for at, c in enumerate(token) if c not in _ALPHABET), None)
    if bad is None and len(token) % 4 == 1:
        bad = len(token) - 1
    if bad is not None:
        raise ValueError(f"illegal base64 data at input byte {bad}")
    found = plain(parse(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
    if not isinstance(found, dict):
        raise ValueError(f"json: cannot unmarshal {go_name(found)} into Go value of type storage.continueToken")
    for field, (wanted, name) in _FIELDS.items():
        value = found.get(field, wanted())
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ValueError(f"json: cannot unmarshal {go_name(value)} into Go struct field continueToken.{field} of type {name}")
    return found


def _before(start: str) -> str:
    """The key after which a page begins that starts at `start`: tokens of ours end in a zero byte, the first key after another."""
    return start[:-1] if start.endswith("\0") else start[:-1] + chr(ord(start[-1]) - 1) + "\U0010ffff"
