"""NamespaceAutoProvision makes a namespace that is written to; NamespaceExists only demands it. NamespaceLifecycle serves both better."""

from __future__ import annotations

from contextlib import suppress

from kubetree.api.errors import AlreadyExists
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin
from kubetree.apiserver.admission.request import CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Writer

NAMESPACE = kind("v1", "Namespace")


class NamespaceAutoProvision(Plugin):
    name = "NamespaceAutoProvision"
    operations = frozenset({CREATE})
    subresources = ANY_SUBRESOURCE
    mutates = True

    def __init__(self, lister: Lister, writer: Writer) -> None:
        self._lister, self._writer = lister, writer

    async def admit(self, request: AdmissionRequest) -> None:
        if request.dry_run or not request.namespace or request.kind.group_resource == "namespaces":
            return
        if self._lister.get(NAMESPACE, "", request.namespace) is None:
            with suppress(AlreadyExists):
                wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": request.namespace}}
                await self._writer.create(NAMESPACE, wanted)


class NamespaceExists(Plugin):
    name = "NamespaceExists"
    operations = frozenset({CREATE, UPDATE, DELETE})
    subresources = ANY_SUBRESOURCE
    validates = True

    def __init__(self, lister: Lister, writer: Writer) -> None:
        self._lister, self._writer = lister, writer

    async def validate(self, request: AdmissionRequest) -> None:
        if not request.namespace or request.kind.group_resource == "namespaces":
            return
        if self._lister.get(NAMESPACE, "", request.namespace) is None:
            await self._writer.get(NAMESPACE, "", request.namespace)
