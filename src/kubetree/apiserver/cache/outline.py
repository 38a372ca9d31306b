"""What the cache needs of an object's JSON without decoding all of it: its labels, and of the busiest kinds what field selectors ask for.

A pod decodes to a dict in about 15 us; its outline takes 3. The outline has the object's shape with most of it left out, so that
`strategies.selectable_fields` reads it as it reads the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec
import orjson

from kubetree.api.kinds import Kind

Shape = Mapping[str, Any]
"""Field names, each with True (taken as it is) or the shape of what is below it; `[shape]` for a list."""

_METADATA = {"name": True, "namespace": True}
_REFERENCE = dict.fromkeys(("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"), True)
_SHAPES: dict[tuple[str, str], Shape] = {
    ("v1", "Pod"): {
        "metadata": _METADATA,
        "spec": dict.fromkeys(("nodeName", "restartPolicy", "schedulerName", "serviceAccountName", "hostNetwork"), True),
        "status": {"phase": True, "podIP": True, "podIPs": [{"ip": True}], "nominatedNodeName": True},
    },
    ("v1", "Node"): {"metadata": _METADATA, "spec": {"unschedulable": True}},
    ("v1", "Event"): {
        "metadata": _METADATA,
        "involvedObject": _REFERENCE,
        "source": {"component": True},
        "reason": True,
        "reportingComponent": True,
        "type": True,
    },
    ("v1", "Secret"): {"metadata": _METADATA, "type": True},
}


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_labelled = msgspec.json.Decoder(_Labelled)


def labels_of(data: bytes) -> dict[str, str]:
    """metadata.labels; empty when there are none. Raises msgspec.MsgspecError when `data` is no object with metadata."""
    return _labelled.decode(data).metadata.labels or {}


def outline_of(kind: Kind) -> Callable[[bytes], dict[str, Any]]:
    """A decoder of as much of the kind as its selectable fields need: an outline, or of less busy kinds the whole object."""
    shape = _SHAPES.get((kind.api_version, kind.kind))
    if shape is None:
        whole: Callable[[bytes], dict[str, Any]] = orjson.loads
        return whole
    return msgspec.json.Decoder(_type(kind.kind, shape)).decode


_typed_dict: Any = TypedDict
"""Made at run time here, which a type checker cannot follow."""


def _type(name: str, shape: Any) -> Any:
    if shape is True:
        return Any
    if isinstance(shape, list):
        return list[_type(name, shape[0])] | None  # type: ignore[misc]
    return _typed_dict(name, {key: _type(f"{name}.{key}", below) for key, below in shape.items()}, total=False) | None
