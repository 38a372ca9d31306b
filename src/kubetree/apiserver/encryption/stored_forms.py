"""What etcd has at another version than this server's caches: kinds that upstream stores at an older version than it serves, and objects
that somebody wrote at another version of their kind. Servers of both sorts may share an etcd.

Upstream keeps CustomResourceDefinitions at v1beta1 because large ones are smaller there, and new versions a release long at the last one.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.conversion import convert
from kubetree.api.kind_table import every_kind
from kubetree.apiserver.wire.encoding import decode, encode

_OLDER = {
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1"): "apiextensions.k8s.io/v1beta1",
    ("MutatingAdmissionPolicy", "admissionregistration.k8s.io/v1"): "admissionregistration.k8s.io/v1beta1",
    ("MutatingAdmissionPolicyBinding", "admissionregistration.k8s.io/v1"): "admissionregistration.k8s.io/v1beta1",
}
"""What a kind of the caches is stored as."""
_NEWER = {(kind, stored): served for (kind, served), stored in _OLDER.items()}
_ALSO = (("Event", "events.k8s.io/v1"), ("HorizontalPodAutoscaler", "autoscaling/v1"))
_KINDS = every_kind()


def _beginning(kind: str, api_version: str) -> bytes:
    return f'{{"kind":"{kind}","apiVersion":"{api_version}"'.encode()


SERVED = tuple(_beginning(*form) for form in _OLDER)
"""How values begin that are stored in another form."""
STORED = (*(_beginning(*form) for form in (*_NEWER, *_ALSO)), *(b'{"apiVersion":"%b"' % version.encode() for _, version in _ALSO))
"""How JSON begins that is not of the form that the caches have; some writers sort their keys."""


def served(value: bytes) -> bytes:
    """Of a value that begins as STORED, the one that the caches have."""
    return encode(current(decode(value)))


def current(obj: dict[str, Any]) -> dict[str, Any]:
    """An object that was stored at whatever version, at the one that the caches have."""
    kind, api_version = obj.get("kind") or "", obj.get("apiVersion") or ""
    row = _KINDS.by_kind(api_version, kind)
    return convert(obj, _NEWER.get((kind, api_version)) or (row.stored_as if row is not None else api_version))


def stored(value: bytes) -> bytes:
    """Of a value that begins as SERVED, the one that etcd has."""
    obj = decode(value)
    return encode(convert(obj, _OLDER[obj["kind"], obj["apiVersion"]]))
