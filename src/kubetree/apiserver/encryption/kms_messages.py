"""The messages of the KMS v2 plugin API and of an enveloped value in the store, by their field numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubetree.api.protobuf.wire import WireError, fields, tagged, varint

SERVICE = "/v2.KeyManagementService/"
_SOURCE_TAG = 5 << 3
AES_GCM_KEY, DERIVED_SEED = 0, 1
"""EncryptedObject.encryptedDEKSourceType: the source is the key itself, or a seed that keys are derived from."""

Annotations = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Status:
    """What the plugin says of itself."""

    version: str
    healthz: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A key that the plugin has encrypted."""

    ciphertext: bytes
    key_id: str
    annotations: Annotations = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A value in the store, with the encrypted source of its key."""

    data: bytes
    key: Encrypted
    source: int


def encode_encrypt(plaintext: bytes, uid: str) -> bytes:
    return tagged(1, plaintext) + tagged(2, uid.encode())


def encode_decrypt(key: Encrypted, uid: str) -> bytes:
    return tagged(1, key.ciphertext) + tagged(2, uid.encode()) + tagged(3, key.key_id.encode()) + _annotations(4, key.annotations)


def decode_status(data: bytes) -> Status:
    found = _fields(data)
    return Status(*(_last(found, number).decode() for number in (1, 2, 3)))


def decode_encrypted(data: bytes) -> Encrypted:
    found = _fields(data)
    return Encrypted(_last(found, 1), _last(found, 2).decode(), _read_annotations(found.get(3, [])))


def decode_plaintext(data: bytes) -> bytes:
    return _last(_fields(data), 1)


def encode_envelope(envelope: Envelope) -> bytes:
    key = envelope.key
    body = tagged(1, envelope.data) + tagged(2, key.key_id.encode()) + tagged(3, key.ciphertext) + _annotations(4, key.annotations)
    return body + (varint(_SOURCE_TAG) + varint(envelope.source) if envelope.source else b"")


def decode_envelope(data: bytes) -> Envelope:
    """Raises WireError, UnicodeDecodeError."""
    parts = _fields(data)
    source = next((value for number, value in fields(data) if number == 5 and isinstance(value, int)), 0)
    key = Encrypted(_last(parts, 3), _last(parts, 2).decode(), _read_annotations(parts.get(4, [])))
    return Envelope(_last(parts, 1), key, source)


def _annotations(number: int, annotations: Mapping[str, bytes]) -> bytes:
    return b"".join(tagged(number, tagged(1, key.encode()) + tagged(2, value)) for key, value in sorted(annotations.items()))


def _read_annotations(entries: list[bytes]) -> Annotations:
    pairs = (_fields(entry) for entry in entries)
    return {_last(pair, 1).decode(): _last(pair, 2) for pair in pairs}


def _fields(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    try:
        for number, value in fields(data):
            if not isinstance(value, int):
                found.setdefault(number, []).append(value)
    except IndexError:
        raise WireError("unexpected EOF") from None
    return found


def _last(found: Mapping[int, list[bytes]], number: int) -> bytes:
    values = found.get(number)
    return values[-1] if values else b""


__all__ = [
    "AES_GCM_KEY",
    "DERIVED_SEED",
    "SERVICE",
    "Encrypted",
    "Envelope",
    "Status",
    "WireError",
    "decode_encrypted",
    "decode_envelope",
    "decode_plaintext",
    "decode_status",
    "encode_decrypt",
    "encode_encrypt",
    "encode_envelope",
]
