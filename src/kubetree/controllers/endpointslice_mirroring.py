"""EndpointSlices for Endpoints that a user wrote: of Services without a selector, mirrored so that readers need only slices.

Follows upstream's endpointslicemirroring: one slice for each set of ports and address family, at most 1,000 addresses a subset.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import is_deleting, labels, owner_reference
from kubetree.controllers.endpoints import ENDPOINTS, LEADER
from kubetree.controllers.endpointslices import ENDPOINT_SLICE, MANAGED_BY, SERVICE_NAME, delete_slice, service_of
from kubetree.controllers.plan import NAMESPACE_TERMINATING, NOTHING, Action, Create, Event, Plan, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.service_backends import SERVICE, TRIGGER_TIME, family_of
from kubetree.controllers.slice_packing import identity, ports_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
Group = tuple[str, tuple[Any, ...]]

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ADDRESSES = 1000


def keys_of_slice(slice_: Object, _: Snapshot) -> Iterable[Key]:
    return service_of(slice_, MANAGER)


WATCHES = {ENDPOINTS: own_key, SERVICE: own_key, ENDPOINT_SLICE: keys_of_slice}


def reconcile(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    endpoints, service = snapshot.get(ENDPOINTS, *key), snapshot.get(SERVICE, *key)
    mirrors = [s for s in snapshot.list(ENDPOINT_SLICE, key[0]) if key in keys_of_slice(s, snapshot) and not is_deleting(s)]
    if endpoints is None or service is None or not _mirrored(endpoints, service):
        return plan([delete_slice(slice_) for slice_ in mirrors])
    desired, ports, events = _desired(endpoints)
    existing: dict[Group, list[Object]] = {}
    for slice_ in mirrors:
        existing.setdefault((slice_["addressType"], ports_key(slice_.get("ports"))), []).append(slice_)
    writes: list[Action] = []
    spare = [s for group, slices in existing.items() for s in (slices[1:] if group in desired else slices)]
    for group, found in desired.items():
        first = existing.get(group, [None])[0]
        made = _slice(endpoints, group[0], ports[group], found)
        if first is None and spare:
            first = spare.pop()
            writes.append(Update(ENDPOINT_SLICE, {**made, "metadata": _named(made, first)}))
        elif first is None:
            if not is_deleting(endpoints):
                writes.append(Create(ENDPOINT_SLICE, made, ignore=NAMESPACE_TERMINATING))
        elif not _same(first, made):
            writes.append(Update(ENDPOINT_SLICE, {**made, "metadata": _named(made, first)}))
    deletes = [delete_slice(slice_) for slice_ in spare]
    return plan(events if writes else (), writes, deletes) if writes or deletes else NOTHING


def _mirrored(endpoints: Object, service: Object) -> bool:
    if labels(endpoints).get(SKIP) == "true" or LEADER in annotations_of(endpoints):
        return False
    return service["spec"].get("selector") is None


def _desired(endpoints: Object) -> tuple[dict[Group, list[Object]], dict[Group, list[Object]], list[Event]]:
    """Endpoints and ports by address family and ports, and what to say about addresses that were left out."""
    desired: dict[Group, dict[tuple[Any, ...], Object]] = {}
    ports: dict[Group, list[Object]] = {}
    invalid = skipped = 0
    for subset in endpoints.get("subsets") or ():
        listed = [_port(port) for port in subset.get("ports") or ()]
        everything = [(a, True) for a in subset.get("addresses") or ()] + [(a, False) for a in subset.get("notReadyAddresses") or ()]
        added = 0
        for address, ready in everything:
            if added >= MAX_ADDRESSES:
                break
            family = family_of(address["ip"])
            if not family:
                invalid += 1
                continue
            group = (family, ports_key(listed))
            endpoint = _endpoint(address, ready)
            desired.setdefault(group, {})[identity(endpoint)] = endpoint
            ports[group] = listed
            added += 1
        skipped += len(everything) - added
    events = []
    if invalid:
        why = f"Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices"
        events.append(Event(endpoints, "Warning", "InvalidIPAddress", why))
    if skipped > invalid:
        why = f"A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
        events.append(Event(endpoints, "Warning", "TooManyAddressesToMirror", why))
    return {group: list(found.values())[:MAX_ADDRESSES] for group, found in desired.items()}, ports, events


def _endpoint(address: Object, ready: bool) -> Object:
    made: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    made.update({field: address[field] for field in ("targetRef", "nodeName", "hostname") if address.get(field)})
    return made


def _port(port: Object) -> Object:
    made = {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
    if port.get("appProtocol"):
        made["appProtocol"] = port["appProtocol"]
    return made


def _slice(endpoints: Object, family: str, ports: list[Object], found: list[Object]) -> Object:
    metadata = endpoints["metadata"]
    copied = {k: v for k, v in annotations_of(endpoints).items() if k not in (TRIGGER_TIME, LAST_APPLIED)}
    made: Object = {
        "generateName": f"{metadata['name']}-",
        "namespace": metadata["namespace"],
        "labels": {**labels(endpoints), SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER},
        "ownerReferences": [owner_reference(ENDPOINTS, endpoints, controller=True, block=True)],
    }
    if copied:
        made["annotations"] = copied
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": made,
        "addressType": family,
        "endpoints": found,
        "ports": ports,
    }


def _named(made: Object, existing: Object) -> Object:
    """The metadata of a slice that takes the place of another."""
    kept = {field: existing["metadata"][field] for field in ("name", "uid", "resourceVersion")}
    return {**{k: v for k, v in made["metadata"].items() if k != "generateName"}, **kept}


def _same(existing: Object, made: Object) -> bool:
    owner = existing["metadata"].get("ownerReferences") == made["metadata"]["ownerReferences"]
    notes = annotations_of(existing) == annotations_of(made) and labels(existing) == labels(made)
    return owner and notes and _by_identity(existing) == _by_identity(made)


def _by_identity(slice_: Object) -> dict[tuple[Any, ...], Object]:
    return {identity(endpoint): endpoint for endpoint in slice_.get("endpoints") or ()}


DUTY = Duty(
    "endpointslice-mirroring-controller",
    "endpoint-slice-mirroring-controller",
    WATCHES,
    reconcile,
    workers=5,
    account="endpointslicemirroring-controller",
)
