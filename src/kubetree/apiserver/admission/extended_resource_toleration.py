"""ExtendedResourceToleration: a pod that asks for a device tolerates the taint that keeps others off its nodes."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest


class ExtendedResourceToleration(Plugin):
    name = "ExtendedResourceToleration"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    mutates = True

    async def admit(self, request: AdmissionRequest) -> None:
        spec = (request.obj or {}).get("spec") or {}
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        asked = {name for container in containers for name in (container.get("resources") or {}).get("requests") or ()}
        devices = sorted(name for name in asked if _is_extended(name))
        tolerations = list(spec.get("tolerations") or ())
        added = [{"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in devices]
        added = [toleration for toleration in added if toleration not in tolerations]
        if added:
            spec["tolerations"] = tolerations + added


def _is_extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")
