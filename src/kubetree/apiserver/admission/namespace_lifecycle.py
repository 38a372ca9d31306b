"""NamespaceLifecycle: nothing is created in a namespace that does not exist or is ending; three namespaces never end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubetree.api.errors import Cause, Forbidden, forbidden
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.lister import Lister

NAMESPACE = kind("v1", "Namespace")
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
_REVIEWS = frozenset({"localsubjectaccessreviews.authorization.k8s.io"})
_DISTRUST = 30.0
"""Seconds after a namespace's deletion in which the cache's word that it is active is not taken."""


class NamespaceLifecycle(Plugin):
    """`clock` gives seconds that only grow."""

    name = "NamespaceLifecycle"
    operations = frozenset({CREATE, UPDATE, DELETE})
    subresources = ANY_SUBRESOURCE
    mutates = True

    def __init__(self, lister: Lister, reader: Reader, clock: Callable[[], float]) -> None:
        self._lister, self._reader, self._clock = lister, reader, clock
        self._deleted: dict[str, float] = {}

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        group_resource = request.kind.group_resource
        if group_resource == "namespaces":
            if request.operation == DELETE:
                self._note_deletion(request)
            return None
        if not request.namespace or request.operation == DELETE or group_resource in _REVIEWS:
            return None
        namespace = self._lister.get(NAMESPACE, "", request.namespace)
        if namespace is None or (request.namespace in self._deleted and self._doubtful(request.namespace, namespace)):
            return self._look_closer(request)
        _check(request, namespace)
        return None

    async def _look_closer(self, request: AdmissionRequest) -> None:
        _check(request, await self._reader.get(NAMESPACE, "", request.namespace))

    def _note_deletion(self, request: AdmissionRequest) -> None:
        if request.name in IMMORTAL:
            raise forbidden(request.kind.plural, request.kind.group, request.name, "this namespace may not be deleted")
        now = self._clock()
        self._deleted = {name: until for name, until in self._deleted.items() if until > now}
        self._deleted[request.name] = now + _DISTRUST

    def _doubtful(self, name: str, namespace: dict[str, object]) -> bool:
        return self._deleted[name] > self._clock() and not _terminating(namespace)


def _check(request: AdmissionRequest, namespace: dict[str, object]) -> None:
    if request.operation == CREATE and _terminating(namespace):
        raise _ending(request)


def _terminating(namespace: dict[str, object]) -> bool:
    status = namespace.get("status")
    return isinstance(status, dict) and status.get("phase") == "Terminating"


def _ending(request: AdmissionRequest) -> Forbidden:
    error = refusal(request, f"unable to create new content in namespace {request.namespace} because it is being terminated")
    error.causes = (Cause("NamespaceTerminating", f"namespace {request.namespace} is being terminated", "metadata.namespace"),)
    return error
