"""Deletes PodCertificateRequests a quarter of an hour after they came: by then a kubelet has its answer or has asked anew.

Follows pkg/controller/certificates/cleaner's PCRCleanerController.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from kubetree.api.kind_table import kind
from kubetree.api.times import parse_time
from kubetree.controllers.plan import NOTHING, Delete, Plan, RequeueAfter, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

REQUEST = kind("certificates.k8s.io/v1beta1", "PodCertificateRequest")
KEPT = timedelta(minutes=15)


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    request = snapshot.get(REQUEST, *key)
    if request is None:
        return NOTHING
    metadata = request["metadata"]
    left = parse_time(metadata["creationTimestamp"]) + KEPT - now
    if left > timedelta(0):
        return plan(RequeueAfter(left.total_seconds() + 1))
    return plan(Delete(REQUEST, key[0], key[1], uid=metadata["uid"]))


NAME = "podcertificaterequest-cleaner-controller"
DUTY = Duty(NAME, NAME, {REQUEST: own_key}, reconcile, account="podcertificaterequestcleaner")
