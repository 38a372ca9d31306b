"""InterPodAffinity: pods that want to be near other pods, or away from them, by the values of a node label.

Required terms filter; preferred terms score, and so do those of the pods that run already, in the other direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kubetree.api.selectors import Selector, label_selector
from kubetree.scheduler.framework import MAX_SCORE, Reason, Scores
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Mask, Snapshot

NamespaceLabels = Callable[[str], Mapping[str, str]]
HARD_AFFINITY_WEIGHT = 1
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Term:
    """A PodAffinityTerm of one pod, parsed. `namespaces` are those named; `namespace_selector` adds those it selects."""

    topology_key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector
    weight: int = 0

    def matches(self, pod: PodInfo, namespace_labels: NamespaceLabels) -> bool:
        inside = pod.namespace in self.namespaces or self.namespace_selector.matches(namespace_labels(pod.namespace))
        return inside and self.selector.matches(pod.labels)


def terms(pod: PodInfo, side: str, strength: str) -> list[Term]:
    """`side` is podAffinity or podAntiAffinity, `strength` REQUIRED or PREFERRED."""
    found = ((pod.spec.get("affinity") or {}).get(side) or {}).get(strength) or ()
    if strength == REQUIRED:
        return [_term(pod, each, 0) for each in found]
    return [_term(pod, each["podAffinityTerm"], each["weight"]) for each in found]


def _term(pod: PodInfo, spec: Mapping[str, Any], weight: int) -> Term:
    selector = spec.get("labelSelector")
    extra = [
        {"key": key, "operator": operator, "values": [pod.labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in spec.get(field) or ()
        if key in pod.labels
    ]
    if extra and selector is not None:
        selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *extra]}
    namespaces = frozenset(spec.get("namespaces") or ())
    if not namespaces and spec.get("namespaceSelector") is None:
        namespaces = frozenset({pod.namespace})
    return Term(spec["topologyKey"], label_selector(selector), namespaces, label_selector(spec.get("namespaceSelector")), weight)


class InterPodAffinity:
    name = "InterPodAffinity"
    weight = 2

    def __init__(self, namespace_labels: NamespaceLabels) -> None:
        self._namespace_labels = namespace_labels

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        affinity, anti = terms(pod, "podAffinity", REQUIRED), terms(pod, "podAntiAffinity", REQUIRED)
        reasons = []
        if affinity:
            reasons.append(Reason("node(s) didn't match pod affinity rules", ~self._near(pod, affinity, snapshot), hopeless=True))
        if anti:
            close = np.zeros(len(snapshot.valid), dtype=bool)
            for term in anti:
                close |= self._domains_with(term, snapshot)
            reasons.append(Reason("node(s) didn't match pod anti-affinity rules", close))
        repelled = self._repelled_by_others(pod, snapshot)
        if repelled.any():
            reasons.append(Reason("node(s) didn't satisfy existing pods anti-affinity rules", repelled))
        return tuple(reasons)

    def _near(self, pod: PodInfo, required: list[Term], snapshot: Snapshot) -> Mask:
        """The nodes where all required terms hold: a pod that matches all terms is in each one's domain.

        The first pod of a group that wants to be near itself may go anywhere that has the labels.
        """
        near = np.ones(len(snapshot.valid), dtype=bool)
        labelled = np.ones_like(near)
        anywhere = False
        for term in required:
            domains = self._domains_with(term, snapshot, all_of=required)
            anywhere |= bool(domains.any())
            near &= domains
            labelled &= snapshot.label_values(term.topology_key)[0] >= 0
        if not anywhere and all(term.matches(pod, self._namespace_labels) for term in required):
            return labelled
        return near

    def _domains_with(self, term: Term, snapshot: Snapshot, all_of: list[Term] | None = None) -> Mask:
        """The nodes whose domain holds a pod that matches the term (or every one of `all_of`)."""
        codes, values = snapshot.label_values(term.topology_key)
        holds = np.zeros(len(values) + 1, dtype=bool)
        for row, other in _placed(snapshot):
            if codes[row] >= 0 and not holds[codes[row]]:
                holds[codes[row]] = all(each.matches(other, self._namespace_labels) for each in all_of or (term,))
        return holds[codes]

    def _repelled_by_others(self, pod: PodInfo, snapshot: Snapshot) -> Mask:
        repelled = np.zeros(len(snapshot.valid), dtype=bool)
        for row, other in snapshot.affine_pods.values():
            for term in terms(other, "podAntiAffinity", REQUIRED):
                if term.matches(pod, self._namespace_labels):
                    codes, _ = snapshot.label_values(term.topology_key)
                    if codes[row] >= 0:
                        repelled |= codes == codes[row]
        return repelled

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        total = np.zeros(len(snapshot.valid))
        touched = False
        for row, key, weight in self._pulls(pod, snapshot):
            codes, _ = snapshot.label_values(key)
            if codes[row] >= 0:
                total[codes == codes[row]] += weight
                touched = True
        if not touched:
            return None
        raw = total[feasible]
        least, spread = raw.min(), raw.max() - raw.min()
        return np.floor(MAX_SCORE * (raw - least) / spread) if spread > 0 else np.zeros_like(raw)

    def _pulls(self, pod: PodInfo, snapshot: Snapshot) -> Iterator[tuple[int, str, int]]:
        """(row of a pod, topology key, weight): how strongly each pod draws this one to its domain."""
        own = [(term, term.weight) for term in terms(pod, "podAffinity", PREFERRED)]
        own += [(term, -term.weight) for term in terms(pod, "podAntiAffinity", PREFERRED)]
        if own:
            for row, other in _placed(snapshot):
                for term, weight in own:
                    if term.matches(other, self._namespace_labels):
                        yield row, term.topology_key, weight
        for row, other in snapshot.affine_pods.values():
            theirs = [(term, HARD_AFFINITY_WEIGHT) for term in terms(other, "podAffinity", REQUIRED)]
            theirs += [(term, term.weight) for term in terms(other, "podAffinity", PREFERRED)]
            theirs += [(term, -term.weight) for term in terms(other, "podAntiAffinity", PREFERRED)]
            for term, weight in theirs:
                if term.matches(pod, self._namespace_labels):
                    yield row, term.topology_key, weight


def _placed(snapshot: Snapshot) -> Iterator[tuple[int, PodInfo]]:
    for row in snapshot.rows.values():
        for info in snapshot.pods[row].values():
            yield row, info
