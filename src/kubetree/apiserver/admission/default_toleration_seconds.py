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

    async def admit(self, request: AdmissionRequest) -> None:
        spec: dict[str, Any] = (request.obj or {}).setdefault("spec", {})
        tolerations = list(spec.get("tolerations") or ())
        missing = [taint for taint in _TAINTS if not any(_tolerates(t, taint) for t in tolerations)]
        if missing:
            always = {"operator": "Exists", "effect": "NoExecute"}
            spec["tolerations"] = tolerations + [{"key": key, **always, "tolerationSeconds": self._seconds[key]} for key in missing]


def _tolerates(toleration: dict[str, Any], taint: str) -> bool:
    return toleration.get("key", "") in (taint, "") and toleration.get("effect", "") in ("NoExecute", "")
