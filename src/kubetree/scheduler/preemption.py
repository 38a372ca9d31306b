"""DefaultPreemption: which pods of lower priority would have to go so that a pod finds room, and on which node that costs least.

Pure: the snapshot is changed while a node is tried and is as before when the answer is given. Follows upstream's order: on a node all
pods of lower priority go, then as many as possible are let stay, those that a PodDisruptionBudget protects first; of the nodes the
one is taken where fewest budgets break, the most important victim matters least, then the sum of priorities, the number of victims,
and last where the most important victim started latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kubetree.api.selectors import label_selector
from kubetree.scheduler.cycle import Unschedulable, unavailable
from kubetree.scheduler.framework import PreFilterRefusal
from kubetree.scheduler.plugins.default import Profile
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Snapshot

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."

_MOST_CANDIDATES = 100
_PRIORITY_OFFSET = 2**31
"""Makes every priority positive, so that a sum grows with the number of victims."""


@dataclass(frozen=True, slots=True)
class Nominated:
    node: str
    victims: tuple[PodInfo, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: int
    victims: tuple[PodInfo, ...]
    violations: int


def ineligible(pod: PodInfo, snapshot: Snapshot) -> str:
    """Why the pod may not preempt, or nothing. One whose victims are still ending waits for them."""
    if pod.spec.get("preemptionPolicy") == "Never":
        return NEVER
    row = snapshot.rows.get((pod.pod.get("status") or {}).get("nominatedNodeName") or "")
    if row is not None:
        for other in snapshot.pods[row].values():
            if other.priority < pod.priority and _ends_by_preemption(other):
                return TERMINATING
    return ""


def _ends_by_preemption(pod: PodInfo) -> bool:
    if "deletionTimestamp" not in pod.pod["metadata"]:
        return False
    conditions = (pod.pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "DisruptionTarget" and c["status"] == "True" and c.get("reason") == "PreemptionByScheduler" for c in conditions)


def preempt(
    pod: PodInfo, refused: Unschedulable, snapshot: Snapshot, profile: Profile, budgets: Sequence[dict[str, Any]]
) -> Nominated | str:
    """The node and the pods that must go, or why that does not help, worded as the end of the FailedScheduling event."""
    if why := ineligible(pod, snapshot):
        return why
    helpful = np.flatnonzero(refused.helpful)
    reasons: dict[str, int] = {}
    if len(snapshot) > len(helpful):
        reasons[NOT_HELPFUL] = len(snapshot) - len(helpful)
    candidates: list[_Candidate] = []
    for row in helpful:
        found = _try_node(pod, int(row), snapshot, profile, budgets)
        if isinstance(found, _Candidate):
            candidates.append(found)
            if len(candidates) >= _MOST_CANDIDATES:
                break
        else:
            for reason in found:
                reasons[reason] = reasons.get(reason, 0) + 1
    if not candidates:
        return unavailable(len(snapshot), reasons)
    best = min(candidates, key=_cost)
    return Nominated(snapshot.node_name(best.row), best.victims)


def _try_node(pod: PodInfo, row: int, snapshot: Snapshot, profile: Profile, budgets: Sequence[dict[str, Any]]) -> _Candidate | list[str]:
    """Who must go from one node; or the reasons why not even an empty one would do."""
    lower = [other for other in snapshot.pods[row].values() if other.priority < pod.priority]
    if not lower:
        return [NO_VICTIMS]
    node = snapshot.node_name(row)
    gone = {other.key: other for other in lower}
    for other in lower:
        snapshot.remove_pod(node, other.key)
    try:
        if reasons := refusals(pod, row, snapshot, profile):
            return reasons
        protected, free = _split_by_budgets(sorted(lower, key=_importance), budgets)
        violations = 0
        for others, counts in ((protected, True), (free, False)):
            for other in others:
                snapshot.add_pod(node, other)
                if refusals(pod, row, snapshot, profile):
                    snapshot.remove_pod(node, other.key)
                    violations += counts
                else:
                    del gone[other.key]
        return _Candidate(row, tuple(sorted(gone.values(), key=_importance)), violations)
    finally:
        for other in gone.values():
            snapshot.add_pod(node, other)


def refusals(pod: PodInfo, row: int, snapshot: Snapshot, profile: Profile) -> list[str]:
    """Why one node will not do, by the first plugin that says so."""
    for plugin in profile.filters:
        answer = plugin.filter(pod, snapshot)
        if isinstance(answer, PreFilterRefusal):
            return [answer.text]
        if found := [reason.text for reason in answer if reason.nodes[row]]:
            return found
    return []


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the most important first: by priority, then the one that runs longest."""
    return -pod.priority, _started(pod)


def _started(pod: PodInfo) -> str:
    status = pod.pod.get("status") or {}
    return status.get("startTime") or pod.pod["metadata"].get("creationTimestamp") or ""


def _cost(candidate: _Candidate) -> tuple[int, int, int, int, tuple[int, ...]]:
    highest = max((victim.priority for victim in candidate.victims), default=-_PRIORITY_OFFSET)
    earliest = min((_started(victim) for victim in candidate.victims if victim.priority == highest), default="")
    total = sum(victim.priority + _PRIORITY_OFFSET for victim in candidate.victims)
    return candidate.violations, highest, total, len(candidate.victims), tuple(-ord(letter) for letter in earliest)


def _split_by_budgets(pods: Iterable[PodInfo], budgets: Sequence[dict[str, Any]]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Those whose eviction breaks a budget, and the others."""
    allowed = [int((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget in budgets]
    selectors = [label_selector(budget["spec"].get("selector")) for budget in budgets]
    protected: list[PodInfo] = []
    free: list[PodInfo] = []
    for pod in pods:
        breaks = False
        for index, budget in enumerate(budgets):
            if budget["metadata"]["namespace"] != pod.namespace or not selectors[index].matches(pod.labels):
                continue
            if pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue
            allowed[index] -= 1
            breaks |= allowed[index] < 0
        (protected if breaks else free).append(pod)
    return protected, free
