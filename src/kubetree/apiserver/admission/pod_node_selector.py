"""PodNodeSelector: a namespace's annotation says on which nodes its pods may run, the configuration which it may name at all."""

from __future__ import annotations

from collections.abc import Mapping

from kubetree.api.errors import InternalError
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.lister import Lister

NAMESPACE = kind("v1", "Namespace")
_CLUSTER_DEFAULT = "clusterDefaultNodeSelector"
ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"


class PodNodeSelector(Plugin):
    name = "PodNodeSelector"
    operations = frozenset({CREATE})
    resources = frozenset({"pods"})
    mutates = validates = True

    def __init__(self, lister: Lister, reader: Reader, configured: Mapping[str, str] | None = None) -> None:
        """`configured` has a selector for each namespace that is restricted, and `clusterDefaultNodeSelector`."""
        self._lister, self._reader, self._configured = lister, reader, configured or {}

    async def admit(self, request: AdmissionRequest) -> None:
        spec = (request.obj or {}).setdefault("spec", {})
        wanted = await self._checked(request)
        if wanted:
            spec["nodeSelector"] = wanted | (spec.get("nodeSelector") or {})

    async def validate(self, request: AdmissionRequest) -> None:
        await self._checked(request)
        allowed = _parsed(self._configured.get(request.namespace, ""))
        stated = ((request.obj or {}).get("spec") or {}).get("nodeSelector") or {}
        if allowed and any(allowed.get(key) != value for key, value in stated.items()):
            raise refusal(request, "pod node label selector labels conflict with its namespace whitelist")

    async def _checked(self, request: AdmissionRequest) -> dict[str, str]:
        namespace = self._lister.get(NAMESPACE, "", request.namespace) or await self._reader.get(NAMESPACE, "", request.namespace)
        usual = self._configured.get(_CLUSTER_DEFAULT, "")
        wanted = _parsed((namespace["metadata"].get("annotations") or {}).get(ANNOTATION, usual))
        stated = ((request.obj or {}).get("spec") or {}).get("nodeSelector") or {}
        if any(stated.get(key, value) != value for key, value in wanted.items()):
            raise refusal(request, "pod node label selector conflicts with its namespace node label selector")
        return wanted


def _parsed(text: str) -> dict[str, str]:
    """`a=b,c=d`. Raises InternalError for anything else."""
    found = {}
    for term in text.split(",") if text else ():
        key, equals, value = term.partition("=")
        if not equals or "=" in value:
            raise InternalError(f"Internal error occurred: invalid selector: [{term}]")
        found[key.strip()] = value.strip()
    return found
