"""DefaultTolerationSeconds: a pod stays on a node that is not ready or not reachable for five minutes, unless it says otherwise."""

from __future__ import annotations

from typing import Any

from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest

_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    mutates = True

    def __init__(self, not_ready: int = 300, unreachable: int = 300) -> None:
        self._seconds = dict(zip(_TAINTS, (not_ready, unreachable), strict=True))

    def admit(self, request: AdmissionRequest) -> None:
        spec: dict[str, Any] = (request.obj or {}).setdefault("spec", {})
        tolerations = spec.get("tolerations") or []
        tolerated = {t.get("key", "") for t in tolerations if t.get("effect", "") in ("NoExecute", "")}
        if "" in tolerated:
            return
        missing = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            for key, seconds in self._seconds.items()
            if key not in tolerated
        ]
        if missing:
            spec["tolerations"] = [*tolerations, *missing]
