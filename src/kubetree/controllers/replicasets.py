"""ReplicaSets: keeps as many pods of a template as each asks for."""

from __future__ import annotations

from kubetree.api.kind_table import kind
from kubetree.api.selectors import label_selector
from kubetree.controllers.replication import POD, Replication
from kubetree.controllers.runner import Duty, own_key

REPLICA_SET = kind("apps/v1", "ReplicaSet")

REPLICATION = Replication(REPLICA_SET, lambda rs: label_selector(rs["spec"].get("selector")), counts_terminating=True)

WATCHES = {REPLICA_SET: own_key, POD: REPLICATION.keys_of_pod}

reconcile = REPLICATION.reconcile

DUTY = Duty("replicaset-controller", "replicaset-controller", WATCHES, reconcile, workers=5, account="replicaset-controller")
