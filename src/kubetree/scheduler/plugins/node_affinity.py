"""NodeAffinity: the pod's node selector and required affinity filter, its preferred terms score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kubetree.scheduler.framework import Reason, Scores, normalized
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Mask, Snapshot

Node = Mapping[str, Any]


def requirement_matches(requirement: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """One NodeSelectorRequirement against labels or fields. Gt and Lt compare whole numbers; what is none does not match."""
    key, operator = requirement["key"], requirement["operator"]
    wanted: list[str] = requirement.get("values") or []
    value = values.get(key)
    match operator:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                have, limit = int(value or ""), int(wanted[0])
            except (ValueError, IndexError):
                return False
            return have > limit if operator == "Gt" else have < limit
        case _:
            return False


def term_matches(term: Mapping[str, Any], node: Node) -> bool:
    """A NodeSelectorTerm: all its expressions and fields. An empty term matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    names = {"metadata.name": node["metadata"]["name"]}
    return all(requirement_matches(r, labels) for r in expressions) and all(requirement_matches(r, names) for r in fields)


def required_matches(spec: Mapping[str, Any], node: Node) -> bool:
    """Whether a pod of this spec may be on the node, by its nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def eligible(pod: PodInfo, snapshot: Snapshot) -> Mask:
    """The nodes that the pod's own selector and required affinity admit."""
    found: Mask = snapshot.computed("eligible", pod.static_shape, lambda: snapshot.mask(lambda node: required_matches(pod.spec, node)))
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
            for row, node in snapshot.row_items():
                weights[row] = sum(term["weight"] for term in terms if term_matches(term["preference"], node))
            return weights

        weights: npt.NDArray[np.float64] = snapshot.computed("preferred", pod.static_shape, compute)
        return normalized(weights[feasible])
