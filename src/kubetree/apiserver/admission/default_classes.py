"""DefaultStorageClass and DefaultIngressClass: what names no class gets the newest one that is marked as default."""

from __future__ import annotations

from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest
from kubetree.apiserver.lister import Lister

STORAGE_CLASS = kind("storage.k8s.io/v1", "StorageClass")
INGRESS_CLASS = kind("networking.k8s.io/v1", "IngressClass")
_DEFAULT_STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_DEFAULT_INGRESS = ("ingressclass.kubernetes.io/is-default-class",)


class DefaultStorageClass(Plugin):
    name = "DefaultStorageClass"
    operations = frozenset({CREATE})
    resources = frozenset({"persistentvolumeclaims"})
    mutates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def admit(self, request: AdmissionRequest) -> None:
        claim = request.obj or {}
        annotations = claim["metadata"].get("annotations") or {}
        spec = claim.setdefault("spec", {})
        if "volume.beta.kubernetes.io/storage-class" in annotations or spec.get("storageClassName") is not None:
            return
        default = default_class(self._lister, STORAGE_CLASS, _DEFAULT_STORAGE)
        if default is not None:
            spec["storageClassName"] = default


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"
    operations = frozenset({CREATE})
    resources = frozenset({"ingresses.networking.k8s.io"})
    mutates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def admit(self, request: AdmissionRequest) -> None:
        ingress = request.obj or {}
        annotations = ingress["metadata"].get("annotations") or {}
        spec = ingress.setdefault("spec", {})
        if "kubernetes.io/ingress.class" in annotations or spec.get("ingressClassName") is not None:
            return
        default = default_class(self._lister, INGRESS_CLASS, _DEFAULT_INGRESS)
        if default is not None:
            spec["ingressClassName"] = default


def default_class(lister: Lister, row: Kind, markers: tuple[str, ...]) -> str | None:
    """The name of the newest class that carries a marker; of equally new ones the first by name."""

    def marked(found: dict[str, Any]) -> bool:
        annotations = found["metadata"].get("annotations") or {}
        return any(annotations.get(marker) == "true" for marker in markers)

    names = sorted((found for found in lister.list(row) if marked(found)), key=lambda found: found["metadata"]["name"])
    newest = max(names, key=lambda found: found["metadata"].get("creationTimestamp", ""), default=None)
    return None if newest is None else str(newest["metadata"]["name"])
