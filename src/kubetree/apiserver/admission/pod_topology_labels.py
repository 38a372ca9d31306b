"""PodTopologyLabels: a pod that is bound gets the zone and region of its node as labels."""

from __future__ import annotations

from typing import Any

from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest
from kubetree.apiserver.lister import Lister

NODE = kind("v1", "Node")
_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    name = "PodTopologyLabels"
    operations = frozenset({CREATE})
    resources = frozenset({"pods"})
    subresources = frozenset({"", "binding"})
    mutates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    def admit(self, request: AdmissionRequest) -> None:
        obj = request.obj or {}
        node = _bound_to(obj) if request.subresource else (obj.get("spec") or {}).get("nodeName")
        found = self._lister.get(NODE, "", node) if node else None
        labels = (found or {}).get("metadata", {}).get("labels") or {}
        copied = {label: labels[label] for label in _LABELS if label in labels}
        if copied:
            metadata = obj.setdefault("metadata", {})
            metadata["labels"] = (metadata.get("labels") or {}) | copied


def _bound_to(binding: dict[str, Any]) -> str:
    target = binding.get("target") or {}
    return str(target.get("name") or "") if target.get("kind") == "Node" else ""
