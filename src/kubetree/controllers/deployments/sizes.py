"""How large each ReplicaSet of a Deployment should be: surge, unavailability, and shares when the whole is scaled.

Pure arithmetic on replica counts, after upstream's deployment_util.go and rolling.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kubetree.controllers.deployments.replica_sets import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    active,
    by_age,
    count_annotation,
    replicas,
)

Object = dict[str, Any]
Sizes = Mapping[str, int]


def is_rolling(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def scaled(value: int | str | None, total: int, *, round_up: bool) -> int:
    """An IntOrString as a number: a percentage counts of `total`. Missing or malformed: 0."""
    if isinstance(value, int):
        return value
    text = (value or "").removesuffix("%")
    if not value or text == value or not text.isdigit():
        return 0
    share = int(text) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods. Where both round to nothing, one may be unavailable, or nothing would ever move."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    desired = replicas(deployment)
    surge = scaled(rolling.get("maxSurge"), desired, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable"), desired, round_up=False)
    return surge, unavailable if surge or unavailable else 1


def max_surge(deployment: Object) -> int:
    return fenceposts(deployment)[0]


def max_unavailable(deployment: Object) -> int:
    desired = replicas(deployment)
    return min(fenceposts(deployment)[1], desired) if desired else 0


def total(sets: Sequence[Object]) -> int:
    """The replicas that the sets ask for."""
    return sum(map(replicas, sets))


def observed(sets: Sequence[Object], field: str) -> int:
    """The sum of a status field such as availableReplicas."""
    return sum((rs.get("status") or {}).get(field, 0) for rs in sets)


def size_of_new(deployment: Object, sets: Sequence[Object], current: int) -> int:
    """How many replicas the new ReplicaSet (now at `current`) may have while `sets` (all, including it) stand as they do."""
    desired = replicas(deployment)
    if not is_rolling(deployment):
        return desired
    room = desired + max_surge(deployment) - total(sets)
    return current if room <= 0 else current + min(room, desired - current)


def is_saturated(deployment: Object, rs: Object | None) -> bool:
    """Whether the new ReplicaSet has all replicas, knows it, and all are available."""
    desired = replicas(deployment)
    return (
        rs is not None
        and replicas(rs) == desired
        and count_annotation(rs, DESIRED_REPLICAS) == desired
        and (rs.get("status") or {}).get("availableReplicas", 0) == desired
    )


def active_or_latest(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The only ReplicaSet with replicas, or the newest when none has any; None when several have, or there is none."""
    with_replicas = active([*old, *([new] if new else [])])
    if len(with_replicas) == 1:
        return with_replicas[0]
    if with_replicas or not (new or old):
        return None
    return new or by_age(old)[-1]


def proportional(deployment: Object, sets: Sequence[Object]) -> dict[str, int]:
    """Sizes by name when the Deployment is scaled in the middle of a rollout: each active set gets its share of what is to add or
    to take away, the largest one what rounding leaves over."""
    desired = replicas(deployment)
    allowed = desired + max_surge(deployment) if desired else 0
    to_add = allowed - total(sets)
    ordered = by_age(sets)
    if to_add > 0:
        ordered = sorted(ordered, key=lambda rs: (replicas(rs), rs["metadata"].get("creationTimestamp", "")), reverse=True)
    elif to_add < 0:
        ordered = sorted(ordered, key=replicas, reverse=True)
    sizes = {rs["metadata"]["name"]: replicas(rs) for rs in ordered}
    if not to_add:
        return sizes
    added = 0
    for rs in ordered:
        share = _share(deployment, rs, to_add - added)
        sizes[rs["metadata"]["name"]] += share
        added += share
    largest = ordered[0]["metadata"]["name"]
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _share(deployment: Object, rs: Object, left: int) -> int:
    if replicas(rs) == 0 or left == 0:
        return 0
    fraction = _fraction(deployment, rs)
    return min(fraction, left) if left > 0 else max(fraction, left)


def _fraction(deployment: Object, rs: Object) -> int:
    """By how much the set grows or shrinks when it keeps its part of the whole."""
    if replicas(deployment) == 0:
        return -replicas(rs)
    before = count_annotation(rs, MAX_REPLICAS) or (deployment.get("status") or {}).get("replicas", 0)
    if not before:
        return 0
    size = replicas(rs) * (replicas(deployment) + max_surge(deployment)) / before
    return math.floor(size + 0.5) - replicas(rs)


def sizes_of_old(deployment: Object, new: Object, old: Sequence[Object]) -> dict[str, int]:
    """New sizes of old ReplicaSets (`old`: those with replicas) in a rolling update; only those that change.

    First pods that are not available go, which costs no availability, then as many more as the new set's available pods allow.
    """
    everything = [*old, new]
    unavailable_new = replicas(new) - observed([new], "availableReplicas")
    least = replicas(deployment) - max_unavailable(deployment)
    may_go = total(everything) - least - unavailable_new
    if total(old) == 0 or may_go <= 0:
        return {}
    sizes = {rs["metadata"]["name"]: replicas(rs) for rs in old}
    ordered = by_age(old)
    for rs in ordered:
        unhealthy = max(0, replicas(rs) - observed([rs], "availableReplicas"))
        gone = min(may_go, unhealthy)
        sizes[rs["metadata"]["name"]] -= gone
        may_go -= gone
    spare = observed(everything, "availableReplicas") - least
    for rs in ordered:
        name = rs["metadata"]["name"]
        gone = min(sizes[name], max(0, spare))
        sizes[name] -= gone
        spare -= gone
    return {name: size for rs in ordered if (size := sizes[name := rs["metadata"]["name"]]) != replicas(rs)}
