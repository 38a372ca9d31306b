"""Resource claims in quotas: their number, and by device class how many devices they may be given.

Follows pkg/quota/v1/evaluator/core/resource_claims.go. What a claim counts for is the worst case: of alternatives the one with most
devices of a class, of "all devices" as many as an allocation can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.quantities import Quantity
from kubetree.api.quotas.resource_lists import ResourceList, add, largest

_NUMBER = "count/resourceclaims.resource.k8s.io"
_DEVICES = ".deviceclass.resource.k8s.io/devices"
_MOST_DEVICES = 32
"""Of one allocation: AllocationResultsMaxSize."""

Object = Mapping[str, Any]


def usage(claim: Object, now: datetime) -> ResourceList:
    found: ResourceList = {_NUMBER: Quantity(1)}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        found = add(found, _requested(request))
    return found


def matches_name(name: str) -> bool:
    return name == _NUMBER or name.endswith(_DEVICES)


def handles(operation: str, subresource: str, new: Object, old: Object | None) -> bool:
    return not subresource and operation in ("CREATE", "UPDATE")


def _requested(request: Object) -> ResourceList:
    """Devices by class: those of `exactly`, or the most that one of `firstAvailable` asks for."""
    most: ResourceList = {}
    for asked in request.get("firstAvailable") or ([request["exactly"]] if request.get("exactly") else ()):
        most = largest(most, {asked.get("deviceClassName", "") + _DEVICES: Quantity(_count(asked))})
    return most


def _count(asked: Object) -> int:
    mode = asked.get("allocationMode")
    if mode == "All":
        return _MOST_DEVICES
    return int(asked.get("count") or 0) if mode == "ExactCount" else 0
