"""ReplicationControllers: the older form of ReplicaSets, with equality-only selectors."""

from __future__ import annotations

from kubetree.api.kind_table import kind
from kubetree.api.selectors import label_selector
from kubetree.controllers.replication import POD, Replication
from kubetree.controllers.runner import Duty, own_key

REPLICATION_CONTROLLER = kind("v1", "ReplicationController")

REPLICATION = Replication(
    REPLICATION_CONTROLLER, lambda rc: label_selector({"matchLabels": rc["spec"].get("selector") or {}}), counts_terminating=False
)

WATCHES = {REPLICATION_CONTROLLER: own_key, POD: REPLICATION.keys_of_pod}

reconcile = REPLICATION.reconcile

DUTY = Duty("replicationcontroller-controller", "replication-controller", WATCHES, reconcile, workers=5, account="replication-controller")
