"""PersistentVolumeClaimResize: a bound claim grows only where its storage class says that it can."""

from __future__ import annotations

from typing import Any

from kubetree.api.quantities import Quantity, parse_quantity
from kubetree.apiserver.admission.default_classes import STORAGE_CLASS
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"
    operations = frozenset({UPDATE})
    resources = frozenset({"persistentvolumeclaims"})
    validates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = request.obj or {}, request.old or {}
        if not _size(old) < _size(new):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refusal(request, "Only bound persistent volume claims can be expanded")
        name = _class(new)
        found = self._lister.get(STORAGE_CLASS, "", name) if name and name == _class(old) else None
        if not (found or {}).get("allowVolumeExpansion"):
            why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
            raise refusal(request, why)


def _size(claim: Object) -> Quantity:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return parse_quantity(requests.get("storage", "0"))


def _class(claim: Object) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    return annotations.get("volume.beta.kubernetes.io/storage-class") or (claim.get("spec") or {}).get("storageClassName") or ""
