"""EndpointSlices: the backends of Services with a selector, in slices of at most 100, with conditions ready, serving and terminating.

Follows upstream's staging/src/k8s.io/endpointslice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting, labels, owner_reference
from kubetree.controllers import pods
from kubetree.controllers.plan import NAMESPACE_TERMINATING, NOTHING, Action, Create, Delete, Plan, RequeueAfter, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.service_backends import (
    HEADLESS,
    POD,
    SERVICE,
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
from kubetree.controllers.slice_packing import Difference, pack, ports_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

ENDPOINT_SLICE = kind("discovery.k8s.io/v1", "EndpointSlice")
NODE = kind("v1", "Node")
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
RESERVED = frozenset({SERVICE_NAME, MANAGED_BY, HEADLESS})
ZONE = "topology.kubernetes.io/zone"
NODE_RETRY = 1.0
"""Seconds until a pod whose node the cache does not show yet is looked at again."""


def service_of(slice_: Object, manager: str) -> tuple[Key, ...]:
    """The Service of a slice that `manager` keeps, nothing for others' slices."""
    marked = labels(slice_)
    if marked.get(MANAGED_BY) != manager or not marked.get(SERVICE_NAME):
        return ()
    return ((slice_["metadata"]["namespace"], marked[SERVICE_NAME]),)


def keys_of_slice(slice_: Object, _: Snapshot) -> Iterable[Key]:
    return service_of(slice_, MANAGER)


def keys_of_node(node: Object, snapshot: Snapshot) -> Iterable[Key]:
    """Services with pods on the node: its zone stands in their endpoints."""
    on_node = snapshot.by_index(POD, "node", node["metadata"]["name"])
    return {key for pod in on_node for key in keys_of_pod(pod, snapshot)}


def same_zone(old: Object, new: Object) -> bool:
    return labels(old).get(ZONE) == labels(new).get(ZONE)


WATCHES = {SERVICE: own_key, POD: keys_of_pod, ENDPOINT_SLICE: keys_of_slice, NODE: keys_of_node}


def reconcile(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    service = snapshot.get(SERVICE, *key)
    if service is None or not has_backends(service):
        return NOTHING
    ours = [s for s in snapshot.list(ENDPOINT_SLICE, key[0]) if key in keys_of_slice(s, snapshot) and not is_deleting(s)]
    chosen = backends(snapshot, service, terminating=True)
    stamp = trigger_time(service, chosen)
    actions: list[Action] = []
    known = families(service)
    for family in known:
        actions += _of_family(snapshot, service, family, [s for s in ours if s["addressType"] == family], chosen, stamp)
    actions += [delete_slice(s) for s in ours if s["addressType"] not in known]
    if not service["spec"].get("publishNotReadyAddresses") and any(_node_missing(snapshot, pod) for pod in chosen):
        actions.append(RequeueAfter(NODE_RETRY))
    return plan(actions)


def _of_family(
    snapshot: Snapshot, service: Object, family: str, existing: list[Object], chosen: Iterable[Object], stamp: str
) -> list[Action]:
    """What to write for one address family."""
    foreign = [s for s in existing if not _owned_by(s, service)]
    mine: dict[tuple[Any, ...], list[Object]] = {}
    for slice_ in existing:
        if _owned_by(slice_, service):
            mine.setdefault(ports_key(slice_.get("ports")), []).append(slice_)
    desired: dict[tuple[Any, ...], list[Object]] = {}
    ports: dict[tuple[Any, ...], list[Object]] = {}
    for pod in chosen:
        listed = _ports(service, pod)
        group = ports_key(listed)
        desired.setdefault(group, [])
        ports[group] = listed
        endpoint = endpoint_of(pod, _node(snapshot, pod), service, family)
        if endpoint is not None and (service["spec"].get("publishNotReadyAddresses") or not _node_missing(snapshot, pod)):
            desired[group].append(endpoint)
    wanted = slice_labels(service)
    create: list[tuple[list[Object], list[Object]]] = []
    update: list[Object] = []
    delete = foreign
    for group, endpoints in desired.items():
        difference: Difference = pack(mine.get(group, ()), endpoints, wanted)
        create += [(ports[group], chunk) for chunk in difference.create]
        update += difference.update
        delete = delete + difference.delete
    delete = delete + [s for group, slices in mine.items() if group not in desired for s in slices]
    if len(delete) == len(existing) and not create:
        if len(delete) == 1 and _is_placeholder(delete[0], service, wanted):
            delete = []
        else:
            create.append(([], []))
    return _recycled(service, family, create, update, delete, stamp)


def _recycled(
    service: Object,
    family: str,
    create: list[tuple[list[Object], list[Object]]],
    update: list[Object],
    delete: list[Object],
    stamp: str,
) -> list[Action]:
    """The writes, with slices that would go made into those that would come."""
    actions: list[Action] = []
    for slice_ in list(delete):
        if create and _owned_by(slice_, service):
            ports, endpoints = create.pop()
            delete.remove(slice_)
            made = _new(service, family, ports, endpoints)
            metadata = {**slice_["metadata"], "labels": made["metadata"]["labels"], "ownerReferences": made["metadata"]["ownerReferences"]}
            update = [*update, {**made, "metadata": metadata}]
    if not is_deleting(service):
        for ports, endpoints in create:
            made = _stamped(_new(service, family, ports, endpoints), stamp)
            actions.append(Create(ENDPOINT_SLICE, made, ignore=NAMESPACE_TERMINATING))
    actions += [Update(ENDPOINT_SLICE, _stamped(slice_, stamp)) for slice_ in update]
    return actions + [delete_slice(slice_) for slice_ in delete]


def _new(service: Object, family: str, ports: list[Object], endpoints: list[Object]) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": slice_labels(service),
            "ownerReferences": [owner_reference(SERVICE, service, controller=True, block=True)],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports,
    }


