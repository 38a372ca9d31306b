"""Which format a request is in and which its answer: one table of serializers, and the reading of Accept and Content-Type.

Follows apiserver/pkg/endpoints/handlers/negotiation. A wire format is added by adding a row to SERIALIZERS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import orjson

from kubetree.api import errors, protobuf
from kubetree.apiserver.yaml_format import json_to_yaml, yaml_to_json


def _same(data: bytes) -> bytes:
    return data


@dataclass(frozen=True, slots=True)
class Serializer:
    """A wire format by way of JSON: `to_json` reads a body, `from_json` writes an answer. `stream`: it can carry a watch."""

    media_type: str
    to_json: Callable[[bytes], bytes] = _same
    from_json: Callable[[bytes], bytes] = _same
    stream: bool = False
    pretty: bool = False
    content_type: str = ""


def protobuf_to_json(data: bytes) -> bytes:
    """Raises ValueError with the decoder's words."""
    return orjson.dumps(protobuf.decode(data))


def json_to_protobuf(data: bytes) -> bytes:
    return protobuf.encode(orjson.loads(data))


JSON = Serializer("application/json", stream=True, pretty=True)
YAML = Serializer("application/yaml", to_json=yaml_to_json, from_json=json_to_yaml)
PROTOBUF = Serializer(protobuf.CONTENT_TYPE, to_json=protobuf_to_json, from_json=json_to_protobuf)
SERIALIZERS: tuple[Serializer, ...] = (JSON, YAML, PROTOBUF)
_BY_TYPE = {s.media_type: s for s in SERIALIZERS}
_SUPPORTED = ", ".join(s.media_type for s in SERIALIZERS)
_STREAMS = ", ".join(f"{s.media_type};stream=watch" for s in SERIALIZERS if s.stream)

_META = ("meta.k8s.io", ("v1", "v1beta1"))
_TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True, slots=True)
class Output:
    """What to answer with. `as_kind` is Table, PartialObjectMetadata(List), a discovery list or '' for the object itself;
    `as_version` its version (v1, v2, ...)."""

    serializer: Serializer = JSON
    as_kind: str = ""
    as_version: str = ""
    as_group: str = ""
    pretty: bool = False
    stream: bool = False

    @property
    def plain(self) -> bool:
        """The bytes of the cache can be answered as they are."""
        return self.serializer is JSON and not self.as_kind and not self.pretty


PLAIN = Output()


@dataclass(frozen=True, slots=True)
class _Clause:
    media_type: str
    params: tuple[tuple[str, str], ...]
    q: float


def _clauses(header: str) -> list[_Clause]:
    found = []
    for part in header.split(","):
        pieces = [p.strip() for p in part.split(";")]
        if not pieces[0]:
            continue
        params, q = [], 1.0
        for piece in pieces[1:]:
            key, _, value = piece.partition("=")
            value = value.strip('"')
            if key == "q":
                try:
                    q = float(value)
                except ValueError:
                    q = 1.0
            else:
                params.append((key, value))
        found.append(_Clause(pieces[0].lower(), tuple(params), q))
    return sorted(found, key=lambda c: -c.q)


Accepts = Callable[[str, str, str], bool]
"""Whether an endpoint can answer as (group, version, kind)."""


def accepts_transforms(group: str, version: str, kind: str) -> bool:
    """Resources: Tables and partial metadata."""
    return group == _META[0] and version in _META[1] and kind in _TRANSFORMS


def accepts_objects(group: str, version: str, kind: str) -> bool:
    """Endpoints that answer only as they are."""
    return False


@lru_cache(maxsize=512)
def negotiate(accept: str, accepts: Accepts = accepts_transforms) -> Output | None:
    """The first clause of Accept that can be served, None when there is none.

    Who takes JSON as well as protobuf gets JSON, which is what objects are kept in: it costs nothing to make.
    """
    if not accept:
        return PLAIN
    clauses = _clauses(accept)
    json_too = any(clause.media_type == JSON.media_type and clause.q > 0 and not clause.params for clause in clauses)
    for clause in clauses:
        if clause.q <= 0 or (json_too and clause.media_type == PROTOBUF.media_type):
            continue
        for serializer in SERIALIZERS:
            if clause.media_type not in (serializer.media_type, "*/*", "application/*"):
                continue
            params = dict(clause.params)
            group, version, kind = params.get("g", ""), params.get("v", ""), params.get("as", "")
            if (group or version or kind) and not (serializer.pretty and accepts(group, version, kind)):
                continue
            stream = params.get("stream", "")
            if stream and (stream != "watch" or not serializer.stream):
                continue
            return Output(serializer, kind, version, group, params.get("pretty") == "1" and serializer.pretty, bool(stream))
    return None


_HUMAN_AGENTS = ("curl", "Wget", "Mozilla/5.0")


def negotiate_output(accept: str, pretty: str, user_agent: str, accepts: Accepts = accepts_transforms, *, watch: bool = False) -> Output:
    """`pretty` is the query parameter. Raises NotAcceptable."""
    output = negotiate(accept, accepts)
    if output is None or (watch and not output.serializer.stream):
        raise not_acceptable(watch=watch)
    return prettier(output, pretty, user_agent)


def not_acceptable(*, watch: bool = False) -> errors.NotAcceptable:
    return errors.NotAcceptable(f"only the following media types are accepted: {_STREAMS if watch else _SUPPORTED}")


def prettier(output: Output, pretty: str, user_agent: str) -> Output:
    """Indented where the query asks for it, or where a person is likely to look."""
    if output.serializer.pretty and not output.pretty and (pretty in _TRUE or (not pretty and user_agent.startswith(_HUMAN_AGENTS))):
        return replace(output, pretty=True)
    return output


_TRUE = ("1", "t", "T", "TRUE", "true", "True")


def negotiate_input(content_type: str) -> Serializer:
    """Raises UnsupportedMediaType. No Content-Type means JSON."""
    if not content_type:
        return JSON
    serializer = _BY_TYPE.get(content_type) or _BY_TYPE.get(content_type.partition(";")[0].strip().lower())
    if serializer is None:
        raise unsupported(_SUPPORTED)
    return serializer


def unsupported(accepted: str) -> errors.UnsupportedMediaType:
    return errors.UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {accepted}")
