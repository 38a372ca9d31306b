"""Tells kubelets, by an annotation of their node, how long they may keep ConfigMaps and Secrets: longer the larger the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.controllers.plan import NOTHING, Patch, Plan, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

NODE = kind("v1", "Node")
ANNOTATION = "node.alpha.kubernetes.io/ttl"
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 2**31 - 1, 300))
"""(fewest nodes, most nodes, seconds): the ranges overlap, so that a size in between does not go to and fro."""

WATCHES = {NODE: own_key}


@dataclass(slots=True)
class NodeTTL:
    step: int = 0

    def reconcile(self, snapshot: Snapshot, key: Key, _: datetime) -> Plan:
        nodes = snapshot.list(NODE)
        before = self.step
        while len(nodes) > STEPS[self.step][1]:
            self.step += 1
        while len(nodes) < STEPS[self.step][0]:
            self.step -= 1
        seconds = str(STEPS[self.step][2])
        node = snapshot.get(NODE, *key)
        chosen: Iterable[Object] = nodes if self.step != before else [node] if node is not None else ()
        stale = [n["metadata"]["name"] for n in chosen if annotations_of(n).get(ANNOTATION) != seconds]
        patch = {"metadata": {"annotations": {ANNOTATION: seconds}}}
        return plan(Patch(NODE, "", name, patch, type="merge", ignore=frozenset({"NotFound"})) for name in stale) if stale else NOTHING


def same(old: Object, new: Object) -> bool:
    return annotations_of(old).get(ANNOTATION) == annotations_of(new).get(ANNOTATION)


def duty() -> Duty:
    return Duty("ttl-controller", "ttl-controller", WATCHES, NodeTTL().reconcile, account="ttl-controller", same={NODE: same})
