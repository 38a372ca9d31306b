"""From a request to the variables that expressions read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.apiserver.admission.matching.authorizers import RequestAuthorizer
from kubetree.apiserver.admission.matching.evaluation import Activation
from kubetree.apiserver.admission.matching.targets import Target
from kubetree.apiserver.admission.matching.versions import Versions
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.admission.reviews import admission_request
from kubetree.apiserver.authorization.attributes import Authorizer

Object = dict[str, Any]


class Activations:
    """What is the same for all expressions over one request. `namespace` is the one that it is in, None where they may not see it."""

    def __init__(self, request: AdmissionRequest, versions: Versions, authorizer: Authorizer, namespace: Object | None = None) -> None:
        self.versions = versions
        self._request, self._namespace = request, namespace
        self._authorizer = RequestAuthorizer(authorizer, request)
        self._shared: tuple[Target, dict[str, Callable[[], Any]]] | None = None

    async def at(self, target: Target, params: Object | None = None) -> Activation:
        """The objects as they are now, at the target's version. `params` is null where there are none."""
        obj, old = await self.versions.obj(target.kind), await self.versions.old(target.kind)
        return Activation({"object": obj, "oldObject": old, "params": params}, self._lazy(target))

    def _lazy(self, target: Target) -> dict[str, Callable[[], Any]]:
        """Most of the time all expressions are about the same version."""
        if self._shared is None or self._shared[0] is not target:
            request, namespace = self._request, self._namespace
            lazy: dict[str, Callable[[], Any]] = {
                "namespaceObject": _once(lambda: shown_namespace(namespace)),
                "request": _once(lambda: admission_request(request, target)),
                "authorizer": self._authorizer.value,
                "authorizer.requestResource": self._authorizer.request_resource,
            }
            self._shared = target, lazy
        return self._shared[1]


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    made: list[Any] = []

    def get() -> Any:
        if not made:
            made.append(make())
        return made[0]

    return get


_SHOWN = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
)


def shown_namespace(namespace: Object | None) -> Object | None:
    """The namespace without owners and managers, which expressions do not see."""
    if namespace is None:
        return None
    metadata = {name: namespace["metadata"][name] for name in _SHOWN if name in namespace["metadata"]}
    return {"metadata": metadata, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}
