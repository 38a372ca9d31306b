"""Whole objects as upstream sends them: four magic bytes, then runtime.Unknown with apiVersion, kind and the message's bytes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from kubetree.api.protobuf.decoder import decoder
from kubetree.api.protobuf.encoder import encoder
from kubetree.api.protobuf.table import table
from kubetree.api.protobuf.wire import WireError, fields, tagged, varint

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"

_META = frozenset(
    {
        "Status", "DeleteOptions", "ListOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "GetOptions", "WatchEvent",
        "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "PartialObjectMetadata", "PartialObjectMetadataList",
    }
)  # fmt: skip
_GROUPS = {
    "": "core.",
    **{group: f"{group}." for group in ("apps", "autoscaling", "batch", "policy")},
    **{
        f"{group}.k8s.io": f"{group}."
        for group in (
            "admissionregistration", "apidiscovery", "authentication", "authorization", "certificates", "coordination", "discovery",
            "events", "networking", "node", "resource", "scheduling", "storage", "storagemigration",
        )
    },
    "apiextensions.k8s.io": "apiextensions/",
    "apiregistration.k8s.io": "apiregistration/",
    "flowcontrol.apiserver.k8s.io": "flowcontrol.",
    "internal.apiserver.k8s.io": "apiserverinternal.",
    "rbac.authorization.k8s.io": "rbac.",
}  # fmt: skip
"""How the table names the messages of a group: with their version, but for those whose names end in a slash."""


class ProtobufError(ValueError):
    """A body that is no Kubernetes object in protobuf, or of a kind that has no protobuf form."""


@lru_cache(maxsize=1024)
def message_name(api_version: str, kind: str) -> str:
    """The table's name for a kind: `apps.v1.Deployment`, `meta/DeleteOptions`. Raises ProtobufError."""
    if kind in _META:
        return f"meta/{kind}"
    group, _, version = api_version.rpartition("/")
    prefix = _GROUPS.get(group, "?")
    name = f"{prefix}{kind}" if prefix.endswith("/") else f"{prefix}{version}.{kind}"
    if name not in table():
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}" in protobuf')
    return name


def decode(data: bytes, default: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """The object as JSON has it, with apiVersion and kind (`default` where the envelope names none). Raises ProtobufError."""
    if not data:
        raise ProtobufError("empty data")
    if data[:4] != MAGIC:
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        parts = {number: value for number, value in fields(data[4:]) if isinstance(value, bytes)}
        types = {number: str(value, "utf-8") for number, value in fields(parts.get(1, b"")) if isinstance(value, bytes)}
        api_version, kind = types.get(1) or default[0], types.get(2) or default[1]
        body = parts.get(2, b"")
        obj = decoder(message_name(api_version, kind)).decode(body, 0, len(body))
    except (WireError, UnicodeDecodeError) as error:
        raise ProtobufError(f"proto: {error}") from error
    except IndexError:
        raise ProtobufError("unexpected EOF") from None
    return {"apiVersion": api_version, "kind": kind, **obj}


def encode(obj: dict[str, Any]) -> bytes:
    """The whole object, envelope included. Raises ProtobufError for a kind without a protobuf form."""
    return wrap(obj.get("apiVersion", ""), obj["kind"], message(obj))


def message(obj: dict[str, Any]) -> bytes:
    """The object's message alone, as lists carry it. Raises ProtobufError."""
    return encoder(message_name(obj.get("apiVersion", ""), obj["kind"])).encode(obj)


def wrap(api_version: str, kind: str, message: bytes) -> bytes:
    """A message in its envelope."""
    return b"%b%b\x12%b%b\x1a\x00\x22\x00" % (MAGIC, _types(api_version, kind), varint(len(message)), message)


@lru_cache(maxsize=1024)
def _types(api_version: str, kind: str) -> bytes:
    return tagged(1, tagged(1, api_version.encode()) + tagged(2, kind.encode()))


def encode_list(api_version: str, kind: str, metadata: dict[str, Any], items: Iterable[bytes]) -> bytes:
    """A list of `kind` (PodList) from its items' messages."""
    head = tagged(1, encoder("meta/ListMeta").encode(metadata))
    return wrap(api_version, kind, head + b"".join([tagged(2, item) for item in items]))


def encode_event(type_: str, obj: bytes) -> bytes:
    """metav1.WatchEvent as watches carry it: its size in four bytes, then the bare message. `obj` is a whole object."""
    event = tagged(1, type_.encode()) + tagged(2, tagged(1, obj))
    return len(event).to_bytes(4, "big") + event
