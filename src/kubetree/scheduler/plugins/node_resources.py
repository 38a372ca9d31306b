"""NodeResourcesFit and NodeResourcesBalancedAllocation: is there room, and where is it best used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kubetree.scheduler.framework import MAX_SCORE, Reason, Scores
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.resources import CPU, MEMORY
from kubetree.scheduler.snapshot import Snapshot


class NodeResourcesFit:
    """Filters nodes without room; scores by upstream's default strategy LeastAllocated over CPU and memory."""

    name = "NodeResourcesFit"
    weight = 1

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        full = snapshot.pod_count + 1 > snapshot.allowed_pods
        reasons = [Reason("Too many pods", full)] if full.any() else []
        for resource, amount in pod.requests.items():
            if amount == 0:
                continue
            column = snapshot.column(resource)
            if column is None:
                reasons.append(Reason(f"Insufficient {resource}", snapshot.valid, hopeless=True))
                continue
            allocatable = snapshot.allocatable[:, column]
            short = amount > allocatable - snapshot.requested[:, column]
            if short.any():
                reasons.append(Reason(f"Insufficient {resource}", short))
        return tuple(reasons)

    def hopeless(self, pod: PodInfo, snapshot: Snapshot) -> npt.NDArray[np.bool_]:
        """The nodes that could not hold the pod even if they were empty."""
        result = np.zeros(len(snapshot.valid), dtype=bool)
        for resource, amount in pod.requests.items():
            column = snapshot.column(resource)
            if amount and column is not None:
                result |= amount > snapshot.allocatable[:, column]
        return result

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        total = np.zeros(len(feasible))
        weights = np.zeros(len(feasible))
        for column, resource in enumerate((CPU, MEMORY)):
            capacity = snapshot.allocatable[feasible, column]
            wanted = snapshot.scored[feasible, column] + pod.scored.get(resource, 0)
            known = capacity > 0
            free = np.where(wanted > capacity, 0, capacity - wanted)
            total += np.where(known, free * 100 // np.maximum(capacity, 1), 0)
            weights += known
        return np.floor(total / np.maximum(weights, 1))


class NodeResourcesBalancedAllocation:
    """Prefers nodes where the pod brings the shares of CPU and memory in use closer together.

    1 - the standard deviation of the two shares: for two of them that is half their difference.
    """

    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        if not pod.requests.get(CPU) and not pod.requests.get(MEMORY):
            return None
        capacity = snapshot.allocatable[feasible, :2].astype(np.float64)
        asked = np.array([pod.requests.get(CPU, 0), pod.requests.get(MEMORY, 0)], dtype=np.float64)
        wanted = snapshot.requested[feasible, :2] + asked
        share = np.minimum(np.divide(wanted, capacity, out=np.zeros_like(capacity), where=capacity > 0), 1.0)
        both = (capacity > 0).all(axis=1)
        deviation = np.where(both, np.abs(share[:, 0] - share[:, 1]) / 2, 0.0)
        return np.floor((1 - deviation) * MAX_SCORE)
