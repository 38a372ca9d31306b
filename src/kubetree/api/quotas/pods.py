"""Pods in quotas: compute resources while they live, their number always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.pod_resources import container_resources, has_pod_level_resources, is_best_effort, pod_limits, pod_requests
from kubetree.api.quantities import Quantity
from kubetree.api.quotas.resource_lists import ResourceList
from kubetree.api.quotas.scopes import matches_values
from kubetree.api.times import parse_time

_ONE = Quantity(1)
_COUNT = "count/pods"
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_NAMES = frozenset({_COUNT, "pods", *_COMPUTE, *(f"requests.{name}" for name in _COMPUTE), *(f"limits.{name}" for name in _COMPUTE)})
_REQUIRED = frozenset(name for short in ("cpu", "memory") for name in (short, f"requests.{short}", f"limits.{short}"))
"""A quota of these demands that every container states them: upstream's, kept for compatibility."""
_DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"

Object = Mapping[str, Any]


def usage(pod: Object, now: datetime) -> ResourceList:
    if not _counts(pod, now):
        return {_COUNT: _ONE}
    found = compute_usage(pod_requests(pod, use_status=True), pod_limits(pod, use_status=True))
    found[_COUNT] = _ONE
    return found


def compute_usage(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> ResourceList:
    """Requests and limits under the names that quotas have for them."""
    found: ResourceList = {"pods": _ONE}
    for name in _COMPUTE:
        if name in requests:
            found[name] = found[f"requests.{name}"] = requests[name]
        if name in limits:
            found[f"limits.{name}"] = limits[name]
    for name, quantity in requests.items():
        if name.startswith("hugepages-"):
            found[name] = found[f"requests.{name}"] = quantity
        elif _is_extended(name):
            found[f"requests.{name}"] = quantity
    return found


def matches_name(name: str) -> bool:
    if name in _NAMES or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    return name.startswith("requests.") and (_is_extended(name.removeprefix("requests.")) or name.startswith(f"requests.{_DEVICE_CLASS}"))


def handles(operation: str, subresource: str, new: Object, old: Object | None) -> bool:
    if subresource == "resize":
        return operation == "UPDATE"
    if subresource:
        return False
    return operation == "CREATE" or (operation == "UPDATE" and old is not None and _terminating(new) != _terminating(old))


def matches_scope(selector: Object, pod: Object) -> bool:
    match selector.get("scopeName"):
        case "Terminating":
            return _terminating(pod)
        case "NotTerminating":
            return not _terminating(pod)
        case "BestEffort":
            return is_best_effort(pod)
        case "NotBestEffort":
            return not is_best_effort(pod)
        case "PriorityClass":
            name = (pod.get("spec") or {}).get("priorityClassName")
            return matches_values(selector, [name] if name else [])
        case "CrossNamespacePodAffinity":
            return _reaches_other_namespaces(pod)
    return False


def lacking(required: Sequence[str], pod: Object) -> str:
    """What the pod's containers must state and do not: `must specify cpu for: a,b; memory for: a`; '' when nothing."""
    spec = pod.get("spec") or {}
    wanted = _REQUIRED.intersection(required)
    if not wanted or has_pod_level_resources(spec):
        return ""
    missing: dict[str, set[str]] = {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        stated = compute_usage(container_resources(container, "requests"), container_resources(container, "limits"))
        for name in wanted - stated.keys():
            missing.setdefault(name, set()).add(container["name"])
    if not missing:
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def _counts(pod: Object, now: datetime) -> bool:
    """Not once it has ended, nor when it should have been gone already."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return False
    metadata = pod["metadata"]
    deleted, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    return deleted is None or grace is None or now <= parse_time(deleted) + timedelta(seconds=grace)


def _terminating(pod: Object) -> bool:
    seconds = (pod.get("spec") or {}).get("activeDeadlineSeconds")
    return seconds is not None and seconds >= 0


def _is_extended(name: str) -> bool:
    if name.startswith(_DEVICE_CLASS):
        return True
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def _reaches_other_namespaces(pod: Object) -> bool:
    affinity = (pod.get("spec") or {}).get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(field) or {}
        terms = list(found.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
