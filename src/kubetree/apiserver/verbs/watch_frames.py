"""What a watch sends of an event: a line of JSON or a message with its size before it, of a whole object or of its metadata.

Pure. A form is shared by all watchers that ask for the same, so that the event is written once for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from kubetree.api import protobuf
from kubetree.apiserver.operations.managers import requested_version
from kubetree.apiserver.registry import Resource
from kubetree.apiserver.watch_cache import Cached
from kubetree.apiserver.wire.negotiation import PROTOBUF, Output, Serializer, object_to_protobuf
from kubetree.apiserver.wire.transforms import partial

Object = dict[str, Any]


def chunk(payload: bytes) -> bytes:
    """A piece of a chunked answer (RFC 9112)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def line(serializer: Serializer, type: str, obj: Object) -> bytes:
    """An event in a stream's own framing."""
    if serializer is PROTOBUF:
        return protobuf.encode_event(type, object_to_protobuf(obj))
    return orjson.dumps({"type": type, "object": obj}) + b"\n"


@dataclass(frozen=True, slots=True)
class SharedForm:
    """See watch_cache.Form. `as_version` '': whole objects, else their metadata at that version of meta.k8s.io."""

    api_version: str
    serializer: Serializer
    as_version: str
    resource: Resource

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedForm) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.api_version, self.serializer.media_type, self.as_version

    def frame(self, type: str, entry: Cached) -> bytes:
        return chunk(self.line(type, entry))

    def line(self, type: str, entry: Cached) -> bytes:
        resource = self.resource
        if self.serializer is PROTOBUF and resource.same_version and not self.as_version:
            kind = resource.kind
            return protobuf.encode_event(type, protobuf.wrap(kind.api_version, kind.kind, entry.message))
        obj = partial(entry.obj, self.as_version) if self.as_version else requested_version(resource, entry.obj)
        return line(self.serializer, type, obj)


def shared_form(resource: Resource, output: Output) -> SharedForm | None:
    """None for Tables, whose first event differs from the others."""
    if output.as_kind not in ("", "PartialObjectMetadata"):
        return None
    return SharedForm(resource.kind.api_version, output.serializer, output.as_version if output.as_kind else "", resource)
