"""Whole objects as upstream sends them: four magic bytes, then runtime.Unknown with apiVersion, kind and the message's bytes."""

from __future__ import annotations

from typing import Any

from kubetree.api.protobuf.messages import decode_message, encode_message, table
from kubetree.api.protobuf.wire import WireError, fields, tagged

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"

_META = frozenset(
    {
        "Status", "DeleteOptions", "ListOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "GetOptions", "WatchEvent",
        "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "PartialObjectMetadata", "PartialObjectMetadataList",
    }
)  # fmt: skip
_ROOMS = {"apiextensions.k8s.io": "apiextensions/", "apiregistration.k8s.io": "apiregistration/"}


class ProtobufError(ValueError):
    """A body that is no Kubernetes object in protobuf, or of a kind that has no protobuf form."""


def message_name(api_version: str, kind: str) -> str:
    """The table's name for a kind: `apps.v1.Deployment`, `meta/DeleteOptions`. Raises ProtobufError."""
    if kind in _META:
        return f"meta/{kind}"
    group, _, version = api_version.rpartition("/")
    name = f"{_ROOMS[group]}{kind}" if group in _ROOMS else f"{group.split('.')[0] or 'core'}.{version}.{kind}"
    if name not in table():
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}" in protobuf')
    return name


def decode(data: bytes, default: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """The object as JSON has it, with apiVersion and kind (`default` where the envelope names none). Raises ProtobufError."""
    if data[:4] != MAGIC:
        raise ProtobufError(f"provided data does not appear to be a protobuf message, expected prefix {list(MAGIC)}")
    try:
        parts = {number: value for number, _, value in fields(memoryview(data)[4:]) if isinstance(value, memoryview)}
        types = {number: str(value, "utf-8") for number, _, value in fields(parts.get(1, memoryview(b""))) if isinstance(value, memoryview)}
        api_version, kind = types.get(1) or default[0], types.get(2) or default[1]
        body = decode_message(message_name(api_version, kind), parts.get(2, memoryview(b"")))
    except (WireError, UnicodeDecodeError) as error:
        raise ProtobufError(f"proto: {error}") from error
    return {"apiVersion": api_version, "kind": kind, **body}


def encode(obj: dict[str, Any]) -> bytes:
    """The whole object, envelope included. Raises ProtobufError for a kind without a protobuf form."""
    api_version, kind = obj["apiVersion"], obj["kind"]
    types = tagged(1, api_version.encode()) + tagged(2, kind.encode())
    return MAGIC + tagged(1, types) + tagged(2, encode_message(message_name(api_version, kind), obj)) + tagged(3, b"") + tagged(4, b"")
