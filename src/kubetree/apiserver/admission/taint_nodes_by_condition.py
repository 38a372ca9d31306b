"""TaintNodesByCondition: a node starts as not ready, so that nothing is scheduled on it before it is."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest

NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"
    operations = frozenset({CREATE})
    resources = frozenset({"nodes"})
    mutates = True

    def admit(self, request: AdmissionRequest) -> None:
        spec = (request.obj or {}).setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
