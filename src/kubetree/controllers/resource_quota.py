"""Counts what a namespace uses of its ResourceQuotas. Admission charges for new objects; this gives back for what went, and corrects.

Follows upstream's resourcequota controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import is_deleting
from kubetree.api.pod_resources import resource_list
from kubetree.api.quotas import add, evaluator_of, largest, masked, total_usage
from kubetree.api.quotas.resource_lists import ResourceList
from kubetree.controllers import pods
from kubetree.controllers.discovery import collectable
from kubetree.controllers.plan import NOTHING, Plan, RequeueAfter, StatusUpdate, plan
from kubetree.controllers.runner import Duty, Everywhere, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

RESOURCE_QUOTA = kind("v1", "ResourceQuota")
SOON = 2.0
"""Seconds until a quota that was just corrected is counted again: admission may have charged for an object that was not yet in the caches."""
RECOUNT = "recount"
"""Third part of the key of such a count. It only puts right what the correction gave back too much: it gives nothing back itself, for at any
time admission may have charged for an object that is not stored yet."""

WATCHES = {RESOURCE_QUOTA: own_key}


def counted(row: Kind) -> bool:
    return row.namespaced and collectable(row) and evaluator_of(row.group_resource) is not None


def keys_of_any(obj: Object, snapshot: Snapshot) -> Iterable[Key]:
    """The quotas of the namespace of something that went, or that now uses less."""
    namespace = obj["metadata"].get("namespace", "")
    return [(namespace, quota["metadata"]["name"]) for quota in snapshot.list(RESOURCE_QUOTA, namespace)]


def same_usage(old: Object, new: Object) -> bool:
    """Whether an update gives nothing back: a pod does when it finishes, is deleted or is resized, a Service when its type changes."""
    if new["kind"] == "Pod":
        before, after = (pods.is_terminal(old), is_deleting(old)), (pods.is_terminal(new), is_deleting(new))
        return before == after and old["spec"].get("containers") == new["spec"].get("containers")
    return new["kind"] not in ("Service", "PersistentVolumeClaim") or old.get("spec") == new.get("spec")


def same_limits(old: Object, new: Object) -> bool:
    """Whether nothing is to be counted anew. A changed status is no reason: admission has charged for an object that may not even be stored
    yet, and a count made now would give that back."""
    return bool(old["spec"] == new["spec"])


@dataclass(frozen=True, slots=True)
class Quotas:
    """`period`: seconds between counts of a quota where nothing happens."""

    period: float

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        quota = snapshot.get(RESOURCE_QUOTA, *key[:2])
        if quota is None or is_deleting(quota):
            return NOTHING
        status = quota.get("status") or {}
        hard_given = quota["spec"].get("hard") or {}
        hard = resource_list(hard_given)
        told = resource_list(status.get("used"))
        used = masked(told | _usage(snapshot, quota, list(hard), now), hard)
        if RECOUNT in key[2:]:
            used = largest(used, masked(told, hard))
        if resource_list(status.get("hard")) == hard and told == used and "used" in status:
            return plan(RequeueAfter(self.period, key[:2]))
        counted_now = {"hard": hard_given, "used": {name: str(quantity) for name, quantity in used.items()}}
        recount = RequeueAfter(SOON, (*key[:2], RECOUNT))
        return plan(StatusUpdate(RESOURCE_QUOTA, quota, counted_now, ignore=frozenset({"NotFound"})), recount)


def _usage(snapshot: Snapshot, quota: Object, names: list[str], now: datetime) -> ResourceList:
    """What the namespace uses of the resources `names`, as far as any kind counts for them."""
    usage: ResourceList = {}
    for row in snapshot.kinds():
        evaluator = evaluator_of(row.group_resource) if row.namespaced else None
        if evaluator is not None and (concerned := evaluator.matching(names)):
            objects = snapshot.list(row, quota["metadata"]["namespace"])
            usage = add(usage, total_usage(evaluator, quota, objects, now, concerned))
    return usage


def duty(period: float) -> Duty:
    return Duty(
        "resourcequota-controller",
        "resourcequota-controller",
        WATCHES,
        Quotas(period).reconcile,
        workers=5,
        account="resourcequota-controller",
        same={RESOURCE_QUOTA: same_limits},
        everywhere=Everywhere(counted, keys_of_any, same_usage, adds=False),
    )
