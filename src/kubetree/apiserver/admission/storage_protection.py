"""StorageObjectInUseProtection: volumes, claims and volume attributes classes are not removed while something uses them."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest

_FINALIZERS = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"
    operations = frozenset({CREATE})
    resources = frozenset({"persistentvolumes", "persistentvolumeclaims", "volumeattributesclasses.storage.k8s.io"})
    mutates = True

    async def admit(self, request: AdmissionRequest) -> None:
        if request.obj is None:
            return
        metadata, finalizer = request.obj["metadata"], _FINALIZERS[request.kind.plural]
        finalizers = metadata.get("finalizers") or []
        if finalizer not in finalizers:
            metadata["finalizers"] = [*finalizers, finalizer]
