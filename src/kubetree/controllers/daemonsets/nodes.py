"""Where a DaemonSet's pods belong: which nodes they fit, which node a pod is meant for, and the pod made for a node. Pure."""

from __future__ import annotations

from typing import Any

from kubetree.api.objects import annotations as annotations_of
from kubetree.api.placement import required_affinity_matches, untolerated
from kubetree.controllers.revisions import HASH

Object = dict[str, Any]

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_NODE = "node.kubernetes.io/"
TOLERATED = (
    (f"{_NODE}not-ready", "NoExecute"),
    (f"{_NODE}unreachable", "NoExecute"),
    (f"{_NODE}disk-pressure", "NoSchedule"),
    (f"{_NODE}memory-pressure", "NoSchedule"),
    (f"{_NODE}pid-pressure", "NoSchedule"),
    (f"{_NODE}unschedulable", "NoSchedule"),
)
"""What a daemon bears on every node: it is there to keep the node going, or to watch it fail."""
NETWORK = (f"{_NODE}network-unavailable", "NoSchedule")

NO_EXECUTE = frozenset({"NoExecute"})
BOTH = frozenset({"NoExecute", "NoSchedule"})


def tolerations(spec: Object) -> list[Object]:
    """The template's tolerations with those of every daemon in place of equal ones."""
    wanted = [*TOLERATED, *([NETWORK] if spec.get("hostNetwork") else [])]
    ours = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    told = [t for t in spec.get("tolerations") or () if t not in ours]
    return told + ours


def should_run(daemon_set: Object, node: Object) -> tuple[bool, bool]:
    """(a pod belongs on the node, a pod that is there may stay): a NoSchedule taint keeps new ones away and lets old ones be."""
    spec = daemon_set["spec"]["template"]["spec"]
    if spec.get("nodeName") not in (None, "", node["metadata"]["name"]) or not required_affinity_matches(spec, node):
        return False, False
    taints, borne = node["spec"].get("taints") or (), tolerations(spec)
    if untolerated(taints, borne, BOTH) is None:
        return True, True
    return False, untolerated(taints, borne, NO_EXECUTE) is None


def target_of(pod: Object) -> str:
    """The node that a pod is on or, not scheduled yet, is meant for; "" when it does not say."""
    spec = pod["spec"]
    if name := spec.get("nodeName"):
        return str(name)
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def template_for(daemon_set: Object, node: str, revision_hash: str) -> Object:
    """The template of the pod for one node: tied to it by affinity, marked with its revision."""
    template = daemon_set["spec"]["template"]
    spec = template["spec"]
    metadata = template.get("metadata") or {}
    marked = {**(metadata.get("labels") or {}), HASH: revision_hash}
    if (generation := annotations_of(daemon_set).get(TEMPLATE_GENERATION, "")).isdigit():
        marked[GENERATION_LABEL] = generation
    affinity = spec.get("affinity") or {}
    terms = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}
    node_affinity = {**(affinity.get("nodeAffinity") or {}), "requiredDuringSchedulingIgnoredDuringExecution": terms}
    made = {**spec, "affinity": {**affinity, "nodeAffinity": node_affinity}, "tolerations": tolerations(spec)}
    return {**template, "metadata": {**metadata, "labels": marked}, "spec": made}
