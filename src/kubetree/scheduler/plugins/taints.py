"""Taints and tolerations: NodeUnschedulable and TaintToleration."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kubetree.api.placement import tolerates, untolerated
from kubetree.scheduler.framework import Reason, Scores, normalized
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Mask, Snapshot

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


DO_NOT_SCHEDULE = frozenset({"NoSchedule", "NoExecute"})


def repelled(pod: PodInfo, snapshot: Snapshot) -> Mask:
    """The nodes with a taint that keeps the pod away."""
    tolerations = pod.spec.get("tolerations") or ()

    def compute() -> Mask:
        return snapshot.mask(
            lambda node: untolerated((node.get("spec") or {}).get("taints") or (), tolerations, DO_NOT_SCHEDULE) is not None
        )

    found: Mask = snapshot.computed("repelled", pod.static_shape, compute)
    return found


class NodeUnschedulable:
    """Cordoned nodes take only pods that tolerate being there."""

    name = "NodeUnschedulable"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        cordoned: Mask = snapshot.computed(
            "cordoned", None, lambda: snapshot.mask(lambda node: bool((node.get("spec") or {}).get("unschedulable")))
        )
        if not cordoned.any() or any(tolerates(t, UNSCHEDULABLE_TAINT) for t in pod.spec.get("tolerations") or ()):
            return ()
        return (Reason("node(s) were unschedulable", cordoned, hopeless=True),)


class TaintToleration:
    """Hard taints filter; PreferNoSchedule taints that the pod does not tolerate lower a node's score."""

    name = "TaintToleration"
    weight = 3

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        return (Reason("node(s) had untolerated taint(s)", repelled(pod, snapshot), hopeless=True),)

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        counts: npt.NDArray[np.float64] = snapshot.computed("soft taints", pod.static_shape, lambda: self._soft(pod, snapshot))
        return normalized(counts[feasible], reverse=True)

    @staticmethod
    def _soft(pod: PodInfo, snapshot: Snapshot) -> npt.NDArray[np.float64]:
        tolerations = [t for t in pod.spec.get("tolerations") or () if t.get("effect") in (None, "", "PreferNoSchedule")]
        counts = np.zeros(len(snapshot.valid))
        for row, node in snapshot.row_items():
            taints = (node.get("spec") or {}).get("taints") or ()
            counts[row] = sum(
                taint.get("effect") == "PreferNoSchedule" and not any(tolerates(toleration, taint) for toleration in tolerations)
                for taint in taints
            )
        return counts
