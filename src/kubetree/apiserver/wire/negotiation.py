"""Which format a request is in and which its answer: one table of serializers, and the reading of Accept and Content-Type.

Follows apiserver/pkg/endpoints/handlers/negotiation. A wire format is added by adding a row to SERIALIZERS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from kubetree.api import errors, protobuf
from kubetree.apiserver.wire.yaml_format import json_to_yaml, yaml_to_json


def _same(data: bytes) -> bytes:
    return data


@dataclass(frozen=True, slots=True)
class Serializer:
    """A wire format by way of JSON: `to_json` reads a body, `from_json` writes an answer. `stream`: it can carry a watch; `pretty`: it has
    an indented form."""

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
    """Raises NotAcceptable for what has no protobuf form."""
    return object_to_protobuf(orjson.loads(data))


def object_to_protobuf(obj: dict[str, Any]) -> bytes:
    """The same for an object that is no bytes yet."""
    try:
        return protobuf.encode(obj)
    except (protobuf.ProtobufError, KeyError) as error:
        raise errors.NotAcceptable(str(error)) from None


JSON = Serializer("application/json", stream=True, pretty=True)
YAML = Serializer("application/yaml", to_json=yaml_to_json, from_json=json_to_yaml)
PROTOBUF = Serializer(protobuf.CONTENT_TYPE, to_json=protobuf_to_json, from_json=json_to_protobuf, stream=True)
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
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """The bytes of the cache can be answered as they are."""
        return self.serializer is JSON and not self.as_kind and not self.pretty


PLAIN = Output()


@dataclass(frozen=True, slots=True)
class _Clause:
    """A part of Accept: `main`/`sub` with parameters and a weight. A weight of zero excludes nothing, it only comes last."""

    main: str
    sub: str
    params: tuple[tuple[str, str], ...] = ()
    q: float = 1.0

    def before(self, other: _Clause) -> bool:
        return self.q > other.q or (self.main != "*" and other.main == "*") or (self.sub != "*" and other.sub == "*")

    def covers(self, media_type: str) -> bool:
        main, _, sub = media_type.partition("/")
        return self.sub == "*" if self.main == "*" else self.main == main and self.sub in (sub, "*")


def _clauses(header: str) -> list[_Clause]:
    """In the order in which they are tried: what goautoneg makes of the header, its insertion sort over `before` included, which is no
    ordering once weights and wildcards contradict each other."""
    found: list[_Clause] = []
    for part in header.split(","):
        clause = _clause(part.strip(" "))
        if clause is None:
            continue
        at = len(found)
        while at and clause.before(found[at - 1]):
            at -= 1
        found.insert(at, clause)
    return found


def _clause(text: str) -> _Clause | None:
    media_type, *rest = text.split(";")
    main, _, sub = media_type.partition("/")
    if not sub:
        if main.strip(" ") != "*":
            return None
        sub = "*"
    if "/" in sub:
        return None
    params, q = [], 1.0
    for piece in rest:
        key, _, value = piece.partition("=")
        if not value or "=" in value:
            continue
        if key.strip(" ") == "q":
            q = _weight(value)
        else:
            params.append((key.strip(" "), value.strip(" ")))
    return _Clause(main.strip(" "), sub.strip(" "), tuple(params), q)


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a path can answer with. `transforms`: whether it can answer in a format as (group, version, kind); `versioned`: it knows the
    parameter `sv`; `routed`: upstream's router stands before it, which wants one of the formats by name or `*/*`."""

    transforms: Callable[[Serializer, str, str, str], bool] = lambda *_: False
    versioned: bool = False
    routed: bool = True
    formats: tuple[Serializer, ...] = SERIALIZERS
    """Of what is answered as it is; transforms come in any format."""


def _tables_and_metadata(serializer: Serializer, group: str, version: str, kind: str) -> bool:
    """Tables have no protobuf form."""
    known = group == _META[0] and version in _META[1] and kind in _TRANSFORMS
    return known and (kind != "Table" or serializer is not PROTOBUF)


RESOURCES = Endpoint(_tables_and_metadata, versioned=True)
CUSTOM_RESOURCES = Endpoint(_tables_and_metadata, versioned=True, routed=False, formats=(JSON, YAML))
"""They have no protobuf form, but their metadata has."""
OBJECTS = Endpoint()
"""Pages that answer only as they are."""
ERRORS = Endpoint(routed=False)


@lru_cache(maxsize=1024)
def negotiate(accept: str, endpoint: Endpoint = RESOURCES) -> Output | None:
    """The first clause of Accept that can be served, None when there is none."""
    if not accept:
        return PLAIN
    if endpoint.routed and not routed(accept):
        return None
    for clause in _clauses(accept):
        for serializer in SERIALIZERS:
            if clause.covers(serializer.media_type):
                output = _output(serializer, dict(clause.params), endpoint)
                if output is not None:
                    return output
    return None


def _output(serializer: Serializer, params: dict[str, str], endpoint: Endpoint) -> Output | None:
    group, version, kind = params.get("g", ""), params.get("v", ""), params.get("as", "")
    transformed = any(key in params for key in ("g", "v", "as"))
    if not (endpoint.transforms(serializer, group, version, kind) if transformed else serializer in endpoint.formats):
        return None
    stream, server_version = params.get("stream", ""), params.get("sv", "")
    if stream and (stream != "watch" or not serializer.stream):
        return None
    if server_version and not (endpoint.versioned and server_version == "v1"):
        return None
    return Output(serializer, kind, version, params.get("pretty") == "1" and serializer.pretty)


def routed(accept: str, produced: Collection[str] = _BY_TYPE) -> bool:
    """Whether upstream's router lets a request through to something that answers in `produced`."""
    return not accept or any(part.partition(";")[0].strip(" ") in ("*/*", *produced) for part in accept.split(","))


_HUMAN_AGENTS = ("curl", "Wget", "Mozilla/5.0")


def negotiate_output(
    accept: str, pretty: str, user_agent: str, endpoint: Endpoint = RESOURCES, *, watch: bool = False, streams: bool = False
) -> Output:
    """`pretty` is the query parameter; `streams`: the path can be watched. Raises NotAcceptable."""
    output = negotiate(accept, endpoint)
    if output is None or (watch and not output.serializer.stream):
        if endpoint.routed and not routed(accept):
            raise not_routed(f"{_SUPPORTED}, {_STREAMS}" if watch or streams else _SUPPORTED)
        raise not_acceptable(watch=output is not None)
    return prettier(output, pretty, user_agent)


def not_acceptable(*, watch: bool = False) -> errors.NotAcceptable:
    return errors.NotAcceptable(f"only the following media types are accepted: {_STREAMS if watch else _SUPPORTED}")


def not_routed(available: str) -> errors.NotAcceptable:
    """What upstream's router answers before it calls anyone."""
    return errors.NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {available}", empty_details=True)


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
    serializer = _BY_TYPE.get(content_type) or _BY_TYPE.get(_media_type(content_type))
    if serializer is None:
        raise unsupported(_SUPPORTED)
    return serializer


_PARAMETERS = re.compile(r"""(\s*;\s*[^\s;="]+\s*=\s*([^\s;="]+|"(?:[^"\\]|\\.)*"))*\s*;?\s*""")


def _media_type(header: str) -> str:
    """The type without its parameters, '' where those cannot be read."""
    media_type, semicolon, parameters = header.partition(";")
    return media_type.strip().lower() if _PARAMETERS.fullmatch(semicolon + parameters) else ""


def unsupported(accepted: str) -> errors.UnsupportedMediaType:
    return errors.UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {accepted}")
