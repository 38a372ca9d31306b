"""PodTopologySpread: pods alike spread over zones, nodes or any other label's values.

DoNotSchedule constraints filter; ScheduleAnyway ones score. A pod without constraints of its own that belongs to a service or a
controller is spread over hosts and zones by upstream's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kubetree.api.selectors import Selector, label_selector
from kubetree.scheduler.framework import MAX_SCORE, Reason, Scores
from kubetree.scheduler.plugins.node_affinity import eligible
from kubetree.scheduler.plugins.taints import repelled
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Ints, Mask, Snapshot

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
NOT_MATCHED = "node(s) didn't match pod topology spread constraints"
DefaultSelector = Callable[[PodInfo], Selector | None]


@dataclass(frozen=True, slots=True)
class Constraint:
    topology_key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


def constraints(pod: PodInfo, action: str) -> list[Constraint]:
    """The pod's own constraints of one `whenUnsatisfiable`."""
    return [_constraint(pod, each) for each in pod.spec.get("topologySpreadConstraints") or () if each["whenUnsatisfiable"] == action]


def _constraint(pod: PodInfo, spec: Mapping[str, Any]) -> Constraint:
    wanted: dict[str, Any] | None = spec.get("labelSelector")
    keys = {key: pod.labels[key] for key in spec.get("matchLabelKeys") or () if key in pod.labels}
    if keys and wanted is not None:
        wanted = {**wanted, "matchLabels": {**(wanted.get("matchLabels") or {}), **keys}}
    return Constraint(
        topology_key=spec["topologyKey"],
        max_skew=spec["maxSkew"],
        selector=label_selector(wanted),
        min_domains=spec.get("minDomains") or 1,
        honor_affinity=spec.get("nodeAffinityPolicy", "Honor") == "Honor",
        honor_taints=spec.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


class PodTopologySpread:
    name = "PodTopologySpread"
    weight = 2

    def __init__(self, default_selector: DefaultSelector) -> None:
        self._default_selector = default_selector

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        hard = constraints(pod, "DoNotSchedule")
        if not hard:
            return ()
        missing = np.zeros(len(snapshot.valid), dtype=bool)
        for constraint in hard:
            missing |= snapshot.label_values(constraint.topology_key)[0] < 0
        skewed = np.zeros_like(missing)
        for constraint in hard:
            codes, values = snapshot.label_values(constraint.topology_key)
            counted = self._counted(constraint, pod, snapshot) & ~missing
            sums, domains = _by_domain(codes, len(values), snapshot.matching(pod.namespace, constraint.selector), counted)
            least = 0 if len(domains) < constraint.min_domains or not len(domains) else int(sums[domains].min())
            itself = int(constraint.selector.matches(pod.labels))
            here = np.where(codes >= 0, sums[np.maximum(codes, 0)] if len(values) else 0, 0)
            skewed |= ~missing & (here + itself - least > constraint.max_skew)
        return (Reason(f"{NOT_MATCHED} (missing required label)", missing, hopeless=True), Reason(NOT_MATCHED, skewed))

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        soft, all_labels = self._soft(pod)
        if not soft:
            return None
        ignored = np.zeros(len(feasible), dtype=bool)
        if all_labels:
            for constraint in soft:
                ignored |= snapshot.label_values(constraint.topology_key)[0][feasible] < 0
        raw = np.zeros(len(feasible))
        for constraint in soft:
            codes, values = snapshot.label_values(constraint.topology_key)
            matching = snapshot.matching(pod.namespace, constraint.selector)
            here = codes[feasible]
            present = here >= 0
            if constraint.topology_key == HOSTNAME:
                counts, size = matching[feasible], int(len(feasible) - ignored.sum())
            else:
                sums, _ = _by_domain(codes, len(values), matching, self._counted(constraint, pod, snapshot))
                counts = np.where(present, sums[np.maximum(here, 0)] if len(values) else 0, 0)
                size = len(np.unique(here[present & ~ignored]))
            raw += np.where(present, counts * np.log(size + 2) + (constraint.max_skew - 1), 0)
        return _normalized(np.round(raw), ignored)

    def _soft(self, pod: PodInfo) -> tuple[list[Constraint], bool]:
        """The constraints that score, and whether nodes must have all their labels."""
        if pod.spec.get("topologySpreadConstraints"):
            return constraints(pod, "ScheduleAnyway"), True
        selector = self._default_selector(pod)
        if selector is None or selector.empty:
            return [], False
        return [Constraint(HOSTNAME, 3, selector), Constraint(ZONE, 5, selector)], False

    @staticmethod
    def _counted(constraint: Constraint, pod: PodInfo, snapshot: Snapshot) -> Mask:
        """The nodes whose pods count."""
        counted = snapshot.valid.copy()
        if constraint.honor_affinity:
            counted &= eligible(pod, snapshot)
        if constraint.honor_taints:
            counted &= ~repelled(pod, snapshot)
        return counted


def _by_domain(codes: Ints, size: int, matching: Ints, counted: Mask) -> tuple[Ints, npt.NDArray[np.int64]]:
    """Matching pods a domain, and the numbers of the domains that some counted node belongs to."""
    chosen = counted & (codes >= 0)
    sums = np.bincount(codes[chosen], weights=matching[chosen], minlength=max(size, 1)).astype(np.int64)
    return sums, np.unique(codes[chosen])


def _normalized(raw: Scores, ignored: npt.NDArray[np.bool_]) -> Scores:
    """Fewest matching pods is best; ignored nodes get nothing."""
    taken = raw[~ignored]
    if not len(taken):
        return np.zeros_like(raw)
    least, most = taken.min(), taken.max()
    scaled = np.full_like(raw, MAX_SCORE) if most == 0 else np.floor(MAX_SCORE * (most + least - raw) / most)
    return np.where(ignored, 0.0, scaled)
