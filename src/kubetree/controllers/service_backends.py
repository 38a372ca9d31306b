"""Which pods stand behind a Service, at which addresses and ports: what Endpoints and EndpointSlices have in common."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import is_deleting, labels
from kubetree.controllers import pods
from kubetree.controllers.runner import Key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

POD = kind("v1", "Pod")
SERVICE = kind("v1", "Service")

HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def has_backends(service: Object) -> bool:
    """Whether the endpoints of a Service come from its selector, and not from somebody else."""
    spec = service["spec"]
    return spec.get("type") != "ExternalName" and spec.get("selector") is not None


def keys_of_pod(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    """The Services that select the pod."""
    namespace, marked = pod["metadata"]["namespace"], labels(pod)
    return [
        (namespace, service["metadata"]["name"])
        for service in snapshot.list(SERVICE, namespace)
        if (selector := service["spec"].get("selector")) is not None and selector.items() <= marked.items()
    ]


def same_backend(old: Object, new: Object) -> bool:
    """Whether an update of a pod leaves its endpoints as they were."""
    return _facts(old) == _facts(new)


def _facts(pod: Object) -> tuple[Any, ...]:
    spec, status = pod["spec"], pod.get("status", {})
    return (
        labels(pod),
        spec.get("hostname"),
        spec.get("subdomain"),
        spec.get("nodeName"),
        is_deleting(pod),
        pods.is_ready(pod),
        pods.is_terminal(pod),
        status.get("podIP"),
        status.get("podIPs"),
    )


def backends(snapshot: Snapshot, service: Object, *, terminating: bool) -> list[Object]:
    """Pods of the Service that have an address and have not finished, by name; those being deleted only when asked for."""
    selector = service["spec"]["selector"]
    found = [
        pod
        for pod in snapshot.list(POD, service["metadata"]["namespace"])
        if selector.items() <= labels(pod).items() and _reachable(pod) and (terminating or not is_deleting(pod))
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def _reachable(pod: Object) -> bool:
    status = pod.get("status", {})
    return not pods.is_terminal(pod) and bool(status.get("podIP") or status.get("podIPs"))


def pod_addresses(pod: Object, family: str) -> list[str]:
    """The pod's addresses of a family, "IPv4" or "IPv6"."""
    status = pod.get("status", {})
    listed = [entry["ip"] for entry in status.get("podIPs") or ()] or [status["podIP"]]
    return [address for address in listed if family_of(address) == family]


def family_of(address: str) -> str:
    """ "IPv4" or "IPv6"; "" for what is no address."""
    try:
        return f"IPv{ipaddress.ip_address(address).version}"
    except ValueError:
        return ""


def is_headless(service: Object) -> bool:
    return service["spec"].get("clusterIP") in (None, "", "None")


def families(service: Object) -> list[str]:
    """Address families of the Service's endpoints."""
    spec = service["spec"]
    if listed := spec.get("ipFamilies"):
        return list(listed)
    return ["IPv4", "IPv6"] if is_headless(service) else [family_of(spec["clusterIP"]) or "IPv4"]


def target_port(pod: Object, port: Object) -> int | None:
    """The number that a Service port leads to on a pod; None when no container port has the name."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    protocol = port.get("protocol", "TCP")
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for candidate in container.get("ports") or ():
            if candidate.get("name") == target and candidate.get("protocol", "TCP") == protocol:
                return int(candidate["containerPort"])
    return None


def hostname(pod: Object, service: Object) -> str:
    """The name of the pod below the Service's in DNS; "" when it has none."""
    spec = pod["spec"]
    return str(spec.get("hostname", "")) if spec.get("subdomain", "") == service["metadata"]["name"] else ""


def target_reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def trigger_time(service: Object, chosen: Iterable[Object]) -> str:
    """When the newest change that shows in the endpoints took place: a pod's readiness, or the Service's creation."""
    times = [service["metadata"].get("creationTimestamp", "")]
    for pod in chosen:
        ready = pods.condition(pod, "Ready")
        if ready is not None and ready.get("lastTransitionTime"):
            times.append(ready["lastTransitionTime"])
    return str(max(times))


def with_trigger_time(obj: Object, stamp: str) -> dict[str, str]:
    """The object's annotations with the trigger time, or without one."""
    kept = {k: v for k, v in annotations_of(obj).items() if k != TRIGGER_TIME}
    return {**kept, TRIGGER_TIME: stamp} if stamp else kept
