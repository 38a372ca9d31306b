"""LimitRanger: defaults and bounds of what containers, pods and claims ask for, as the namespace's LimitRanges say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.pod_resources import ResourceList, container_resources, pod_limits, pod_requests, resource_list
from kubetree.api.quantities import Quantity
from kubetree.apiserver.admission.by_namespace import ByNamespace, Reader
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister

LIMIT_RANGE = kind("v1", "LimitRange")
ANNOTATION = "kubernetes.io/limit-ranger"

Object = dict[str, Any]


class LimitRanger(Plugin):
    name = "LimitRanger"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods", "persistentvolumeclaims"})
    subresources = frozenset({"", "resize"})
    mutates = validates = True

    def __init__(self, lister: Lister, reader: Reader) -> None:
        self._ranges = ByNamespace(lister, LIMIT_RANGE, reader)

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        if request.kind.plural != "pods" or request.obj is None:
            return None
        return self._with_limits(request, self._default)

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        return self._with_limits(request, self._check) if request.obj is not None else None

    def _default(self, request: AdmissionRequest) -> None:
        assert request.obj is not None
        for limits in self._limits(request):
            set_defaults(request.obj, limits)

    def _check(self, request: AdmissionRequest) -> None:
        assert request.obj is not None
        check = pod_violations if request.kind.plural == "pods" else claim_violations
        for limits in self._limits(request):
            found = list(check(request.obj, limits))
            if found:
                raise refusal(request, found[0] if len(found) == 1 else f"[{', '.join(found)}]")

    def _with_limits(self, request: AdmissionRequest, work: Callable[[AdmissionRequest], None]) -> Awaitable[None] | None:
        if self._ranges.doubtful(request.namespace):
            return self._later(request, work)
        work(request)
        return None

    async def _later(self, request: AdmissionRequest, work: Callable[[AdmissionRequest], None]) -> None:
        await self._ranges.catch_up(request.namespace)
        work(request)

    def _limits(self, request: AdmissionRequest) -> list[list[Object]]:
        """The limits of each LimitRange, none for a write that cannot change resources."""
        if request.kind.plural == "pods":
            if (request.operation == UPDATE) != (request.subresource == "resize"):
                return []
        elif request.subresource:
            return []
        if request.old is not None and "deletionTimestamp" in request.old["metadata"]:
            return []
        return [(found.get("spec") or {}).get("limits") or [] for found in self._ranges(request.namespace)]


def set_defaults(pod: Object, limits: list[Object]) -> None:
    """Fills in what containers do not state, and says so in an annotation."""
    defaults: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for limit in limits:
        if limit.get("type") == "Container":
            defaults["requests"] |= limit.get("defaultRequest") or {}
            defaults["limits"] |= limit.get("default") or {}
    if not defaults["requests"] and not defaults["limits"]:
        return
    notes = []
    spec = pod.get("spec") or {}
    for label, field in (("container", "containers"), ("init container", "initContainers")):
        for container in spec.get(field) or ():
            notes += [f"{', '.join(names)} {what} for {label} {container['name']}" for what, names in _fill(container, defaults)]
    if notes:
        annotations = dict(pod["metadata"].get("annotations") or {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)
        pod["metadata"]["annotations"] = annotations


def _fill(container: Object, defaults: dict[str, dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    resources = dict(container.get("resources") or {})
    for field, what in (("requests", "request"), ("limits", "limit")):
        stated = resources.get(field) or {}
        added = {name: value for name, value in defaults[field].items() if name not in stated}
        if added:
            resources[field] = {**stated, **added}
            yield what, sorted(added)
    if resources:
        container["resources"] = resources


def pod_violations(pod: Object, limits: list[Object]) -> Iterator[str]:
    spec = pod.get("spec") or {}
    for limit in limits:
        if limit.get("type") == "Container":
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                requests, bounds = container_resources(container, "requests"), container_resources(container, "limits")
                yield from _violations("Container", limit, requests, bounds)
        elif limit.get("type") == "Pod":
            yield from _violations("Pod", limit, pod_requests(pod, overhead=False), pod_limits(pod, overhead=False))


def claim_violations(claim: Object, limits: list[Object]) -> Iterator[str]:
    requests = container_resources(claim.get("spec") or {}, "requests")
    for limit in limits:
        if limit.get("type") != "PersistentVolumeClaim":
            continue
        for name, least in resource_list(limit.get("min")).items():
            yield from _below("PersistentVolumeClaim", name, least, requests, {})
        for name, most in resource_list(limit.get("max")).items():
            usage = f"maximum {name} usage per PersistentVolumeClaim is {most}"
            if name not in requests:
                yield f"{usage}.  No request is specified"
            elif most < requests[name]:
                yield f"{usage}, but request is {requests[name]}"


def _violations(what: str, limit: Object, requests: ResourceList, bounds: ResourceList) -> Iterator[str]:
    for name, least in resource_list(limit.get("min")).items():
        yield from _below(what, name, least, requests, bounds)
    for name, most in resource_list(limit.get("max")).items():
        usage = f"maximum {name} usage per {what} is {most}"
        if name not in bounds:
            yield f"{usage}.  No limit is specified"
        elif most < bounds[name]:
            yield f"{usage}, but limit is {bounds[name]}"
        elif name in requests and most < requests[name]:
            yield f"{usage}, but request is {requests[name]}"
    for name, ratio in resource_list(limit.get("maxLimitRequestRatio")).items():
        yield from _ratio(what, name, ratio, requests, bounds)


def _below(what: str, name: str, least: Quantity, requests: Mapping[str, Quantity], bounds: Mapping[str, Quantity]) -> Iterator[str]:
    usage = f"minimum {name} usage per {what} is {least}"
    if name not in requests:
        yield f"{usage}.  No request is specified"
    elif requests[name] < least:
        yield f"{usage}, but request is {requests[name]}"
    elif name in bounds and bounds[name] < least:
        yield f"{usage}, but limit is {bounds[name]}"


def _ratio(what: str, name: str, most: Quantity, requests: ResourceList, bounds: ResourceList) -> Iterator[str]:
    ratio = f"{name} max limit to request ratio per {what} is {most}"
    if name not in requests or requests[name].is_zero():
        yield f"{ratio}, but no request is specified or request is 0"
    elif name not in bounds or bounds[name].is_zero():
        yield f"{ratio}, but no limit is specified or limit is 0"
    else:
        found = bounds[name].milli() / requests[name].milli()
        if found * 1000 > most.milli():
            yield f"{ratio}, but provided ratio is {found:f}"
