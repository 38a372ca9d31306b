"""What each change in the cluster may do for a pod that found no node: the plugins whose answer it can change, as a table."""

from __future__ import annotations

from typing import Any

from kubetree.scheduler.queue import ALL

Object = dict[str, Any]

RESOURCES = frozenset({"NodeResourcesFit", "NodePorts", "PodTopologySpread", "InterPodAffinity"})
PLACED = frozenset({"InterPodAffinity", "PodTopologySpread"})
LABELS = frozenset({"NodeAffinity", "PodTopologySpread", "InterPodAffinity"})
TAINTS = frozenset({"TaintToleration", "NodeUnschedulable", "PodTopologySpread"})
EVERYTHING = frozenset({ALL})
NOTHING: frozenset[str] = frozenset()


def of_node(old: Object | None, new: Object | None) -> frozenset[str]:
    """A new node may help anyone, one that went nobody but those that spread; an update what its changed parts concern."""
    if new is None:
        return frozenset({"PodTopologySpread"})
    if old is None:
        return EVERYTHING
    helped: set[str] = set()
    if (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable"):
        helped |= RESOURCES
    if old["metadata"].get("labels") != new["metadata"].get("labels"):
        helped |= LABELS
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before.get("taints") != after.get("taints") or before.get("unschedulable") != after.get("unschedulable"):
        helped |= TAINTS
    return frozenset(helped)


def of_placed_pod(old: Object | None, new: Object | None) -> frozenset[str]:
    """A pod with a node: what it frees when it goes, and whom it attracts when it comes or changes its labels."""
    if new is None:
        return RESOURCES
    if old is None:
        return PLACED
    helped: set[str] = set()
    if old["metadata"].get("labels") != new["metadata"].get("labels"):
        helped |= PLACED
    if [c.get("resources") for c in old["spec"]["containers"]] != [c.get("resources") for c in new["spec"]["containers"]]:
        helped |= {"NodeResourcesFit"}
    return frozenset(helped)
