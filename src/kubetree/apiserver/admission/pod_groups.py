"""PodGroupProtection, PodGroupWorkloadExists and JobValidation: groups of pods that are scheduled together. Behind GenericWorkload.

A group stays while pods of it are there; what it was made from exists; a job whose group goes whole or not at all keeps its size.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import NotFound
from kubetree.api.kind_table import kind
from kubetree.api.objects import controller_of
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Writer

WORKLOAD, POD_GROUP = kind("scheduling.k8s.io/v1alpha2", "Workload"), kind("scheduling.k8s.io/v1alpha2", "PodGroup")
FINALIZER = "scheduling.k8s.io/podgroup-protection"
_GROUPS = frozenset({"podgroups.scheduling.k8s.io"})

Object = dict[str, Any]


class PodGroupProtection(Plugin):
    """kube-controller-manager takes the finalizer away once no pod is left."""

    name = "PodGroupProtection"
    operations = frozenset({CREATE})
    resources = _GROUPS
    mutates = True

    async def admit(self, request: AdmissionRequest) -> None:
        if request.obj is None:
            return
        metadata = request.obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        if FINALIZER not in finalizers:
            metadata["finalizers"] = [*finalizers, FINALIZER]


class PodGroupWorkloadExists(Plugin):
    name = "PodGroupWorkloadExists"
    operations = frozenset({CREATE})
    resources = _GROUPS
    validates = True

    def __init__(self, lister: Lister, writer: Writer) -> None:
        self._lister, self._writer = lister, writer

    async def validate(self, request: AdmissionRequest) -> None:
        named = (((request.obj or {}).get("spec") or {}).get("podGroupTemplateRef") or {}).get("workload")
        if named is None:
            return
        name, template = named.get("workloadName") or "", named.get("podGroupTemplateName") or ""
        workload = await self._workload(request.namespace, name)
        if workload is None:
            raise refusal(request, f'PodGroup rejected: Workload "{name}" not found')
        if workload["metadata"].get("deletionTimestamp"):
            raise refusal(request, f'PodGroup rejected: Workload "{name}" is being deleted')
        if not any(found.get("name") == template for found in (workload.get("spec") or {}).get("podGroupTemplates") or ()):
            raise refusal(request, f'PodGroup rejected: PodGroupTemplate "{template}" not found in Workload "{name}"')

    async def _workload(self, namespace: str, name: str) -> Object | None:
        """Looked for in the store too, where it may have come just now."""
        found = self._lister.get(WORKLOAD, namespace, name)
        if found is not None:
            return found
        try:
            return await self._writer.get(WORKLOAD, namespace, name)
        except NotFound:
            return None


class JobValidation(Plugin):
    name = "JobValidation"
    operations = frozenset({UPDATE})
    resources = frozenset({"jobs.batch"})
    validates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = ((obj or {}).get("spec") or {} for obj in (request.obj, request.old))
        if new.get("parallelism") == old.get("parallelism"):
            return
        for group in self._groups(request.old or {}, old):
            if ((group.get("spec") or {}).get("schedulingPolicy") or {}).get("gang") is not None:
                name = group["metadata"]["name"]
                raise refusal(request, f'cannot change parallelism for a Job referencing gang-scheduled PodGroup "{name}"')

    def _groups(self, job: Object, spec: Object) -> list[Object]:
        """The one that the template names, else those that the job controls."""
        metadata = job["metadata"]
        named = (((spec.get("template") or {}).get("spec") or {}).get("schedulingGroup") or {}).get("podGroupName")
        if named is not None:
            found = self._lister.get(POD_GROUP, metadata["namespace"], named)
            return [found] if found is not None else []
        groups = self._lister.list(POD_GROUP, metadata["namespace"])
        return [group for group in groups if (owner := controller_of(group)) is not None and owner["uid"] == metadata["uid"]]
