"""Which pods belong together: what selects a pod's fellows are its services and controllers (upstream's DefaultSelector)."""

from __future__ import annotations

from kubetree.api.objects import controller_of
from kubetree.api.selectors import Requirement, Selector, label_selector
from kubetree.client import Informer
from kubetree.scheduler.pod_info import PodInfo


class Fellows:
    """Looks in informers of Services, ReplicationControllers, ReplicaSets and StatefulSets."""

    def __init__(self, services: Informer, controllers: dict[str, Informer]) -> None:
        services.add_index("namespace", lambda service: [service["metadata"]["namespace"]])
        self._services, self._controllers = services, controllers

    def selector(self, pod: PodInfo) -> Selector | None:
        """All requirements together of the services that select the pod and of the controller that owns it; None when there are none."""
        requirements: list[Requirement] = []
        for service in self._services.by_index("namespace", pod.namespace):
            wanted = service["spec"].get("selector") or {}
            if wanted and all(pod.labels.get(key) == value for key, value in wanted.items()):
                requirements += label_selector({"matchLabels": wanted}).requirements
        owner = controller_of(pod.pod)
        informer = self._controllers.get(owner["kind"]) if owner else None
        found = informer.get(pod.namespace, owner["name"]) if informer is not None and owner is not None else None
        if found is not None:
            wanted = found["spec"].get("selector") or {}
            is_plain = owner is not None and owner["kind"] == "ReplicationController"
            requirements += label_selector({"matchLabels": wanted} if is_plain else wanted).requirements
        return Selector(tuple(dict.fromkeys(requirements))) if requirements else None
