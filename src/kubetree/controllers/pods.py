"""What controllers ask of pods: is it active, ready, available; and which of several should go first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cmp_to_key
from typing import Any

from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import is_deleting
from kubetree.api.times import parse_time

Object = dict[str, Any]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
TERMINAL = frozenset({"Succeeded", "Failed"})
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def is_terminal(pod: Object) -> bool:
    return phase(pod) in TERMINAL


def is_active(pod: Object) -> bool:
    """Neither finished nor on its way out."""
    return not is_terminal(pod) and not is_deleting(pod)


def is_terminating(pod: Object) -> bool:
    return not is_terminal(pod) and is_deleting(pod)


def condition(pod: Object, type_: str) -> Object | None:
    for entry in pod.get("status", {}).get("conditions") or ():
        if entry["type"] == type_:
            found: Object = entry
            return found
    return None


def is_ready(pod: Object) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def ready_since(pod: Object) -> datetime | None:
    """When the pod became ready; None when it is not, or does not say."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True" or not ready.get("lastTransitionTime"):
        return None
    return parse_time(ready["lastTransitionTime"])


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Ready, and has been for `min_ready_seconds`."""
    if not is_ready(pod):
        return False
    if min_ready_seconds == 0:
        return True
    since = ready_since(pod)
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def seconds_until_available(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the next of `pods` that are ready becomes available; None when no pod waits for that."""
    if min_ready_seconds <= 0:
        return None
    waits = [
        (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
        for since in map(ready_since, pods)
        if since is not None and since + timedelta(seconds=min_ready_seconds) > now
    ]
    return min(waits, default=None)


def deletion_cost(pod: Object) -> int:
    """The pod-deletion-cost annotation, 0 when missing or not a 32 bit integer written plainly."""
    text = annotations_of(pod).get(DELETION_COST, "")
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or (digits[0] == "0" and text != "0"):
        return 0
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0


def restarts(pod: Object) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar (an init container that restarts always)."""
    status = pod.get("status", {})
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"}
    regular = max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0)
    sidecar = max((c.get("restartCount", 0) for c in status.get("initContainerStatuses") or () if c["name"] in sidecars), default=0)
    return max(regular, 0), max(sidecar, 0)


def pods_per_node(pods: Iterable[Object]) -> dict[str, int]:
    """How many active pods stand on each node."""
    counts: dict[str, int] = {}
    for pod in pods:
        if is_active(pod):
            node = pod["spec"].get("nodeName", "")
            counts[node] = counts.get(node, 0) + 1
    return counts


def in_order_of_deletion(pods: Sequence[Object], on_node: Mapping[str, int], now: datetime) -> list[Object]:
    """The pods with the one to delete first in front, as upstream's ActivePodsWithRanks.

    Rules, each deciding where those before it do not: unassigned to a node; pending before unknown before running; not ready; lower
    deletion cost; more pods of the same owner on its node (`on_node`); ready for a shorter time; more restarts; younger. Times count
    by the power of two of their age in nanoseconds, and within one power the UID decides, which spreads the choice.
    """

    def compare(a: Object, b: Object) -> int:
        return next((order for rule in _RULES if (order := rule(a, b, on_node, now))), 0)

    return sorted(pods, key=cmp_to_key(compare))


def _sign(a: int, b: int) -> int:
    return (a > b) - (a < b)


def _by_assignment(a: Object, b: Object, _: Mapping[str, int], __: datetime) -> int:
    return _sign(bool(a["spec"].get("nodeName")), bool(b["spec"].get("nodeName")))


def _by_phase(a: Object, b: Object, _: Mapping[str, int], __: datetime) -> int:
    return _sign(_PHASE_ORDER.get(phase(a), 0), _PHASE_ORDER.get(phase(b), 0))


def _by_readiness(a: Object, b: Object, _: Mapping[str, int], __: datetime) -> int:
    return _sign(is_ready(a), is_ready(b))


def _by_cost(a: Object, b: Object, _: Mapping[str, int], __: datetime) -> int:
    return _sign(deletion_cost(a), deletion_cost(b))


def _by_company(a: Object, b: Object, on_node: Mapping[str, int], __: datetime) -> int:
    return _sign(on_node.get(b["spec"].get("nodeName", ""), 0), on_node.get(a["spec"].get("nodeName", ""), 0))


def _by_ready_time(a: Object, b: Object, _: Mapping[str, int], now: datetime) -> int:
    if not (is_ready(a) and is_ready(b)):
        return 0
    return _by_time(a, b, ready_since(a), ready_since(b), now)


def _by_restarts(a: Object, b: Object, _: Mapping[str, int], __: datetime) -> int:
    (regular_a, sidecar_a), (regular_b, sidecar_b) = restarts(a), restarts(b)
    return _sign(regular_b, regular_a) or _sign(sidecar_b, sidecar_a)


def _by_age(a: Object, b: Object, _: Mapping[str, int], now: datetime) -> int:
    return _by_time(a, b, _created(a), _created(b), now)


def _created(pod: Object) -> datetime | None:
    stamp = pod["metadata"].get("creationTimestamp")
    return parse_time(stamp) if stamp else None


def _by_time(a: Object, b: Object, time_a: datetime | None, time_b: datetime | None, now: datetime) -> int:
    """A missing time comes first, then the later one; nearly equal ones (by logarithm of their age) go by UID."""
    if time_a == time_b:
        return 0
    if time_a is None or time_b is None:
        return -1 if time_a is None else 1
    by_rank = _sign(_age_rank(time_a, now), _age_rank(time_b, now))
    return by_rank or (-1 if a["metadata"]["uid"] < b["metadata"]["uid"] else 1)


def _age_rank(time: datetime, now: datetime) -> int:
    nanoseconds = (now - time).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


Rule = Callable[[Object, Object, Mapping[str, int], datetime], int]
_RULES: tuple[Rule, ...] = (
    _by_assignment,
    _by_phase,
    _by_readiness,
    _by_cost,
    _by_company,
    _by_ready_time,
    _by_restarts,
    _by_age,
)
