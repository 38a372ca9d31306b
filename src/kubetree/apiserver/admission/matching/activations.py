"""From a request to the variables that expressions read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubetree.apiserver.admission.matching.authorizers import RequestAuthorizer
from kubetree.apiserver.admission.matching.evaluation import Activation
from kubetree.apiserver.admission.matching.targets import Target
from kubetree.apiserver.admission.matching.versions import Versions
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.admission.reviews import admission_request

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Activations:
    """What is the same for all expressions over one request."""

    request: AdmissionRequest
    versions: Versions
    authorizer: RequestAuthorizer

    async def at(self, target: Target, params: Object | None = None, namespace: Object | None = None) -> Activation:
        """`params` and `namespace` are null where there are none."""
        obj, old = await self.versions.obj(target.kind), await self.versions.old(target.kind)
        lazy: dict[str, Callable[[], Any]] = {
            "object": lambda: obj,
            "oldObject": lambda: old,
            "params": lambda: params,
            "namespaceObject": lambda: shown_namespace(namespace),
            "request": lambda: admission_request(self.request, target),
            "authorizer": lambda: self.authorizer.value(),
            "authorizer.requestResource": lambda: self.authorizer.request_resource(),
        }
        return Activation(lazy)


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
