"""Fills cluster roles that have an aggregationRule with the rules of the roles that it selects.

Follows pkg/controller/clusterroleaggregation: roles in order of their names, each rule once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import labels
from kubetree.api.selectors import label_selector
from kubetree.controllers.plan import NOTHING, Plan, Update, plan
from kubetree.controllers.runner import Duty, Key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

CLUSTER_ROLE = kind("rbac.authorization.k8s.io/v1", "ClusterRole")


def aggregated_roles(_: Object, snapshot: Snapshot) -> Iterable[Key]:
    """Any role may have come under any rule, or left it."""
    return [("", role["metadata"]["name"]) for role in snapshot.list(CLUSTER_ROLE) if role.get("aggregationRule") is not None]


WATCHES = {CLUSTER_ROLE: aggregated_roles}


def reconcile(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    role = snapshot.get(CLUSTER_ROLE, *key)
    if role is None or role.get("aggregationRule") is None:
        return NOTHING
    rules = aggregated(role, sorted(snapshot.list(CLUSTER_ROLE), key=lambda found: str(found["metadata"]["name"])))
    if rules == (role.get("rules") or []):
        return NOTHING
    return plan(Update(CLUSTER_ROLE, {**role, "rules": rules}))


def aggregated(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules that `role` should have; `roles` are all there are, in order of their names."""
    found: list[Object] = []
    others = [other for other in roles if other["metadata"]["name"] != role["metadata"]["name"]]
    for stated in role["aggregationRule"].get("clusterRoleSelectors") or ():
        selector = label_selector(stated)
        for other in others:
            if selector.matches(labels(other)):
                found += [rule for rule in other.get("rules") or () if rule not in found]
    return found


NAME = "clusterrole-aggregation-controller"
DUTY = Duty(NAME, NAME, WATCHES, reconcile, account=NAME)
