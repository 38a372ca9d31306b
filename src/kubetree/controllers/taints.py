"""Taints and tolerations: which taints a pod bears, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubetree.api.placement import tolerates

Object = dict[str, Any]
Taint = Mapping[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def of_effect(taints: Iterable[Taint], effect: str) -> list[Taint]:
    return [taint for taint in taints if taint["effect"] == effect]


def patience(tolerations: Iterable[Mapping[str, Any]], taints: Iterable[Taint]) -> float | None:
    """Seconds that a pod may stay under NoExecute taints: the least of the tolerations that fit; None for ever, 0 not at all."""
    listed, shortest = list(tolerations), float("inf")
    for taint in taints:
        fitting = [t for t in listed if tolerates(t, taint)]
        if not fitting:
            return 0.0
        limits = [max(0.0, float(t["tolerationSeconds"])) for t in fitting if t.get("tolerationSeconds") is not None]
        shortest = min([shortest, *limits])
    return None if shortest == float("inf") else shortest


def same_taint(one: Taint, other: Taint) -> bool:
    """Taints are told apart by key and effect."""
    return bool(one["key"] == other["key"] and one["effect"] == other["effect"])
