"""What kubelets and schedulers may write into a pod's status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kubetree.api.validation.addresses import dual_stack, legacy_ip
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required, too_long
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import dns_label, dns_subdomain, id_number, label_key
from kubetree.api.validation.pods.pod import annotation_updates

_SYSTEM_CONDITIONS = frozenset({"PodScheduled", "Ready", "Initialized"})
_HEALTH = ("Healthy", "Unhealthy", "Unknown")
_GROUPS = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
)


def _conditions(errs: Errors, conditions: Iterable[Object], path: str) -> None:
    for i, condition in enumerate(conditions):
        if (condition.get("observedGeneration") or 0) < 0:
            errs.append(invalid(f"{path}[{i}].observedGeneration", condition["observedGeneration"], "must be a non-negative integer"))
        kind = condition.get("type") or ""
        if kind not in _SYSTEM_CONDITIONS:
            each(errs, f"{path}[{i}].Type", kind, label_key(kind))


def _addresses(errs: Errors, status: Object, was: Object, field: str) -> None:
    path = f"status.{field}"
    entries = status.get(field) or ()
    texts = [a.get("ip") or "" for a in entries]
    known = [a.get("ip") or "" for a in was.get(field) or ()]
    if field == "hostIPs" and texts and (status.get("hostIP") or "") != texts[0]:
        errs.append(invalid(f"{path}[0].ip", texts[0], "must be equal to `hostIP`"))
    for i, text in enumerate(texts):
        legacy_ip(errs, text, f"{path}[{i}]", known)
    if len(texts) > 1 and (not dual_stack(texts) or len(texts) > 2):
        errs.append(invalid(path, entries, "may specify no more than one IP for each IP family"))


def _restartable(spec: Object, container: Object, code: int) -> bool:
    """Whether a container that ended with `code` may run again: its own policy and rules, else the pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or spec.get("restartPolicy")
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _all_could_restart(spec: Object) -> bool:
    return any(
        rule.get("action") == "RestartAllContainers"
        for group in ("containers", "initContainers")
        for container in spec.get(group) or ()
        for rule in container.get("restartPolicyRules") or ()
    )


def _transitions(errs: Errors, new: Iterable[Object], old: Iterable[Object], path: str, may: Callable[[str, int], bool]) -> None:
    """A terminated container stays so unless it may restart."""
    after = {s.get("name"): s for s in new}
    for i, status in enumerate(old):
        terminated = (status.get("state") or {}).get("terminated")
        current = after.get(status.get("name"))
        if terminated is None or current is None or (current.get("state") or {}).get("terminated") is not None:
            continue
        if not may(status.get("name") or "", terminated.get("exitCode") or 0):
            errs.append(forbidden(f"{path}[{i}].state", "may not be transitioned to non-terminated state"))


def _states(errs: Errors, status: Object, was: Object, spec: Object) -> None:
    for field, group in _GROUPS:
        old = was.get(field)
        if not old:
            continue
        if group == "ephemeralContainers":
            _transitions(errs, status.get(field) or (), old, f"status.{field}", lambda name, code: False)
        elif not _all_could_restart(spec):
            by_name = {c.get("name"): c for c in spec.get(group) or ()}

            def may(name: str, code: int, by_name: dict[Any, Any] = by_name) -> bool:
                return name in by_name and _restartable(spec, by_name[name], code)

            _transitions(errs, status.get(field) or (), old, f"status.{field}", may)


