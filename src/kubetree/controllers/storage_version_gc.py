"""Takes the entries of API servers that are gone out of StorageVersion objects, and deletes those that no server is left in.

A server lives while its identity lease is there. Follows pkg/controller/storageversiongc.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import labels
from kubetree.api.storage_versions import with_entries
from kubetree.api.times import format_time
from kubetree.controllers.plan import NOTHING, Batch, Delete, Outcome, Plan, Read, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
STORAGE_VERSION, LEASE = kind("internal.apiserver.k8s.io/v1alpha1", "StorageVersion"), kind("coordination.k8s.io/v1", "Lease")
NAMESPACE = "kube-system"
IDENTITY, COMPONENT = "apiserver.kubernetes.io/identity", "kube-apiserver"


def _is_identity(lease: Object) -> bool:
    return lease["metadata"].get("namespace") == NAMESPACE and labels(lease).get(IDENTITY) == COMPONENT


def those_of_the_server(lease: Object, snapshot: Snapshot) -> Iterable[Key]:
    """Of a server whose lease is gone; those that are renewed wake nobody."""
    name = lease["metadata"]["name"]
    if not _is_identity(lease) or snapshot.get(LEASE, NAMESPACE, name) is not None:
        return ()
    return [("", sv["metadata"]["name"]) for sv in snapshot.list(STORAGE_VERSION) if any(e["apiServerID"] == name for e in _entries(sv))]


def _entries(obj: Object) -> list[Object]:
    return list((obj.get("status") or {}).get("storageVersions") or ())


def _same(old: Object, new: Object) -> bool:
    return _is_identity(old) == _is_identity(new)


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    """Leases that the cache does not have are asked for before anybody is taken for dead."""
    obj = snapshot.get(STORAGE_VERSION, *key)
    if obj is None:
        return NOTHING
    doubtful = [entry["apiServerID"] for entry in _entries(obj) if not _lives(snapshot.get(LEASE, NAMESPACE, entry["apiServerID"]))]
    if not doubtful:
        return NOTHING

    def confirmed(outcome: Outcome) -> Plan:
        if not outcome.ok:
            return NOTHING
        dead = {server for server, lease in zip(doubtful, outcome.results, strict=True) if not _lives(lease)}
        return _without(obj, dead, now)

    return plan(Batch(tuple(Read(LEASE, NAMESPACE, server) for server in doubtful)), then=confirmed)


def _lives(lease: Object | None) -> bool:
    return lease is not None and _is_identity(lease)


def _without(obj: Object, dead: set[str], now: datetime) -> Plan:
    living = [entry for entry in _entries(obj) if entry["apiServerID"] not in dead]
    if not dead:
        return NOTHING
    if not living:
        return plan(Delete(STORAGE_VERSION, "", obj["metadata"]["name"]))
    return plan(Update(STORAGE_VERSION, with_entries(obj, living, format_time(now)), subresource="status"))


NAME = "storageversion-garbage-collector-controller"
DUTY = Duty(
    NAME,
    NAME,
    {STORAGE_VERSION: own_key, LEASE: those_of_the_server},
    reconcile,
    account="storage-version-garbage-collector",
    same={LEASE: _same},
)
