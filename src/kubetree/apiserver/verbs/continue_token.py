"""The opaque continue token of paged lists: where the next page starts, and at which revision. Upstream's own form."""

from __future__ import annotations

import base64
import binascii
import posixpath

import orjson

from kubetree.api.errors import BadRequest

_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1
"""The revision of a token that goes on from now, after the revision of the list has been compacted."""


def encode_continue(after: str, prefix: str, revision: int) -> str:
    """The page after the key `after`, which starts with `prefix`."""
    start = after.removeprefix(prefix) + "\0"
    data = orjson.dumps({"v": _VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_continue(token: str, prefix: str) -> tuple[str, int]:
    """The key to go on after and the revision. Raises BadRequest in upstream's words."""
    try:
        if not token.isascii() or "=" in token:
            raise ValueError("illegal base64 data")
        found = orjson.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        version, revision, start = found.get("v", ""), found.get("rv", 0), found.get("start", "")
    except (ValueError, binascii.Error, AttributeError) as error:
        raise BadRequest(f"continue key is not valid: {error}") from None
    if version != _VERSION:
        raise BadRequest(f"continue key is not valid: server does not recognize this encoded version {version}")
    if revision == 0:
        raise BadRequest("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not start:
        raise BadRequest("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")
    key = start if start.startswith("/") else f"/{start}"
    if posixpath.normpath(key.rstrip("\0")) != key.rstrip("\0"):
        raise BadRequest(f"continue key is not valid: {start}")
    return prefix + key[1:].rstrip("\0"), revision