def _resource_claims(errs: Errors, statuses: Iterable[Object], spec: Object, path: str) -> None:
    known = {c.get("name") for c in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for i, status in enumerate(statuses):
        name = status.get("name") or ""
        if name not in known:
            errs.append(invalid(f"{path}[{i}].name", name, "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            errs.append(duplicate(f"{path}[{i}].name", name))
        seen.add(name)
        claim = status.get("resourceClaimName")
        if claim is not None:
            each(errs, f"{path}[{i}].resourceClaimName", claim, dns_subdomain(claim))


def _extended_claim(errs: Errors, status: Object, spec: Object, path: str) -> None:
    containers = {c.get("name"): c for group in ("initContainers", "containers") for c in spec.get(group) or ()}
    mappings = status.get("requestMappings") or ()
    if not mappings:
        errs.append(required(f"{path}.requestMappings", "at least one request mapping is required"))
    seen: set[tuple[str, str, str]] = set()
    where = "spec.initContainers.{0} or spec.containers.{0}"
    for i, mapping in enumerate(mappings):
        at = f"{path}.requestMappings[{i}]"
        container, resource, request = (mapping.get(n) or "" for n in ("containerName", "resourceName", "requestName"))
        if container not in containers:
            errs.append(invalid(f"{at}.containerName", container, f"must match the name of an entry in {where.format('name')}"))
        elif resource not in ((containers[container].get("resources") or {}).get("requests") or {}):
            detail = f"must match the extended resource name of an entry in {where.format('resources.requests')}"
            errs.append(invalid(f"{at}.resourceName", resource, detail))
        each(errs, f"{path}.requestName", request, dns_label(request))
        if (container, resource, request) in seen:
            for name, value in (("containerName", container), ("resourceName", resource), ("requestName", request)):
                errs.append(duplicate(f"{at}.{name}", value))
        seen.add((container, resource, request))
    name = status.get("resourceClaimName") or ""
    if not name:
        errs.append(required(f"{path}.resourceClaimName"))
    else:
        each(errs, f"{path}.resourceClaimName", name, dns_subdomain(name))


def _users(errs: Errors, statuses: Iterable[Object], spec: Object, path: str) -> None:
    windows = (spec.get("os") or {}).get("name") == "windows"
    for i, status in enumerate(statuses):
        user = (status.get("user") or {}).get("linux")
        if user is None:
            continue
        at = f"{path}[{i}].user.linux"
        if windows:
            errs.append(forbidden(at, "cannot be set for a windows pod"))
            continue
        for name in ("uid", "gid"):
            each(errs, f"{at}.{name}", user.get(name) or 0, id_number(user.get(name) or 0))
        for j, group in enumerate(user.get("supplementalGroups") or ()):
            each(errs, f"{at}.supplementalGroups[{j}]", group, id_number(group))


def _allocated(errs: Errors, statuses: Iterable[Object], containers: Iterable[Object], path: str, allowed: bool) -> None:
    by_name = {c.get("name"): c for c in containers}
    for i, status in enumerate(statuses):
        resources = status.get("allocatedResourcesStatus") or ()
        at = f"{path}[{i}].allocatedResourcesStatus"
        if resources and not allowed:
            errs.append(forbidden(at, "must not be specified in container status"))
            continue
        container = by_name.get(status.get("name"))
        for j, resource in enumerate(resources):
            name = resource.get("name") or ""
            if container is not None:
                wanted = container.get("resources") or {}
                if name.startswith("claim:"):
                    claims = wanted.get("claims") or ()
                    known = {f"claim:{c.get('name')}" + (f"/{c['request']}" if c.get("request") else "") for c in claims}
                    detail = (
                        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' "
                        "or 'claim:<claimName>' if request is empty"
                    )
                else:
                    known, detail = set(wanted.get("requests") or ()), "must match one of the container's resource requests"
                if name not in known:
                    errs.append(invalid(f"{at}[{j}].name", name, detail))
            seen: set[str] = set()
            for k, health in enumerate(resource.get("resources") or ()):
                where = f"{at}[{j}].resources[{k}]"
                if health.get("health") not in _HEALTH:
                    errs.append(not_supported(f"{where}.health", health.get("health") or "", _HEALTH))
                message = health.get("message")
                if message == "":
                    errs.append(required(f"{where}.message", "must be non-empty if specified"))
                elif message is not None and len(message) > 1024:
                    errs.append(too_long(f"{where}.message", 1024))
                identifier = health.get("resourceID") or ""
                if identifier in seen:
                    errs.append(duplicate(f"{where}.resourceID", identifier))
                seen.add(identifier)


def update(errs: Errors, new: dict[str, Any], old: dict[str, Any]) -> None:
    """The status subresource, after the metadata's own check."""
    annotation_updates(errs, new, old)
    status, was = new.get("status") or {}, old.get("status") or {}
    spec = new.get("spec") or {}
    _conditions(errs, status.get("conditions") or (), "status.conditions")
    nominated = status.get("nominatedNodeName") or ""
    if nominated and nominated != (was.get("nominatedNodeName") or ""):
        each(errs, "status.nominatedNodeName", nominated, dns_subdomain(nominated))
        if (old.get("spec") or {}).get("nodeName"):
            errs.append(forbidden("status.nominatedNodeName", "may not be set on pods that are already bound to a node"))
    if (status.get("observedGeneration") or 0) < 0:
        errs.append(invalid("status.observedGeneration", status["observedGeneration"], "must be a non-negative integer"))
    immutable(errs, status.get("qosClass") or "", was.get("qosClass") or "", "status.qosClass")
    _states(errs, status, was, old.get("spec") or {})
    _resource_claims(errs, status.get("resourceClaimStatuses") or (), spec, "status.resourceClaimStatuses")
    if status.get("extendedResourceClaimStatus") is not None:
        _extended_claim(errs, status["extendedResourceClaimStatus"], spec, "status.extendedResourceClaimStatus")
    _addresses(errs, status, was, "podIPs")
    _addresses(errs, status, was, "hostIPs")
    for field, group in _GROUPS:
        statuses = status.get(field)
        if statuses:
            _users(errs, statuses, spec, f"status.{field}")
            _allocated(errs, statuses, spec.get(group) or (), f"status.{field}", group != "ephemeralContainers")
