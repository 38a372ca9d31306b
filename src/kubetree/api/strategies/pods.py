"""Pods: the quality of service class, scheduling gates, label keys that become selectors."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from kubetree.api.pod_resources import add_to
from kubetree.api.quantities import Quantity, parse_quantity

Object = dict[str, Any]

_COMPUTE = ("cpu", "memory")


@lru_cache(maxsize=1 << 14)
def _quantity(text: str | int | float) -> Quantity:
    return parse_quantity(text)


def _positive(amounts: Object | None) -> dict[str, Quantity]:
    """The compute resources among `amounts` that are more than nothing."""
    found = {}
    for name in _COMPUTE:
        raw = amounts.get(name) if amounts else None
        if raw is not None:
            quantity = _quantity(raw)
            if not quantity.is_zero():
                found[name] = quantity
    return found


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort: pkg/apis/core/helper/qos."""
    groups = [[c.get("resources") for c in spec.get(group) or ()] for group in ("containers", "initContainers")]
    return _qos_class(orjson.dumps((spec.get("resources"), *groups)))


@lru_cache(maxsize=1024)
def _qos_class(stated: bytes) -> str:
    """The resources of the pod and of its containers, which pods have in common, say it all."""
    whole, containers, init_containers = orjson.loads(stated)
    return _qos_of(whole, [resources or {} for resources in containers], [resources or {} for resources in init_containers])


def _qos_of(whole: Object | None, containers: list[Object], init_containers: list[Object]) -> str:
    if whole is not None:
        each = [whole]
    else:
        each = [resources for resources in (*containers, *init_containers) if resources]
        if not each:
            return "BestEffort"
    bare = whole is None and len(each) < len(containers) + len(init_containers)
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    guaranteed = not bare
    for resources in each:
        add_to(requests, _positive(resources.get("requests")))
        bounded = _positive(resources.get("limits"))
        add_to(limits, bounded)
        if len(bounded) < len(_COMPUTE):
            guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _merge_label_keys(selector: Object | None, keys: list[str] | None, operator: str, labels: dict[str, str]) -> None:
    if selector is None or not keys:
        return
    for key in keys:
        if key in labels:
            expressions = selector.get("matchExpressions")
            if expressions is None:
                expressions = selector["matchExpressions"] = []
            expressions.append({"key": key, "operator": operator, "values": [labels[key]]})


def _affinity(affinity: Object, labels: dict[str, str]) -> None:
    for name in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(name) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += [p.get("podAffinityTerm") or {} for p in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()]
        for term in terms:
            _merge_label_keys(term.get("labelSelector"), term.get("matchLabelKeys"), "In", labels)
            _merge_label_keys(term.get("labelSelector"), term.get("mismatchLabelKeys"), "NotIn", labels)


GATED: Object = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def pod_create(obj: Object) -> None:
    spec, metadata = obj["spec"], obj["metadata"]
    status: Object = {"phase": "Pending"}
    if spec.get("schedulingGates"):
        status["conditions"] = [{**GATED, "lastProbeTime": None, "lastTransitionTime": metadata.get("creationTimestamp")}]
    status["qosClass"] = qos_class(spec)
    obj["status"] = status
    labels = metadata.get("labels") or {}
    if spec.get("affinity"):
        _affinity(spec["affinity"], labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _merge_label_keys(constraint.get("labelSelector"), constraint.get("matchLabelKeys"), "In", labels)


def pod_status(new: Object, old: Object) -> None:
    """Writing status keeps owners, deletion, the QoS class and observed generations that the writer does not know."""
    metadata, before = new["metadata"], old["metadata"]
    for field in ("ownerReferences", "deletionTimestamp"):
        if field in before:
            metadata[field] = before[field]
        else:
            metadata.pop(field, None)
    status, was = new.get("status"), old.get("status") or {}
    if status is None:
        status = new["status"] = {}
    if not was.get("nodeAllocatableResourceClaimStatuses"):
        status.pop("nodeAllocatableResourceClaimStatuses", None)  # DRANodeAllocatableResources is off
    if not status.get("qosClass") and was.get("qosClass"):
        status["qosClass"] = was["qosClass"]
    if not status.get("observedGeneration") and was.get("observedGeneration"):
        status["observedGeneration"] = was["observedGeneration"]
    observed: dict[str, list[int]] = {}
    for condition in was.get("conditions") or ():
        observed.setdefault(condition.get("type") or "", []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        generations = observed.get(condition.get("type") or "")
        generation = generations.pop(0) if generations else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def only_ephemeral_containers(new: Object, old: Object) -> None:
    """The ephemeralcontainers subresource: everything else of the spec stays."""
    spec = dict(old.get("spec") or {})
    containers = (new.get("spec") or {}).get("ephemeralContainers")
    spec.pop("ephemeralContainers", None)
    if containers:
        spec["ephemeralContainers"] = containers
    new["spec"] = spec


def only_resources(new: Object, old: Object) -> None:
    """The resize subresource: resources and resize policies change, everything else of the spec stays.

    A changed number, order or name of containers is left for validation to refuse.
    """
    given, spec = new.get("spec") or {}, dict(old.get("spec") or {})
    for name in ("containers", "initContainers"):
        if len(given.get(name) or ()) != len(spec.get(name) or ()):
            return
    for name in ("containers", "initContainers"):
        containers = given.get(name) or []
        if not containers:
            continue
        if any(a.get("name") != b.get("name") for a, b in zip(containers, spec[name], strict=True)):
            spec[name] = containers
            continue
        merged = []
        for container, was in zip(containers, spec[name], strict=True):
            kept = dict(was)
            for field in ("resources", "resizePolicy"):
                if container.get(field) is None:
                    kept.pop(field, None)
                else:
                    kept[field] = container[field]
            merged.append(kept)
        spec[name] = merged
    if given.get("resources") is None:
        spec.pop("resources", None)
    else:
        spec["resources"] = given["resources"]
    new["spec"] = spec
