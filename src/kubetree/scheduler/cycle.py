"""One scheduling cycle: a pod and a snapshot in, a node or the reasons out. Pure; the choice among equals is the caller's randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kubetree.scheduler.framework import PreFilterRefusal
from kubetree.scheduler.plugins.default import Profile
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Mask, Snapshot

Choose = Callable[[int], int]
"""Given how many nodes are equally good, the number of one of them."""

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placed:
    node: str
    feasible: int
    """How many nodes would have done."""


@dataclass(frozen=True, slots=True)
class Unschedulable:
    """`plugins` refused at least one node: only what concerns them can change the answer. `helpful` are nodes that preemption may free."""

    message: str
    plugins: frozenset[str]
    helpful: Mask


def schedule(pod: PodInfo, snapshot: Snapshot, profile: Profile, choose: Choose) -> Placed | Unschedulable:
    """Filters all nodes, scores those left, takes one of the best."""
    if not len(snapshot):
        return Unschedulable(NO_NODES, frozenset(), snapshot.valid.copy())
    alive = snapshot.valid.copy()
    hopeless = np.zeros_like(alive)
    reasons: dict[str, int] = {}
    refusing: set[str] = set()
    for plugin in profile.filters:
        answer = plugin.filter(pod, snapshot)
        if isinstance(answer, PreFilterRefusal):
            message = unavailable(len(snapshot), {}, answer.text)
            return Unschedulable(message, frozenset({plugin.name}), np.zeros_like(alive))
        gone = np.zeros_like(alive)
        for reason in answer:
            hit = reason.nodes & alive
            count = int(np.count_nonzero(hit))
            if not count:
                continue
            reasons[reason.text] = reasons.get(reason.text, 0) + count
            refusing.add(plugin.name)
            gone |= hit
            if reason.hopeless:
                hopeless |= hit
        alive &= ~gone
        if not alive.any():
            break
    feasible = np.flatnonzero(alive)
    if not len(feasible):
        return Unschedulable(unavailable(len(snapshot), reasons), frozenset(refusing), snapshot.valid & ~hopeless)
    return Placed(snapshot.node_name(_best(pod, snapshot, profile, feasible, choose)), len(feasible))


def _best(pod: PodInfo, snapshot: Snapshot, profile: Profile, feasible: npt.NDArray[np.intp], choose: Choose) -> int:
    if len(feasible) == 1:
        return int(feasible[0])
    total = np.zeros(len(feasible))
    for plugin in profile.scores:
        scores = plugin.score(pod, snapshot, feasible)
        if scores is not None:
            total += plugin.weight * scores
    best = np.flatnonzero(total == total.max())
    return int(feasible[best[choose(len(best)) if len(best) > 1 else 0]])


def unavailable(nodes: int, reasons: dict[str, int], pre_filter: str = "") -> str:
    """Upstream's FitError: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`"""
    listed = pre_filter or ", ".join(sorted(f"{count} {text}" for text, count in reasons.items()))
    return f"0/{nodes} nodes are available: {listed}." if listed else f"0/{nodes} nodes are available:"
