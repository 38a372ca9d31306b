"""What etcd has in another form than this server's caches, since upstream keeps it so: CustomResourceDefinitions, at v1beta1.

Upstream writes them at that version because large ones are smaller there; servers of both sorts may share an etcd.
"""

from __future__ import annotations

from kubetree.api.conversion import convert
from kubetree.apiserver.wire.encoding import decode, encode

_V1, _V1BETA1 = "apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"
_BEGINNING = b'{"kind":"CustomResourceDefinition","apiVersion":"%b"'
SERVED, STORED = _BEGINNING % _V1.encode(), _BEGINNING % _V1BETA1.encode()
"""How values of one form and of the other begin."""


def served(value: bytes) -> bytes:
    """Of a value that begins as STORED, the one that the caches have."""
    return encode(convert(decode(value), _V1))


def stored(value: bytes) -> bytes:
    """Of a value that begins as SERVED, the one that etcd has."""
    return encode(convert(decode(value), _V1BETA1))
