"""Parameters that many requests have, moved to one place of the OpenAPI v2 document and referred to: it makes it a quarter smaller.

Follows kube-openapi's builder: which parameters stay where they are (old kubectl look for them there), and how the others are named.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

import orjson

Document = dict[str, Any]
PREFIX = "#/parameters/"
_KEPT = frozenset({"name", "fieldValidation", "dryRun"})
_GENERIC_BODY = "#/definitions/io.k8s.apimachinery"
_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def share(paths: Document) -> Document:
    """Replaces shared parameters of all paths by references, in place. Returns them by name."""
    found: Document = {}
    for item in paths.values():
        for operation in item.values():
            listed: list[Document] = operation if isinstance(operation, list) else operation.get("parameters") or []
            for at, parameter in enumerate(listed):
                if _is_shared(parameter):
                    name = _name(orjson.dumps(parameter), parameter["name"])
                    found[name] = parameter
                    listed[at] = {"$ref": PREFIX + name}
    return dict(sorted(found.items()))


def _is_shared(parameter: Document) -> bool:
    if parameter["in"] == "body":
        return str(parameter["schema"].get("$ref", "")).startswith(_GENERIC_BODY)
    return parameter["name"] not in _KEPT


@lru_cache(maxsize=1024)
def _name(data: bytes, name: str) -> str:
    """The parameter's name and a hash of its JSON: FNV-1, of which six bytes are kept."""
    digest = _OFFSET
    for byte in data:
        digest = (digest * _PRIME & _MASK) ^ byte
    return f"{name}-{base64.urlsafe_b64encode(digest.to_bytes(8, 'big')[:6]).decode()}"