def _stamped(slice_: Object, stamp: str) -> Object:
    return {**slice_, "metadata": {**slice_["metadata"], "annotations": with_trigger_time(slice_, stamp)}}


def delete_slice(slice_: Object) -> Delete:
    """Of this very slice, not of another of its name."""
    metadata = slice_["metadata"]
    return Delete(ENDPOINT_SLICE, metadata["namespace"], metadata["name"], uid=metadata["uid"])


def slice_labels(service: Object) -> dict[str, str]:
    """The Service's labels and those that tell whose slice it is."""
    made = {k: v for k, v in labels(service).items() if k not in RESERVED}
    if is_headless(service):
        made[HEADLESS] = ""
    return {**made, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}


def endpoint_of(pod: Object, node: Object | None, service: Object, family: str) -> Object | None:
    """The pod as an endpoint; None when it has no address of the family.

    ready: takes new connections; serving: passes its readiness probe even while it terminates.
    """
    addresses = pod_addresses(pod, family)
    if not addresses:
        return None
    serving, terminating = pods.is_ready(pod), is_deleting(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    made: Object = {
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_reference(pod),
    }
    if name := hostname(pod, service):
        made["hostname"] = name
    if node_name := pod["spec"].get("nodeName"):
        made["nodeName"] = node_name
    if node is not None and (zone := labels(node).get(ZONE)):
        made["zone"] = zone
    return made


def _ports(service: Object, pod: Object) -> list[Object]:
    made = []
    for port in service["spec"].get("ports") or ():
        number = target_port(pod, port)
        if number is None:
            continue
        entry = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        made.append(entry)
    return made


def _node(snapshot: Snapshot, pod: Object) -> Object | None:
    return snapshot.get(NODE, "", pod["spec"].get("nodeName", ""))


def _node_missing(snapshot: Snapshot, pod: Object) -> bool:
    return _node(snapshot, pod) is None


def _owned_by(slice_: Object, service: Object) -> bool:
    references = slice_["metadata"].get("ownerReferences") or ()
    return any(r["uid"] == service["metadata"]["uid"] and r["kind"] == "Service" and r["apiVersion"] == "v1" for r in references)


def _is_placeholder(slice_: Object, service: Object, wanted: dict[str, str]) -> bool:
    """Whether it is the empty slice that stands for a Service without backends."""
    return not slice_.get("endpoints") and not slice_.get("ports") and labels(slice_) == wanted and _owned_by(slice_, service)


DUTY = Duty(
    "endpointslice-controller",
    "endpoint-slice-controller",
    WATCHES,
    reconcile,
    workers=5,
    account="endpointslice-controller",
    same={POD: same_backend, NODE: same_zone},
)
