"""Says of each ServiceCIDR that it is ready, and keeps one being deleted until no address depends on it alone.

Follows pkg/controller/servicecidrs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting, labels
from kubetree.api.times import parse_time
from kubetree.controllers.conditions import condition, find, without
from kubetree.controllers.plan import NOTHING, Plan, RequeueAfter, StatusUpdate, Update, plan
from kubetree.controllers.runner import Duty, Key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
Network = IPv4Network | IPv6Network

SERVICE_CIDR, IP_ADDRESS = kind("networking.k8s.io/v1", "ServiceCIDR"), kind("networking.k8s.io/v1", "IPAddress")
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
GRACE = 10.0
"""Seconds that the API servers have to learn of a deletion and to give out no more addresses of the range."""

READY = ("True", "", "Kubernetes Service CIDR is ready")
HELD = ("False", "Terminating", "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR")


def itself_and_those_held(cidr: Object, snapshot: Snapshot) -> Iterable[Key]:
    """A range that comes may take over the addresses of one that goes."""
    return {("", str(cidr["metadata"]["name"])), *_deleted(snapshot)}


def those_held(_: Object, snapshot: Snapshot) -> Iterable[Key]:
    return _deleted(snapshot)


def _deleted(snapshot: Snapshot) -> list[Key]:
    return [("", cidr["metadata"]["name"]) for cidr in snapshot.list(SERVICE_CIDR) if is_deleting(cidr)]


WATCHES = {SERVICE_CIDR: itself_and_those_held, IP_ADDRESS: those_held}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    cidr = snapshot.get(SERVICE_CIDR, *key)
    if cidr is None:
        return NOTHING
    finalizers = cidr["metadata"].get("finalizers") or []
    if not is_deleting(cidr):
        if FINALIZER not in finalizers:
            return plan(_with_finalizers(cidr, [*finalizers, FINALIZER]))
        return _told(cidr, READY, now)
    if FINALIZER not in finalizers:
        return NOTHING
    if holds_addresses(cidr, snapshot):
        return _told(cidr, HELD, now)
    left = GRACE - (now - parse_time(cidr["metadata"]["deletionTimestamp"])).total_seconds()
    if left > 0:
        return plan(RequeueAfter(left))
    return plan(_with_finalizers(cidr, [other for other in finalizers if other != FINALIZER]))


def holds_addresses(cidr: Object, snapshot: Snapshot) -> bool:
    """Whether an address given out lies in this ServiceCIDR and in no other."""
    mine, name = _networks(cidr), cidr["metadata"]["name"]
    others = [network for other in snapshot.list(SERVICE_CIDR) if other["metadata"]["name"] != name for network in _networks(other)]
    if all(any(_covers(other, network) for other in others) for network in mine):
        return False
    return any(_in_any(address, mine) and not _in_any(address, others) for address in _given_out(snapshot))


def _given_out(snapshot: Snapshot) -> Iterable[IPv4Address | IPv6Address]:
    for found in snapshot.list(IP_ADDRESS):
        if labels(found).get(MANAGED_BY) == ALLOCATOR:
            yield ip_address(found["metadata"]["name"])


def _networks(cidr: Object) -> list[Network]:
    return [ip_network(text, strict=False) for text in cidr["spec"].get("cidrs") or ()]


def _in_any(address: IPv4Address | IPv6Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _covers(wide: Network, narrow: Network) -> bool:
    return wide.version == narrow.version and narrow.network_address in wide and narrow.prefixlen >= wide.prefixlen


def _with_finalizers(cidr: Object, finalizers: list[str]) -> Update:
    return Update(SERVICE_CIDR, {**cidr, "metadata": {**cidr["metadata"], "finalizers": finalizers}})


def _told(cidr: Object, wanted: tuple[str, str, str], now: datetime) -> Plan:
    status = cidr.get("status") or {}
    standing = find(status.get("conditions"), "Ready")
    if standing is not None and (standing["status"], standing.get("reason", ""), standing.get("message", "")) == wanted:
        return NOTHING
    conditions = [*without(status.get("conditions"), "Ready"), condition("Ready", *wanted, now)]
    return plan(StatusUpdate(SERVICE_CIDR, cidr, {**status, "conditions": conditions}))


NAME = "service-cidr-controller"
DUTY = Duty(NAME, NAME, WATCHES, reconcile, account="service-cidrs-controller")
