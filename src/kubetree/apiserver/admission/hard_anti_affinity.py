"""LimitPodHardAntiAffinityTopology: required anti-affinity may keep others off a node, not off a whole zone."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest

HOSTNAME = "kubernetes.io/hostname"


class LimitPodHardAntiAffinityTopology(Plugin):
    name = "LimitPodHardAntiAffinityTopology"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    validates = True

    async def validate(self, request: AdmissionRequest) -> None:
        affinity = ((request.obj or {}).get("spec") or {}).get("affinity") or {}
        for term in (affinity.get("podAntiAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            if term.get("topologyKey") != HOSTNAME:
                raise refusal(
                    request,
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {term.get('topologyKey')} "
                    f"but only key {HOSTNAME} is allowed",
                )
