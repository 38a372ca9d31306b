"""namespaceSelector and objectSelector. Follows admission/plugin/webhook/predicates/{namespace,object}."""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import NotFound
from kubetree.api.kind_table import kind
from kubetree.api.objects import labels
from kubetree.api.selectors import Selector, label_selector
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]
NAMESPACE = kind("v1", "Namespace")


def selector(given: Object | None) -> Selector | None:
    """None for one that takes everything."""
    parsed = label_selector(given)
    return None if parsed.empty else parsed


class Namespaces:
    """Namespaces as the cache has them, or the store where the cache has not heard of one yet."""

    def __init__(self, lister: Lister, reader: Reader) -> None:
        self._lister, self._reader = lister, reader

    async def get(self, name: str) -> Object:
        """Raises NotFound."""
        found = self._lister.get(NAMESPACE, "", name)
        return found if found is not None else await self._reader.get(NAMESPACE, "", name)

    async def selects(self, wanted: Selector | None, request: AdmissionRequest) -> bool:
        """Cluster-scoped objects are always selected; a Namespace is judged by its own labels, as they will be. Raises NotFound."""
        of_namespace = request.kind.plural == "namespaces"
        if wanted is None or (not request.namespace and not of_namespace):
            return True
        if of_namespace and not request.subresource and request.operation in (CREATE, UPDATE) and request.obj is not None:
            return wanted.matches(labels(request.obj))
        return wanted.matches(labels(await self.get(request.namespace)))

    async def selects_or_error(self, wanted: Selector | None, request: AdmissionRequest) -> bool | NotFound:
        """The error is for after the rules: whom a request does not concern is not stopped by it."""
        try:
            return await self.selects(wanted, request)
        except NotFound as error:
            return error


def selects_object(wanted: Selector | None, request: AdmissionRequest) -> bool:
    """The new object or the old one."""
    if wanted is None:
        return True
    return any(
        obj is not None and isinstance(obj.get("metadata"), dict) and wanted.matches(labels(obj)) for obj in (request.obj, request.old)
    )
