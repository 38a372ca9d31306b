"""Endpoints: the older list of a Service's backends, one object a Service, at most 1,000 addresses.

Follows upstream's endpoints_controller.go. New clients read EndpointSlices; this stays for those that do not.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import labels
from kubetree.controllers import pods
from kubetree.controllers.plan import NAMESPACE_TERMINATING, NOTHING, Create, Delete, Event, Plan, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.service_backends import (
    HEADLESS,
    POD,
    SERVICE,
    TRIGGER_TIME,
    backends,
    families,
    has_backends,
    hostname,
    is_headless,
    keys_of_pod,
    pod_addresses,
    same_backend,
    target_port,
    target_reference,
    trigger_time,
    with_trigger_time,
)
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

ENDPOINTS = kind("v1", "Endpoints")
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LEADER = "control-plane.alpha.kubernetes.io/leader"
CAPACITY = 1000

WATCHES = {SERVICE: own_key, POD: keys_of_pod, ENDPOINTS: own_key}


def reconcile(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    service, current = snapshot.get(SERVICE, *key), snapshot.get(ENDPOINTS, *key)
    if service is None:
        if current is None or LEADER in annotations_of(current) or labels(current).get(MANAGED_BY) != MANAGER:
            return NOTHING
        return plan(Delete(ENDPOINTS, key[0], key[1], uid=current["metadata"]["uid"]))
    if not has_backends(service):
        return NOTHING
    chosen = backends(snapshot, service, terminating=bool(service["spec"].get("publishNotReadyAddresses")))
    subsets, truncated = truncate(subsets_of(service, chosen))
    marked = {k: v for k, v in labels(service).items() if k != HEADLESS}
    marked[MANAGED_BY] = MANAGER
    if is_headless(service):
        marked[HEADLESS] = ""
    wanted = with_trigger_time(current or {"metadata": {}}, trigger_time(service, chosen))
    wanted.pop(OVER_CAPACITY, None)
    if truncated:
        wanted[OVER_CAPACITY] = "truncated"
    if current is not None and _as_wanted(current, subsets, marked, wanted):
        return NOTHING
    return _write(service, current, subsets, marked, wanted)


def _as_wanted(current: Object, subsets: Sequence[Object], marked: dict[str, str], wanted: dict[str, str]) -> bool:
    kept = {k: v for k, v in annotations_of(current).items() if k != TRIGGER_TIME}
    same_notes = kept == {k: v for k, v in wanted.items() if k != TRIGGER_TIME}
    return current.get("subsets", []) == subsets and labels(current) == marked and same_notes


def _write(service: Object, current: Object | None, subsets: list[Object], marked: dict[str, str], notes: dict[str, str]) -> Plan:
    metadata = service["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if current is None:
        made: Object = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": name, "namespace": namespace, "labels": marked, "annotations": notes},
        }
        if subsets:
            made["subsets"] = subsets
        why = f"Failed to create endpoint for service {namespace}/{name}: {{error}}"
        failed = Event(made, "Warning", "FailedToCreateEndpoint", why)
        return plan(Create(ENDPOINTS, made, failed=failed, ignore=NAMESPACE_TERMINATING))
    changed = {**current, "metadata": {**current["metadata"], "labels": marked, "annotations": notes}, "subsets": subsets}
    failed = Event(current, "Warning", "FailedToUpdateEndpoint", f"Failed to update endpoint {namespace}/{name}: {{error}}")
    return plan(Update(ENDPOINTS, changed, failed=failed))


def subsets_of(service: Object, chosen: Iterable[Object]) -> list[Object]:
    """The pods as subsets: addresses that share all ports stand together, in upstream's order."""
    ports = service["spec"].get("ports") or ()
    any_state = bool(service["spec"].get("publishNotReadyAddresses"))
    by_port: dict[tuple[Any, ...], dict[tuple[str, str], tuple[Object, bool]]] = {}
    for pod in chosen:
        addresses = pod_addresses(pod, families(service)[0])
        if not addresses:
            continue
        address = _address(pod, service, addresses[0])
        ready = any_state or pods.is_ready(pod)
        numbers = [(port, number) for port in ports if (number := target_port(pod, port)) is not None]
        keys = [_port_key(port, number) for port, number in numbers] if ports else [_NO_PORT] if is_headless(service) else []
        for key in keys:
            by_port.setdefault(key, {})[address["ip"], pod["metadata"]["uid"]] = (address, ready)
    grouped: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    contents: dict[tuple[Any, ...], list[tuple[Object, bool]]] = {}
    for key, entries in by_port.items():
        group = tuple(sorted((ip, uid, ready) for (ip, uid), (_, ready) in entries.items()))
        grouped.setdefault(group, []).append(key)
        contents[group] = list(entries.values())
    made = [_subset(contents[group], keys) for group, keys in grouped.items()]
    return sorted(made, key=_subset_order)


