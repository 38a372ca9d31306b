"""Keeps a PodGroup that is being deleted until no pod of it is left that may still run.

Follows pkg/controller/scheduling/podgroupprotection: admission gives groups a finalizer, this takes it away.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.controllers.plan import NOTHING, Plan, Update, plan
from kubetree.controllers.pods import is_terminal
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
POD_GROUP, POD = kind("scheduling.k8s.io/v1alpha2", "PodGroup"), kind("v1", "Pod")
FINALIZER = "scheduling.k8s.io/podgroup-protection"


def _group_of(pod: Object) -> str:
    return str(((pod.get("spec") or {}).get("schedulingGroup") or {}).get("podGroupName") or "")


def group_of_pod(pod: Object, _: Snapshot) -> Iterable[Key]:
    name = _group_of(pod)
    return [(pod["metadata"]["namespace"], name)] if name else ()


def reconcile(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    group = snapshot.get(POD_GROUP, *key)
    if group is None or not is_deleting(group):
        return NOTHING
    finalizers = group["metadata"].get("finalizers") or []
    if FINALIZER not in finalizers or any(_group_of(pod) == key[1] and not is_terminal(pod) for pod in snapshot.list(POD, key[0])):
        return NOTHING
    left = [other for other in finalizers if other != FINALIZER]
    return plan(Update(POD_GROUP, {**group, "metadata": {**group["metadata"], "finalizers": left}}))


NAME = "podgroup-protection-controller"
DUTY = Duty(NAME, NAME, {POD_GROUP: own_key, POD: group_of_pod}, reconcile, account=NAME)
