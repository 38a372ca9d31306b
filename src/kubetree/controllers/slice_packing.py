"""How endpoints are laid into EndpointSlices: at most 100 in each, and as few slices changed as can be.

Follows upstream's endpointslice reconciler: first what stands where it is, then fill slices that change anyway, then the fullest
unchanged slice that can take all that is left, then new slices. Pure: slices in, differences out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.objects import labels

Object = dict[str, Any]

MAX_ENDPOINTS = 100


@dataclass(slots=True)
class Difference:
    """What to write: `create` are endpoint lists for new slices, `update` whole slices, `delete` slices that go."""

    create: list[list[Object]] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def identity(endpoint: Object) -> tuple[Any, ...]:
    """What makes two endpoints the same one, whatever their conditions."""
    reference = endpoint.get("targetRef") or {}
    return (
        tuple(sorted(endpoint.get("addresses") or ())),
        endpoint.get("hostname"),
        endpoint.get("nodeName"),
        reference.get("namespace"),
        reference.get("name"),
        reference.get("uid"),
    )


def ports_key(ports: Sequence[Object] | None) -> tuple[Any, ...]:
    """Slices with the same ports may share endpoints."""
    return tuple(
        sorted((p.get("name") or "", p.get("port") or 0, p.get("protocol", "TCP"), p.get("appProtocol") or "") for p in ports or ())
    )


def pack(existing: Sequence[Object], desired: Sequence[Object], wanted_labels: dict[str, str]) -> Difference:
    """The difference between slices of one set of ports and the endpoints they should hold."""
    left = {identity(endpoint): endpoint for endpoint in desired}
    difference = Difference()
    changed: list[Object] = []
    unchanged: list[Object] = []
    for slice_ in existing:
        before = slice_.get("endpoints") or []
        after = [got for endpoint in before if (got := left.pop(identity(endpoint), None)) is not None]
        if not after and before:
            difference.delete.append(slice_)
        elif after != before or labels(slice_) != wanted_labels:
            changed.append(_with(slice_, after, wanted_labels))
        else:
            unchanged.append(slice_)
    waiting = list(left.values())
    for slice_ in sorted(changed, key=lambda s: -len(s["endpoints"])):
        _fill(slice_, waiting)
    while waiting:
        found = _with_room(unchanged, len(waiting))
        if found is not None:
            unchanged.remove(found)
            made = _with(found, list(found.get("endpoints") or ()), wanted_labels)
            _fill(made, waiting)
            changed.append(made)
        else:
            difference.create.append(waiting[:MAX_ENDPOINTS])
            del waiting[:MAX_ENDPOINTS]
    difference.update = changed
    return difference


def _with(slice_: Object, endpoints: list[Object], wanted_labels: dict[str, str]) -> Object:
    return {**slice_, "metadata": {**slice_["metadata"], "labels": wanted_labels}, "endpoints": endpoints}


def _fill(slice_: Object, waiting: list[Object]) -> None:
    """Moves endpoints from `waiting` into the slice while it has room."""
    room = MAX_ENDPOINTS - len(slice_["endpoints"])
    if room > 0:
        slice_["endpoints"] = slice_["endpoints"] + waiting[:room]
        del waiting[:room]


def _with_room(slices: Sequence[Object], count: int) -> Object | None:
    """The slice that would be fullest after taking `count` endpoints more."""
    fitting = [s for s in slices if len(s.get("endpoints") or ()) + count <= MAX_ENDPOINTS and s.get("endpoints")]
    return max(fitting, key=lambda s: len(s["endpoints"]), default=None)