_NO_PORT = (-1, "", "", "")


def _port_key(port: Object, number: int) -> tuple[Any, ...]:
    return (number, port.get("name", ""), port.get("protocol", "TCP"), port.get("appProtocol") or "")


def _address(pod: Object, service: Object, ip: str) -> Object:
    made: Object = {"ip": ip}
    if name := hostname(pod, service):
        made["hostname"] = name
    if "nodeName" in pod["spec"]:
        made["nodeName"] = pod["spec"]["nodeName"]
    return {**made, "targetRef": target_reference(pod)}


def _subset(entries: Sequence[tuple[Object, bool]], keys: Sequence[tuple[Any, ...]]) -> Object:
    def listed(state: bool) -> list[Object]:
        return sorted((a for a, ready in entries if ready == state), key=_address_order)

    made: Object = {}
    if ready := listed(True):
        made["addresses"] = ready
    if not_ready := listed(False):
        made["notReadyAddresses"] = not_ready
    if ports := [_port(*key) for key in sorted(keys, key=lambda k: (k[0], k[2], k[1])) if key != _NO_PORT]:
        made["ports"] = ports
    return made


def _port(number: int, name: str, protocol: str, app_protocol: str) -> Object:
    made: Object = {"name": name} if name else {}
    made.update(port=number, protocol=protocol)
    if app_protocol:
        made["appProtocol"] = app_protocol
    return made


def _address_order(address: Object) -> tuple[bytes, str]:
    reference = address.get("targetRef") or {}
    return ipaddress.ip_address(address["ip"]).packed, reference.get("uid", "")


def _subset_order(subset: Object) -> tuple[Any, ...]:
    return [(p["port"], p.get("name", "")) for p in subset.get("ports") or ()], str(subset.get("addresses") or subset["notReadyAddresses"])


def truncate(subsets: list[Object]) -> tuple[list[Object], bool]:
    """The subsets with at most 1,000 addresses, ready ones first, shared out by size; and whether any had to go."""
    ready = sum(len(s.get("addresses") or ()) for s in subsets)
    rest = sum(len(s.get("notReadyAddresses") or ()) for s in subsets)
    if ready + rest <= CAPACITY:
        return subsets, False
    field, total, room = ("addresses", ready, CAPACITY) if ready > CAPACITY else ("notReadyAddresses", rest, CAPACITY - ready)
    left, made = room, []
    for subset in subsets:
        listed = subset.get(field) or []
        keep = min(math.ceil(len(listed) / total * room), left)
        left -= min(keep, len(listed))
        cut = {k: v for k, v in subset.items() if k != "notReadyAddresses"} if field == "addresses" else dict(subset)
        cut[field] = listed[:keep]
        made.append({k: v for k, v in cut.items() if v})
    return [s for s in made if "addresses" in s or "notReadyAddresses" in s], True


DUTY = Duty(
    "endpoints-controller", "endpoint-controller", WATCHES, reconcile, workers=5, account="endpoint-controller", same={POD: same_backend}
)
