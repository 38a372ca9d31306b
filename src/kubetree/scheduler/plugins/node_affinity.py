"""NodeAffinity: the pod's node selector and required affinity filter, its preferred terms score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kubetree.api.placement import required_affinity_matches
from kubetree.api.selectors import node_selector
from kubetree.scheduler.framework import Reason, Scores, normalized
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Mask, Snapshot


def eligible(pod: PodInfo, snapshot: Snapshot) -> Mask:
    """The nodes that the pod's own selector and required affinity admit."""
    found: Mask = snapshot.computed(
        "eligible", pod.static_shape, lambda: snapshot.mask(lambda node: required_affinity_matches(pod.spec, node))
    )
    return found


class NodeAffinity:
    name = "NodeAffinity"
    weight = 2

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        if not pod.spec.get("nodeSelector") and not (pod.spec.get("affinity") or {}).get("nodeAffinity"):
            return ()
        return (Reason("node(s) didn't match Pod's node affinity/selector", ~eligible(pod, snapshot), hopeless=True),)

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
        terms = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        if not terms:
            return None

        def compute() -> npt.NDArray[np.float64]:
            weights = np.zeros(len(snapshot.valid))
            parsed = [(term["weight"], node_selector({"nodeSelectorTerms": [term["preference"]]})) for term in terms]
            for row, node in snapshot.row_items():
                labels, fields = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
                weights[row] = sum(weight for weight, selector in parsed if selector.matches(labels, fields))
            return weights

        weights: npt.NDArray[np.float64] = snapshot.computed("preferred", pod.static_shape, compute)
        return normalized(weights[feasible])
