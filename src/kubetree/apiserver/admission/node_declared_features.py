"""NodeDeclaredFeatureValidator: a pod on a node is changed only in ways that its node says it can follow.

Follows plugin/pkg/admission/nodedeclaredfeatures and component-helpers/nodedeclaredfeatures.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import semantic_equal
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]
NODE = kind("v1", "Node")
_POD_LEVEL, _INIT = "InPlacePodLevelResourcesVerticalScaling", "InPlacePodVerticalScalingInitContainers"


class NodeDeclaredFeatureValidator(Plugin):
    name = "NodeDeclaredFeatureValidator"
    operations = frozenset({UPDATE})
    resources = frozenset({"pods"})
    subresources = frozenset({"", "resize"})
    validates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = (request.obj or {}).get("spec") or {}, (request.old or {}).get("spec") or {}
        name = new.get("nodeName")
        if not name or new == old:
            return
        needed = needed_features(new, old)
        if not needed:
            return
        node = self._lister.get(NODE, "", name)
        if node is None:
            raise refusal(request, f'node "{name}" not found')
        lacking = [feature for feature in needed if feature not in ((node.get("status") or {}).get("declaredFeatures") or ())]
        if lacking:
            why = f'pod update requires features {", ".join(lacking)} which are not available on node "{name}"'
            raise refusal(request, why)


def needed_features(new: Object, old: Object) -> list[str]:
    """What a kubelet must be able to do to follow a change of a pod's spec. Pure."""
    found = []
    if not semantic_equal(new.get("resources"), old.get("resources")):
        found.append(_POD_LEVEL)
    pairs = zip(old.get("initContainers") or (), new.get("initContainers") or (), strict=False)
    if any(
        one.get("restartPolicy") != "Always" and not semantic_equal(one.get("resources"), other.get("resources")) for one, other in pairs
    ):
        found.append(_INIT)
    return found
