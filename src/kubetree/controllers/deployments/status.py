"""A Deployment's status: counts over its ReplicaSets, and the conditions Available, Progressing and ReplicaFailure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.times import parse_time
from kubetree.controllers.conditions import condition, find, with_condition, without
from kubetree.controllers.deployments.replica_sets import replicas
from kubetree.controllers.deployments.sizes import max_unavailable, observed, total

Object = dict[str, Any]

NEVER = 2**31 - 1
"""A progressDeadlineSeconds (or history limit) that means none."""


def has_deadline(deployment: Object) -> bool:
    return deployment["spec"].get("progressDeadlineSeconds") not in (None, NEVER)


def progressing(deployment: Object) -> Object | None:
    return find(conditions_of(deployment), "Progressing")


def conditions_of(deployment: Object) -> list[Object]:
    return list((deployment.get("status") or {}).get("conditions") or ())


def with_progress(deployment: Object, status: str, reason: str, message: str, now: datetime) -> Object:
    """The Deployment's status with another Progressing condition."""
    made = condition("Progressing", status, reason, message, now, updated=True)
    return {**(deployment.get("status") or {}), "conditions": with_condition(conditions_of(deployment), made)}


def counts(deployment: Object, new: Object | None, old: Sequence[Object], now: datetime) -> Object:
    """The status as the ReplicaSets stand, with the condition Available; Progressing and the others as they were."""
    sets = [*old, *([new] if new else [])]
    available = observed(sets, "availableReplicas")
    numbers = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": observed(sets, "replicas"),
        "updatedReplicas": observed([new] if new else [], "replicas"),
        "readyReplicas": observed(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(sets) - available),
    }
    status: Object = {name: number for name, number in numbers.items() if number}
    if (terminating := _terminating(sets)) is not None:
        status["terminatingReplicas"] = terminating
    if (collisions := (deployment.get("status") or {}).get("collisionCount")) is not None:
        status["collisionCount"] = collisions
    if available >= replicas(deployment) - max_unavailable(deployment):
        made = condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now, updated=True)
    else:
        why = "Deployment does not have minimum availability."
        made = condition("Available", "False", "MinimumReplicasUnavailable", why, now, updated=True)
    status["conditions"] = with_condition(conditions_of(deployment), made)
    return status


def _terminating(sets: Sequence[Object]) -> int | None:
    """The sum of terminating pods; None when a ReplicaSet that was looked after does not tell."""
    sum_ = 0
    for rs in sets:
        status = rs.get("status") or {}
        if (number := status.get("terminatingReplicas")) is not None:
            sum_ += number
        elif status.get("observedGeneration", 0):
            return None
    return sum_


def rollout(deployment: Object, new: Object | None, old: Sequence[Object], now: datetime) -> Object:
    """The status during a rollout: counts, how it progresses, and failures of ReplicaSets."""
    status = counts(deployment, new, old, now)
    conditions: list[Object] = status["conditions"]
    if not has_deadline(deployment):
        conditions = without(conditions, "Progressing")
    elif not _was_complete(deployment, status):
        conditions = _progress(deployment, status, new, now)
    failure = _failure(new, old)
    conditions = with_condition(conditions, failure) if failure else without(conditions, "ReplicaFailure")
    return {**status, "conditions": conditions}


def is_complete(deployment: Object, status: Object) -> bool:
    """All replicas are of the new template and available, and no old one is left."""
    desired = replicas(deployment)
    return all(status.get(field, 0) == desired for field in ("updatedReplicas", "replicas", "availableReplicas")) and status.get(
        "observedGeneration", 0
    ) >= deployment["metadata"].get("generation", 0)


def seconds_to_deadline(deployment: Object, status: Object, now: datetime) -> float | None:
    """When to look again whether a rollout without progress has passed its deadline; None when that need not be watched."""
    current = progressing(deployment)
    if not has_deadline(deployment) or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == "ProgressDeadlineExceeded":
        return None
    left = (_deadline(deployment, current) - now).total_seconds()
    return left + 1 if left >= 1 else 1.0


def _was_complete(deployment: Object, status: Object) -> bool:
    current = progressing(deployment)
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return same and current is not None and current.get("reason") == "NewReplicaSetAvailable"


def _progress(deployment: Object, status: Object, new: Object | None, now: datetime) -> list[Object]:
    conditions: list[Object] = status["conditions"]
    subject = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        return with_condition(conditions, condition("Progressing", "True", "NewReplicaSetAvailable", message, now, updated=True))
    if _has_progressed(deployment.get("status") or {}, status):
        made = condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now, updated=True)
        current = progressing(deployment)
        if current is not None and current["status"] == "True":
            made["lastTransitionTime"] = current.get("lastTransitionTime", made["lastTransitionTime"])
        return [*without(conditions, "Progressing"), made]
    if _timed_out(deployment, conditions, now):
        message = f"{subject} has timed out progressing."
        return with_condition(conditions, condition("Progressing", "False", "ProgressDeadlineExceeded", message, now, updated=True))
    return conditions


def _has_progressed(before: Object, after: Object) -> bool:
    """More new pods, fewer old ones, or more that are ready or available."""

    def old_pods(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_pods(after) < old_pods(before) or any(after.get(field, 0) > before.get(field, 0) for field in grown)


def _timed_out(deployment: Object, conditions: Sequence[Object], now: datetime) -> bool:
    current = find(conditions, "Progressing")
    if current is None or current.get("reason") == "NewReplicaSetAvailable":
        return False
    return current.get("reason") == "ProgressDeadlineExceeded" or _deadline(deployment, current) < now


def _deadline(deployment: Object, current: Object) -> datetime:
    since = parse_time(current.get("lastUpdateTime") or current["lastTransitionTime"])
    return since + timedelta(seconds=deployment["spec"]["progressDeadlineSeconds"])


def _failure(new: Object | None, old: Sequence[Object]) -> Object | None:
    """The ReplicaFailure of the new ReplicaSet, or else of an old one, as a Deployment's condition."""
    for rs in ([new] if new else []) + list(old):
        found = find((rs.get("status") or {}).get("conditions"), "ReplicaFailure")
        if found is not None:
            return {**found, "lastUpdateTime": found["lastTransitionTime"]}
    return None
