"""The plugins that are on by default, in upstream's order: the order in which a node's reasons are found."""

from __future__ import annotations

from dataclasses import dataclass

from kubetree.scheduler.framework import FilterPlugin, ScorePlugin
from kubetree.scheduler.plugins.image_locality import ImageLocality
from kubetree.scheduler.plugins.inter_pod_affinity import InterPodAffinity, NamespaceLabels
from kubetree.scheduler.plugins.node_affinity import NodeAffinity
from kubetree.scheduler.plugins.node_name import NodeName
from kubetree.scheduler.plugins.node_ports import NodePorts
from kubetree.scheduler.plugins.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from kubetree.scheduler.plugins.pod_topology_spread import DefaultSelector, PodTopologySpread
from kubetree.scheduler.plugins.taints import NodeUnschedulable, TaintToleration


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of plugins under a scheduler name."""

    filters: tuple[FilterPlugin, ...]
    scores: tuple[ScorePlugin, ...]


def default_profile(default_selector: DefaultSelector, namespace_labels: NamespaceLabels) -> Profile:
    """`default_selector` gives what selects a pod's fellows (its services and controllers), `namespace_labels` a namespace's labels."""
    taints, affinity, fit = TaintToleration(), NodeAffinity(), NodeResourcesFit()
    spread, pods = PodTopologySpread(default_selector), InterPodAffinity(namespace_labels)
    return Profile(
        filters=(NodeUnschedulable(), NodeName(), taints, affinity, NodePorts(), fit, spread, pods),
        scores=(taints, affinity, fit, spread, pods, NodeResourcesBalancedAllocation(), ImageLocality()),
    )
